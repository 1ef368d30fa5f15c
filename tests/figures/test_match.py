"""The match figure shows everything that an explanation has, and nothing overlaps or is cut off."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from PIL import Image

from passerby.explain.matching.alignment import Alignment, Step
from passerby.explain.matching.attributes import Agreement, AttributePair
from passerby.explain.matching.explanation import MatchExplanation
from passerby.explain.matching.parts import PartDistance
from passerby.figures.match import match_figure
from passerby.figures.style import RIGHT, WRONG
from passerby.types import Protocol, Sample

LONG = "0123456789_0123456789_0123456789_0123456789.jpg"
IMAGE = Image.new("RGB", (32, 64), "gray")


def aligned(stripes: int) -> dict[str, Any]:
    steps = [Step(0, 0, 0.1)]
    for i in range(1, stripes):
        steps += [Step(i, i - 1, 0.4), Step(i, i, 0.1)]
    parts = tuple(PartDistance(f"stripe {i}", 0.1, 0.1, f"stripe {i} of {stripes}") for i in range(1, stripes + 1))
    return {"alignment": Alignment(tuple(steps)), "stripes": parts}


STRIPES = aligned(16)
BLOCKS = {"blocks": tuple(PartDistance(f"attributes, part {i}", 10.0 * i, 0.1 * i, f"region {i}") for i in range(6))}
CROPS = {"crops": {f"attributes, part {i}": (IMAGE.crop((0, 0, 32, 16)),) * 2 for i in range(1, 5)}}
JUDGED: tuple[Agreement, ...] = ("agrees", "conflicts", "uncertain", "agrees")
ATTRIBUTES = {
    "attributes": tuple(
        AttributePair(f"length of lower {i}", "teenager", 0.9, "yellow", 0.8, judged) for i, judged in enumerate(JUDGED)
    )
}
MAPS = {"maps": (torch.rand(64, 32), torch.rand(64, 32))}
NARROW = {"images": (Image.new("RGB", (16, 64)),) * 2, "a": Sample(f"query/{LONG}", 1, 1)}
KINDS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "overlays": MAPS,
    "path": STRIPES,
    "path, overlays": {**STRIPES, **MAPS},
    "parts, overlays": {**BLOCKS, **CROPS, **MAPS},
    "attributes": {**BLOCKS, **ATTRIBUTES},
    "narrow images": {**NARROW, **MAPS},
    "narrow images, attributes": {**NARROW, **BLOCKS, **ATTRIBUTES, **MAPS},
    "everything": {**STRIPES, **BLOCKS, **CROPS, **ATTRIBUTES, **MAPS},
}


def match(**known: Any) -> MatchExplanation:
    nothing: dict[str, Any] = {
        "a": Sample("query/a.jpg", 1, 1),
        "b": Sample(f"gallery/{LONG}", 1, 2),
        "model": "aap_reid",
        "protocol": Protocol(),
        "distance": 0.25,
        "same_person": 0.97,
        "verdict": "possible",
        "false_match_rate": 1e-3,
        **dict.fromkeys(("alignment", "maps")),
        **dict.fromkeys(("stripes", "blocks", "attributes"), ()),
        "confident": 0.8,
        "images": (IMAGE, IMAGE),
        "crops": {},
    }
    return MatchExplanation(**{**nothing, **known})


def words(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts] + [text.get_text() for text in figure.texts]


def texts(figure: Figure) -> list[tuple[str, Bbox]]:
    """Return every text with its box."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    renderer = canvas.get_renderer()  # type: ignore[no-untyped-call]
    found = [*figure.texts]
    for axes in figure.axes:
        found += [*axes.texts, axes.title]
        if axes.axison:
            low, high = axes.get_xlim()  # ticks beyond the ends are not visible
            found += [axes.xaxis.label, *axes.get_yticklabels()]
            found += [label for label in axes.get_xticklabels() if low <= label.get_position()[0] <= high]
    boxes = ((text.get_text(), text.get_window_extent(renderer)) for text in found if text.get_text())
    return [(text, box) for text, box in boxes if box.width > 0]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_overlaps_or_is_cut_off(kind: str) -> None:
    figure = match_figure(match(**KINDS[kind]), title="runs/some_run (aap_reid)")
    page = figure.bbox
    boxes = texts(figure)
    for text, box in boxes:
        assert page.x0 <= box.x0 <= box.x1 <= page.x1, text
        assert page.y0 <= box.y0 <= box.y1 <= page.y1, text
    for (one, a), (other, b) in combinations(boxes, 2):
        apart = a.x1 <= b.x0 or b.x1 <= a.x0 or a.y1 <= b.y0 + 1 or b.y1 <= a.y0 + 1
        assert apart, f"{one!r} and {other!r}"
    frames = [axes.get_window_extent() for axes in figure.axes if axes.images]
    for a, b in combinations(frames, 2):
        assert a.x1 <= b.x0 or b.x1 <= a.x0 or a.y1 <= b.y0 or b.y1 <= a.y0


def test_every_step_of_the_path_has_its_cost() -> None:
    figure = match_figure(match(**STRIPES))
    costs = [text for text in words(figure) if text in ("0.10", "0.40")]
    assert len(costs) == 31 + 16  # the steps, and each stripe with that at its height
    (path,) = [axes for axes in figure.axes if len(axes.lines) == 31]
    cheap, dear = path.lines[0], path.lines[1]
    assert cheap.get_linewidth() > dear.get_linewidth()


def test_very_many_stripes_have_lines_without_numbers() -> None:
    figure = match_figure(match(**aligned(40)))
    assert "0.40" not in words(figure)


def test_attributes_have_symbols() -> None:
    shown = words(match_figure(match(**ATTRIBUTES)))
    assert [text for text in shown if text in "✓✗?"] == ["✓", "✗", "?", "✓"]
    assert "teenager (0.90)" in shown


@pytest.mark.parametrize(("pid", "symbol"), [(1, RIGHT.symbol), (2, WRONG.symbol), (None, "")])
def test_the_frame_shows_whether_it_is_the_same_person(pid: int | None, symbol: str) -> None:
    shown = words(match_figure(match(b=Sample("b.jpg", pid))))
    assert any(text.startswith(f"B {symbol}".strip() + "\n") for text in shown)


@pytest.mark.parametrize("blocks", [BLOCKS["blocks"], BLOCKS["blocks"][1:5]])
def test_maps_beside_crops_are_large(blocks: tuple[PartDistance, ...]) -> None:
    figure = match_figure(match(blocks=blocks, **CROPS, **MAPS))
    tall = [axes.bbox.height / figure.dpi for axes in figure.axes if axes.get_title().startswith(("A:", "B:"))]
    assert len(tall) == 2
    assert min(tall) > 2.2


def test_the_footer_describes_the_distance() -> None:
    footer = words(match_figure(match(**STRIPES, protocol=Protocol(distance="local")), title="my run"))[-1]
    assert "my run" in footer
    assert "not part of it" not in footer
    assert "not part of it" in words(match_figure(match(**STRIPES)))[-1]
    maps_of = match(**MAPS, protocol=Protocol(distance="local", flip_tta=True))
    footer = words(match_figure(maps_of))[-1].replace("-\n", "-").replace("\n", " ")
    assert "distance of embeddings, not that of stripes in it (local)" in footer
    assert "do not include flip test-time augmentation" in footer
    assert "Maps" not in words(match_figure(match(**MAPS)))[-1]
    assert match_figure(match(**STRIPES, same_person=None, verdict=None)).texts
