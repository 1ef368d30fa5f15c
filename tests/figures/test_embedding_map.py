"""The embedding map: places of labels and thumbnails, colors and markers."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from passerby.data.registry import load as load_dataset
from passerby.errors import ConfigError
from passerby.explain.images import ImageSet
from passerby.figures.embedding_map import KINDS, MARKERS, embedding_figure, embeddings_of_people, select_people
from passerby.figures.placement import Box, place_box, select_spread
from passerby.figures.style import SERIES
from passerby.types import Embeddings, Role

PAGE = Box(0, 0, 6, 4)


@given(st.lists(st.tuples(st.floats(0, 6), st.floats(0, 4)), min_size=1, max_size=25))
@settings(max_examples=20)
def test_boxes_lie_on_the_page_and_on_nothing_else(anchors: list[tuple[float, float]]) -> None:
    points, taken = np.array(anchors), list[Box]()
    for anchor in anchors:
        box = place_box(anchor, (0.6, 0.9), page=PAGE, taken=taken, points=points, reach=1.2, most=2)
        if box:
            taken.append(box)
    assert all(box.inside(PAGE) for box in taken)
    assert not any(one.overlaps(other) for one, other in combinations(taken, 2))
    for box in taken:
        hidden = [p for p in anchors if box.left <= p[0] <= box.left + 0.6 and box.bottom <= p[1] <= box.bottom + 0.9]
        assert len(hidden) <= 2


def test_a_box_covers_no_points_where_there_is_room() -> None:
    right = np.column_stack([np.linspace(3.1, 4, 50), np.full(50, 2.0)])
    box = place_box((3.0, 2.0), (0.5, 0.5), page=PAGE, taken=[], points=right, reach=1)
    assert box is not None
    assert box.left + box.width < 3.1 or not box.bottom < 2 < box.bottom + box.height


def test_where_there_is_no_room_there_is_no_box() -> None:
    assert place_box((3, 2), (0.5, 0.5), page=PAGE, taken=[PAGE], points=np.zeros((1, 2)), reach=1) is None


def test_points_are_selected_far_from_each_other() -> None:
    points = np.array([[0, 0], [0.1, 0], [10, 0], [10.1, 0], [5, 9]], float)
    assert select_spread(points, 3) == [4, 3, 0]
    assert select_spread(np.zeros((4, 2)), 3) == [0]


def people(many: int, *, cameras: int = 2) -> Embeddings:
    draw = torch.Generator().manual_seed(0)
    pids = torch.arange(many).repeat_interleave(4)
    features = torch.randn(many, 6, generator=draw)[pids] + 0.1 * torch.randn(len(pids), 6, generator=draw)
    camids = torch.arange(len(pids)) % cameras
    return Embeddings(features, tuple(map(str, range(len(pids)))), pids, camids)


def test_people_have_color_and_marker_of_their_own_and_a_number(legible: Callable[[Figure], None]) -> None:
    figure = embedding_figure(people(9), title="ours on something")
    [axes] = figure.axes
    assert len(axes.collections) == 9
    kinds = {(SERIES[n % len(SERIES)], MARKERS[n % len(MARKERS)]) for n in range(KINDS)}
    assert len(kinds) == KINDS
    assert {text.get_text() for text in axes.texts} == set("012345678")
    legible(figure)
    [heading] = [text.get_text() for text in figure.texts]
    assert " ".join(heading.split()) == "ours on something: 36 images of 9 people by person; PCA"


def test_distances_keep_their_proportions() -> None:
    some = people(6)
    figure = embedding_figure(some, title="t", normalize=False)
    drawn = np.concatenate([np.asarray(points.get_offsets()) for points in figure.axes[0].collections])
    x = some.embedding.double() - some.embedding.double().mean(dim=0)
    _, _, directions = torch.linalg.svd(x, full_matrices=False)
    flat = (x @ directions[:2].T).numpy()
    shown, true = (np.linalg.norm(p[:, None] - p[None], axis=2)[0, 1:] for p in (drawn, flat))
    assert shown / true == pytest.approx(np.full(len(true), (shown / true)[0]), rel=1e-5)
    low, high = drawn.min(axis=0), drawn.max(axis=0)
    assert (low > 0).all()
    assert (high < [figure.axes[0].get_xlim()[1], figure.axes[0].get_ylim()[1]]).all()


def test_normalization_is_that_of_the_run() -> None:
    some = people(6)
    long = Embeddings(some.embedding * torch.arange(1, 25)[:, None], some.paths, some.pids, some.camids)
    maps = [
        np.asarray(embedding_figure(each, title="t", normalize=normalize).axes[0].collections[0].get_offsets())
        for normalize in (True, False)
        for each in (some, long)
    ]
    assert maps[0] == pytest.approx(maps[1], abs=1e-4)
    assert maps[2] != pytest.approx(maps[3], abs=1e-2)


def test_cameras_have_a_legend(legible: Callable[[Figure], None]) -> None:
    figure = embedding_figure(people(3, cameras=3), title="t", color="camera", method="tsne")
    legible(figure)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["camera 0", "camera 1", "camera 2"]
    assert not figure.axes[0].texts


def test_more_people_than_markers_are_an_error() -> None:
    with pytest.raises(ConfigError, match=r"at most 56 persons, got 57\. Fix: select fewer"):
        embedding_figure(people(57), title="t")
    nameless = Embeddings(torch.eye(5), tuple("abcde"))
    with pytest.raises(ConfigError, match="camera of these images is unknown"):
        embedding_figure(nameless, title="t", color="camera")
    with pytest.raises(ConfigError, match="unlabeled"):
        embeddings_of_people(nameless)


def test_thumbnails_are_those_of_the_points(
    draw_people: Callable[..., Path], tmp_path: Path, legible: Callable[[Figure], None]
) -> None:
    dataset = load_dataset(str(draw_people(tmp_path / "people", people=6, cameras=2, images=2)))
    samples = select_people(dataset, 2, seed=1)
    assert len({sample.pid for sample in samples}) == 2
    assert {sample.pid for sample in select_people(dataset, 99)} == {sample.pid for sample in dataset.query}
    assert len({frozenset(s.pid for s in select_people(dataset, 1, seed=seed)) for seed in range(9)}) > 1
    samples_of_both = (*dataset.query, *dataset.gallery)
    embedded = Embeddings(
        torch.randn(len(samples_of_both), 5, generator=torch.Generator().manual_seed(0)),
        tuple(sample.path for sample in samples_of_both),
        torch.tensor([sample.pid for sample in samples_of_both]),
        torch.tensor([sample.camid for sample in samples_of_both]),
        torch.tensor([int(Role.PERSON)] * len(samples_of_both)),
    )
    some = embeddings_of_people(embedded, 2, seed=1)
    assert some.paths == tuple(sample.path for sample in samples)
    figure = embedding_figure(some, title="t", images=ImageSet(dataset.source), thumbnails=3)
    [axes] = figure.axes
    assert 1 <= len(axes.images) <= 3
    captions = {text.get_text() for text in axes.texts}
    assert captions & {f"p{sample.pid} c{sample.camid}" for sample in samples}
    legible(figure)
    assert np.asarray(axes.images[0].get_array()).shape == (32, 16, 3)
    assert not embedding_figure(some, title="t", images=ImageSet(dataset.source), thumbnails=0).axes[0].images
