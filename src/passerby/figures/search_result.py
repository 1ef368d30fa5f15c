"""A search as a picture: the query, then its nearest pictures in a strip, nearest first.

Where it is known who the query is, right answers have a green frame and ✓, wrong ones a vermilion frame and ✗ (see
:mod:`passerby.figures.style`); a gray frame means that nobody knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from PIL import Image

from passerby.explain.format import format_number, format_probability
from passerby.figures.layout import GAP, LINE, FramedImage, caption_lines, cell_width, draw_framed
from passerby.figures.style import QUERY, RIGHT, UNKNOWN, WRONG, Frame
from passerby.types import Hit, Role

_PER_ROW = 10
_HEIGHT = 2.0  # inches of a thumbnail


def search_figure(
    query: Image.Image | None,
    hits: Sequence[tuple[Hit, Image.Image]],
    *,
    pid: int | None = None,
    camid: int | None = None,
    attributes: Mapping[str, str] | None = None,
) -> Figure:
    """The query and its hits, equally high, each with rank, distance, person and camera where known.

    Args:
        query: ``None`` where attributes alone were asked for: its place stays empty.
        pid: the query's person; ``None`` where unknown (frames are gray then).
        camid: the query's camera.
        attributes: attributes, by name of group; hits show their probability then.
    """
    wanted = [f"{group}: {value}" for group, value in (attributes or {}).items()]
    caption = ["query" if query else "asked for", "", *caption_lines(pid, camid), *wanted]
    pictures = [FramedImage(query or Image.new("RGB", (32, 64), "white"), caption, QUERY)]
    pictures += [
        FramedImage(image, _caption(hit, pid, nearness=query is not None), _frame(hit, pid)) for hit, image in hits
    ]
    wide, lines = cell_width(pictures, _HEIGHT), max(len(each.caption) for each in pictures)
    tall = _HEIGHT + lines * LINE + 2 * GAP
    columns, rows = 1 + min(len(hits), _PER_ROW), max(1, -(-len(hits) // _PER_ROW))
    figure = Figure(figsize=(columns * (wide + GAP) + GAP, rows * tall), facecolor="white")
    for i, each in enumerate(pictures):
        row, column = divmod(i - 1, _PER_ROW) if i else (0, -1)
        left, bottom = GAP + (column + 1) * (wide + GAP), (rows - row) * tall - GAP - _HEIGHT
        draw_framed(figure, each, left=left, bottom=bottom, width=wide, height=_HEIGHT)
    return figure


def _frame(hit: Hit, pid: int | None) -> Frame:
    """What kind of answer it is."""
    if pid is None or hit.pid is None:
        return UNKNOWN
    return RIGHT if hit.role is Role.PERSON and hit.pid == pid else WRONG


def _caption(hit: Hit, pid: int | None, *, nearness: bool) -> list[str]:
    numbers = [f"d = {format_number(hit.distance)}"] if nearness else []
    numbers += [] if hit.probability is None else [f"p = {hit.probability:.4f}"]
    numbers += [] if hit.same_person is None else [f"{hit.verdict} ({format_probability(hit.same_person)})"]
    return [f"#{hit.rank} {_frame(hit, pid).symbol}".rstrip(), *numbers, *caption_lines(hit.pid, hit.camid, hit.role)]
