from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from passerby.errors import ConfigError
from passerby.figures.save import save_figure
from passerby.figures.subgroups import subgroup_figure
from passerby.metrics.subgroups import Dimension, Subgroup

TITLE = (
    "runs/here on pedestrians:people=60,preset=hard: market1501-single-query, same person and camera ignored, AP step"
)


def cut(dimension: Dimension, group: str, value: str, mean_ap: float, queries: int = 1_240) -> Subgroup:
    return Subgroup(dimension, group, value, queries, 7, 0.5, mean_ap, (0.4, 0.6), (mean_ap / 2, (1 + mean_ap) / 2))


CAMERAS = [cut("cameras", str(a), str(b), a / 10 * b / 12, 3 * a) for a in range(1, 11) for b in range(1, 11) if a != b]
ATTRIBUTES = [
    cut("attributes", group, value, 0.9, queries)
    for group in ("hat", "type of lower", "lower color")
    for value, queries in (("yes", 4), ("yellow", 12_345), ("unknown", 80))
]
VISIBILITY = [
    cut("visibility", "visible keypoints", value, 0.02 * place) for place, value in enumerate(("0–9", "10–14", "18"))
]


def words(figure: Figure) -> list[Text]:
    """What is written, where it has been drawn."""
    FigureCanvasAgg(figure).draw()
    return [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]  # type: ignore[misc]


@pytest.mark.parametrize(
    "slices",
    [
        pytest.param(CAMERAS + ATTRIBUTES + VISIBILITY, id="all"),
        pytest.param(CAMERAS[:2], id="a pair of cameras"),
        pytest.param(CAMERAS, id="cameras"),
        pytest.param(ATTRIBUTES, id="attributes"),
        pytest.param(VISIBILITY, id="visibility"),
        pytest.param(VISIBILITY[:1], id="one"),
    ],
)
def test_no_text_lies_on_another_or_outside(slices: list[Subgroup], legible: Callable[[Figure], None]) -> None:
    legible(subgroup_figure(slices, mean_ap=0.03, title=TITLE))


def test_every_slice_has_its_numbers_and_few_queries_are_marked() -> None:
    shown = [text.get_text() for text in words(subgroup_figure(CAMERAS + ATTRIBUTES, mean_ap=None, title=TITLE))]
    assert sum(text.startswith(("1.7\n", "90.0")) for text in shown) == 2 + len(ATTRIBUTES)  # 1 → 2 and 2 → 1
    assert "1.7\nn 3*" in shown
    assert "n 4*, p 7" in shown
    assert "n 12,345, p 7" in shown
    assert "type of lower: yellow" in shown
    assert not any("all queries" in text for text in shown)


def test_it_is_written_as_png(tmp_path: Path) -> None:
    save_figure(subgroup_figure(VISIBILITY, mean_ap=0.5, title=TITLE), tmp_path / "slices.png", dpi=40)
    with Image.open(tmp_path / "slices.png") as image:
        assert image.format == "PNG"
        assert image.convert("L").getextrema() == (0, 255)


def test_nothing_cannot_be_drawn() -> None:
    with pytest.raises(ConfigError, match="no subgroups"):
        subgroup_figure([], mean_ap=0.5, title=TITLE)
