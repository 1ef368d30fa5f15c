"""Ranked list figures: nothing overlaps, symbols stand beside colors, and the text about each list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from PIL import Image

from passerby.data.attributes.query import AttributeQuery
from passerby.data.attributes.schema import MARKET
from passerby.data.source import DirectorySource
from passerby.errors import ConfigError, DatasetLayoutError
from passerby.explain.images import ImageSet
from passerby.explain.ranked_lists import Outcome, RankedHit, RankedList, ranked_lists, select_queries
from passerby.figures.ranked_list import failure_figure, ranked_list_figure
from passerby.figures.style import JUNK, QUERY, RIGHT, WRONG, Frame
from passerby.types import Embeddings, Protocol

OWN = AttributeQuery(MARKET, dict.fromkeys(range(len(MARKET.groups)), 0))


@pytest.fixture
def images(tmp_path: Path) -> ImageSet:
    for name, size in (("q.png", (64, 128)), ("g.png", (64, 128)), ("wide.png", (200, 100))):
        Image.new("RGB", size, "navy").save(tmp_path / name)
    return ImageSet(DirectorySource(tmp_path))


def hit(
    rank: int, outcome: Outcome = "true match", *, path: str = "g.png", probability: float | None = None
) -> RankedHit:
    verdict = None if probability is None else "no evidence"
    own = None if outcome == "junk" else rank
    return RankedHit(own, outcome, path, 0.1 * rank, 123_456, 7, same_person=probability, verdict=verdict)  # type: ignore[arg-type]


def a_list(hits: Sequence[RankedHit], *, path: str = "q.png", attributes: AttributeQuery | None = None) -> RankedList:
    return RankedList(path, 123_456, 1, tuple(hits), tuple(range(1, 30)), 29, 0.5, 20, 1000, attributes)


def side_texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


def frames(figure: Figure) -> list[str]:
    return [to_hex(axes.spines["left"].get_edgecolor()).upper() for axes in figure.axes]


def colors(*some: Frame) -> list[str]:
    return [frame.color for frame in some]


def extents(figure: Figure) -> list[Bbox]:
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    boxes = [b for axes in figure.axes for b in (axes.bbox.padded(-2), axes.texts[0].get_window_extent(renderer))]
    return boxes + [text.get_window_extent(renderer) for text in figure.texts]


def test_symbols_stand_beside_colors_and_a_key_below(images: ImageSet) -> None:
    hits = [hit(1), hit(2, "false match", probability=0.25), hit(3, "junk")]
    figure = ranked_list_figure({"ours": [a_list(hits)]}, images, title="a title")
    assert frames(figure) == colors(QUERY, RIGHT, WRONG, JUNK)
    captions = [axes.texts[0].get_text().splitlines() for axes in figure.axes]
    assert captions[1] == ["#1 ✓", "d = 0.1000", "person 123456", "camera 7"]
    assert captions[2][:4] == ["#2 ✗", "d = 0.2000", "P = 0.25", "no evidence"]
    assert captions[3][0] == "–"
    texts = side_texts(figure)
    assert texts[:3] == ["a title", "ours", "q.png"]
    assert "AP 50.0 %" in texts
    assert "29 true matches; at 1–29" in texts
    assert [text[0] for text in texts[-3:]] == ["✓", "✗", "–"]


@pytest.mark.parametrize(
    ("distance", "texts"),
    [(0.0, "0.000"), (5.4321e-6, "5.432e-06"), (0.2331234, "0.2331"), (13.3, "13.30"), (98765.4, "98,765")],
)
def test_distances_have_four_digits(images: ImageSet, distance: float, texts: str) -> None:
    figure = ranked_list_figure({"": [a_list([replace(hit(1), distance=distance)])]}, images, title="x")
    assert f"d = {texts}" in figure.axes[1].texts[0].get_text().splitlines()


def test_probabilities_are_never_certain(images: ImageSet) -> None:
    hits = [hit(1, probability=0.9999), hit(2, "false match", probability=0.0001)]
    figure = ranked_list_figure({"": [a_list(hits)]}, images, title="x")
    assert [axes.texts[0].get_text().splitlines()[2] for axes in figure.axes[1:]] == ["P > 0.99", "P < 0.01"]


def test_one_true_match_is_singular(images: ImageSet) -> None:
    one = replace(a_list([hit(1)]), ranks=(1,), num_matches=1)
    assert "1 true match; at 1" in side_texts(ranked_list_figure({"": [one]}, images, title="x"))


def test_ranks_are_written_as_ranges(images: ImageSet) -> None:
    ranks = (1, 2, 3, 5, 7, 8, *range(20, 60, 3))
    some = replace(a_list([hit(1)]), ranks=ranks, num_matches=20)
    texts = " ".join(side_texts(ranked_list_figure({"": [some]}, images, title="x")))
    assert "20 true matches; at 1–3, 5, 7–8, 20, 23, 26, 29, 32,\xa0…" in texts
    texts = " ".join(side_texts(ranked_list_figure({"": [replace(some, ranks=())]}, images, title="x")))
    assert "20 true matches; at no rank" in texts


def test_the_key_has_only_frames_that_occur(images: ImageSet) -> None:
    texts = side_texts(ranked_list_figure({"ours": [a_list([hit(1)])]}, images, title="x"))
    assert not any(text[0] in "✗–" for text in texts)


@pytest.mark.parametrize("runs", [1, 2])
@pytest.mark.parametrize("k", [1, 12])
def test_nothing_overlaps_and_nothing_leaves_the_page(images: ImageSet, runs: int, k: int) -> None:
    outcomes: tuple[Outcome, ...] = ("true match", "false match", "junk")
    hits = [hit(i, outcomes[i % 3], path=("g.png", "wide.png")[i % 2], probability=0.5) for i in range(1, k + 1)]
    lists = {
        f"run number {run} of a long name": [a_list(hits, attributes=OWN if run else None)] * 2 for run in range(runs)
    }
    figure = ranked_list_figure(lists, images, title="a title that is long enough to be broken into lines " * 4)
    boxes = extents(figure)
    assert len(figure.axes) == 2 * (runs * k + 1)
    for a, b in combinations(boxes, 2):
        assert not a.overlaps(b)
    for box in boxes:
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1


def test_a_baseline_stands_above_ours_below_one_query(images: ImageSet) -> None:
    lists = {"baseline": [a_list([hit(1, "false match")])], "ours": [a_list([hit(1)])]}
    figure = ranked_list_figure(lists, images, title="x")
    assert frames(figure) == colors(QUERY, WRONG, RIGHT)
    _, above, below = (axes.get_position() for axes in figure.axes)
    assert above.y0 > below.y1
    assert above.x0 == below.x0
    texts = side_texts(figure)
    assert texts.index("baseline") < texts.index("ours")
    other = [a_list([hit(1)], path="g.png")]
    with pytest.raises(ConfigError, match="lists of baseline, ours are of different queries"):
        ranked_list_figure({**lists, "ours": other}, images, title="x")
    with pytest.raises(ConfigError, match="different queries"):
        ranked_list_figure({**lists, "ours": []}, images, title="x")


def test_a_filtered_list_shows_its_filter(images: ImageSet) -> None:
    moved = RankedHit(1, "true match", "g.png", 0.1, 1, 2, rank_before=78)
    asked = AttributeQuery(MARKET, {0: 1})
    figure = ranked_list_figure(
        {"after": [a_list([moved], attributes=asked)], "none": [a_list([], attributes=asked)]}, images, title="x"
    )
    assert "was #78" in figure.axes[1].texts[0].get_text()
    texts = side_texts(figure)
    assert " ".join(texts).count("20 of 1,000 left") == 2
    assert ": ".join(*asked.values.items()) in texts
    assert "no images left" in texts


def test_no_lists_and_no_images(images: ImageSet) -> None:
    with pytest.raises(ConfigError, match="no ranked lists"):
        ranked_list_figure({}, images, title="x")
    with pytest.raises(ConfigError, match="no ranked lists"):
        ranked_list_figure({"ours": []}, images, title="x")
    with pytest.raises(DatasetLayoutError, match=r"no file 'gone\.png'"):
        ranked_list_figure({"ours": [a_list([hit(1, path="gone.png")])]}, images, title="x")


def test_failures_are_the_worst_lists(images: ImageSet) -> None:
    torch.manual_seed(0)
    pids, paths = torch.arange(6) % 3, ("q.png", "g.png", "wide.png", "q.png", "g.png", "wide.png")
    query = Embeddings(torch.randn(6, 4), paths, pids, torch.zeros(6, dtype=torch.long))
    gallery = Embeddings(torch.randn(6, 4), paths, pids, torch.ones(6, dtype=torch.long))
    figure = failure_figure(query, gallery, Protocol(), images, n=2, k=3, name="ours")
    assert len(figure.axes) == 2 * (1 + 3)
    lists = ranked_lists(query, gallery, Protocol(), select_queries(query, gallery, Protocol(), "worst", 2))
    texts = side_texts(figure)
    assert "2 queries of lowest average precision of ours" in texts[0]
    assert str(Protocol()) in " ".join(texts[0].split())
    for some in lists:
        assert f"AP {100 * (some.average_precision or 0):.1f} %" in texts
