"""Saliency figures, and the pairs of images that they compare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from passerby.data.dataset import Dataset
from passerby.data.registry import load as load_dataset
from passerby.errors import ConfigError, DatasetLayoutError
from passerby.explain.format import format_number
from passerby.explain.images import ImageSet, view_samples
from passerby.explain.saliency.maps import distance_saliency, identity_saliency
from passerby.explain.saliency.pairs import select_pairs
from passerby.figures.layout import FramedImage
from passerby.figures.saliency import MapRow, SaliencyGroup, distance_groups, identity_groups, saliency_figure
from passerby.figures.style import RIGHT, UNKNOWN, WRONG
from passerby.inference.model import Model
from passerby.models.registry import create_model


@pytest.fixture(scope="module")
def people(draw_people: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("figure") / "people"
    return load_dataset(f"market1501:{draw_people(folder, people=6, cameras=2, images=2)}")


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(create_model("aap_reid", num_classes=3, backbone="resnet18_half"), (64, 32))


def test_a_query_is_compared_with_its_match_and_the_nearest_of_others(people: Dataset, model: Model) -> None:
    pairs = select_pairs(model, people, people.query[:2])
    assert [pair.same for pair in pairs] == [True, False, True, False]
    for pair in pairs:
        assert (pair.query.pid == pair.other.pid) is pair.same
    assert all(pair.query.camid != pair.other.camid for pair in pairs[::2])
    near = pairs[1]
    others = [sample for sample in people.gallery if sample.pid != near.query.pid]
    x, y = (
        torch.nn.functional.normalize(model.embed_samples(people.source, some).embedding)
        for some in ([near.query], others)
    )
    assert near.other == others[int((x - y).norm(dim=1).argmin())]
    assert select_pairs(model, people, people.query[:2]) == pairs


def test_of_unknown_people_the_nearest_is_compared(people: Dataset, model: Model) -> None:
    unknown = replace(people, gallery=tuple(replace(sample, pid=None, camid=None) for sample in people.gallery))
    (pair,) = select_pairs(model, unknown, [replace(people.gallery[0], pid=None, camid=None)])
    assert pair.same is None
    assert pair.other.path != pair.query.path
    with pytest.raises(DatasetLayoutError, match=r"no image of the person in query.* by another camera"):
        select_pairs(model, replace(people, gallery=people.gallery[-1:]), people.query[:1])


def test_pairs_and_images_become_groups(people: Dataset, model: Model) -> None:
    images, pairs = ImageSet(people.source), select_pairs(model, people, people.query[:1])
    a, b = (view_samples(model, images, some) for some in zip(*[pair[:2] for pair in pairs], strict=True))
    found = distance_saliency(a, b)
    groups = distance_groups(images, pairs, [found, found])
    assert [group.images[0].frame for group in groups] == [RIGHT, WRONG]
    assert [group.head for group in groups] == ["✓ the same person", "✗ another person"]
    assert groups[0].images[0].caption == [f"person {people.query[0].pid}", f"camera {people.query[0].camid}"]
    assert len(groups[0].rows) == 2
    assert groups[0].rows[0].caption == (f"d = {format_number(found.distances[0].item())}",)
    (alone, _) = identity_groups(images, [a], [identity_saliency(a)], [[("class 0",), ("class 1",)]])
    assert alone.rows[0].caption == ("class 0",)


def group(images: int, head: str = "") -> SaliencyGroup:
    image = Image.new("RGB", (16, 32), "white")
    framed = tuple(FramedImage(image, ["person 1", "camera 2"], UNKNOWN) for _ in range(images))
    return SaliencyGroup(head, framed, (MapRow((image,) * images, ("d = 0.1234",)),) * 2)


def boxes(
    groups: list[SaliencyGroup], names: tuple[str, str] = ("baseline", "ours")
) -> tuple[int, list[tuple[float, ...]]]:
    figure = saliency_figure(groups, names, title="Distance saliency: both on people")
    renderer, whole = FigureCanvasAgg(figure).get_renderer(), figure.bbox
    figure.draw(renderer)
    extents = [each.get_tightbbox(renderer) for each in (*figure.texts, *figure.axes)]  # with captions
    assert all(e.x0 >= 0 and e.y0 >= 0 and e.x1 <= whole.width and e.y1 <= whole.height for e in extents)
    return len(figure.axes), [(e.x0, e.y0, e.x1, e.y1) for e in extents if e.width]


@pytest.mark.parametrize("groups", [[group(1)], [group(2, "✓ the same person")] * 3, [group(1)] * 12])
def test_nothing_overlaps(groups: list[SaliencyGroup]) -> None:
    axes, found = boxes(groups)
    assert axes == 3 * sum(len(each.images) for each in groups)
    for i, (x0, y0, x1, y1) in enumerate(found):
        for a0, b0, a1, b1 in found[:i]:
            assert x1 <= a0 or a1 <= x0 or y1 <= b0 or b1 <= y0


def test_names_of_runs_are_not_cut() -> None:
    longest = "a_run_whose_name/goes_on_and_on_and_on"
    for name, lines in (("attention_driven", ["attention_driven"]), (longest, [longest[:22], longest[22:]])):
        figure = saliency_figure([group(2)], ["baseline", name], title="t")
        assert "\n".join(lines) in [text.get_text() for text in figure.texts]
        _, found = boxes([group(2)], ("baseline", name))
        for i, (x0, y0, x1, y1) in enumerate(found):
            assert all(x1 <= a0 or a1 <= x0 or y1 <= b0 or b1 <= y0 for a0, b0, a1, b1 in found[:i])


def test_every_run_has_its_maps() -> None:
    with pytest.raises(ConfigError, match="a map of each of only one"):
        saliency_figure([group(1)], ["only one"], title="")
    with pytest.raises(ConfigError, match="a map of each of baseline"):
        saliency_figure([], ["baseline"], title="")
