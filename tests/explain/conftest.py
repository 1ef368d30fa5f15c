from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import pytest
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text


@pytest.fixture(scope="session")
def legible() -> Callable[[Figure], None]:
    """``legible(figure)``: whatever is written is on the page, and nothing written lies on anything else written."""
    return _legible


def _legible(figure: Figure) -> None:
    FigureCanvasAgg(figure).draw()
    width, height = figure.get_size_inches() * figure.dpi
    unseen = {id(label) for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for label in _beyond(axis)}
    boxes = [
        (text.get_text(), text.get_window_extent())
        for text in figure.findobj(Text)
        if isinstance(text, Text) and text.get_text().strip() and text.get_visible() and id(text) not in unseen
    ]
    assert boxes
    for text, box in boxes:
        assert box.x0 >= 0, text
        assert box.y0 >= 0, text
        assert box.x1 <= width, text
        assert box.y1 <= height, text
    for (one, a), (other, b) in combinations(boxes, 2):
        assert not a.padded(-0.5).overlaps(b.padded(-0.5)), f"{one!r} on {other!r}"


def _beyond(axis: Axis) -> list[Text]:
    """Labels of ticks that are not drawn, as they lie beyond the axis."""
    low, high = sorted(axis.get_view_interval())
    ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
    off = [tick for tick in ticks if not low - 1e-12 <= tick.get_loc() <= high + 1e-12]  # type: ignore[attr-defined]
    return [label for tick in off for label in (tick.label1, tick.label2)]
