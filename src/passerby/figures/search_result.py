"""The result of a search: the query and its hits in a strip, nearest first.

If the identity of the query is known, true matches have a green frame and ✓, false matches a vermilion frame and ✗ (see
:mod:`passerby.figures.style`); a gray frame stands for an unknown identity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from PIL import Image

from passerby.explain.format import format_number, format_probability
from passerby.figures.layout import GAP, LINE, FramedImage, caption_lines, cell_width, draw_framed
from passerby.figures.style import FONT, QUERY, RIGHT, UNKNOWN, WRONG, Frame
from passerby.types import Hit, Role

_PER_ROW = 10
_HEIGHT = 2.0  # inches of a thumbnail
_GONE = Image.new("RGB", (32, 64), (200, 200, 200))
"""The tile of an image that is gone."""


def search_figure(
    query: Image.Image | None,
    hits: Sequence[tuple[Hit, Image.Image | None]],
    *,
    pid: int | None = None,
    camid: int | None = None,
    attributes: Mapping[str, str] | None = None,
    calibrated_on: str | None = None,
) -> Figure:
    """Draw the query and its hits at the same height, each with rank, distance, person and camera where known.

    Args:
        query: the image of the query; ``None`` for a search by attributes alone: its place stays empty.
        hits: the hits with their images; ``None`` where an image is gone: a gray tile stands for it.
        pid: the person ID of the query; ``None`` if unknown (frames are gray then).
        camid: the camera ID of the query.
        attributes: the requested attributes by group; hits show their probability then.
        calibrated_on: the images that the probabilities of the same person were fitted on, to be named.
    """
    wanted = [f"{group}: {value}" for group, value in (attributes or {}).items()]
    caption = ["query" if query else "attributes", "", *caption_lines(pid, camid), *wanted]
    caption += [] if calibrated_on is None else ["P as calibrated on", calibrated_on.rpartition("/")[2]]
    images = [FramedImage(query or Image.new("RGB", (32, 64), "white"), caption, QUERY)]
    images += [
        FramedImage(image or _GONE, _caption(hit, pid, image, nearness=query is not None), _frame(hit, pid))
        for hit, image in hits
    ]
    wide, lines = cell_width(images, _HEIGHT), max(len(each.caption) for each in images)
    tall = _HEIGHT + lines * LINE + 2 * GAP
    columns, rows = 1 + max(1, min(len(hits), _PER_ROW)), max(1, -(-len(hits) // _PER_ROW))
    figure = Figure(figsize=(columns * (wide + GAP) + GAP, rows * tall), facecolor="white")
    for i, each in enumerate(images):
        row, column = divmod(i - 1, _PER_ROW) if i else (0, -1)
        left, bottom = GAP + (column + 1) * (wide + GAP), (rows - row) * tall - GAP - _HEIGHT
        draw_framed(figure, each, left=left, bottom=bottom, width=wide, height=_HEIGHT)
    if not hits:
        width, height = figure.get_size_inches()
        place = (2 * GAP + wide + GAP) / width, (tall - GAP - _HEIGHT / 2) / height
        figure.text(*place, "no images\nsatisfy the\nconditions", fontsize=FONT, va="center")
    return figure


def _frame(hit: Hit, pid: int | None) -> Frame:
    """Return the frame of a true match, a false match or an unknown identity."""
    if pid is None or hit.pid is None:
        return UNKNOWN
    return RIGHT if hit.role is Role.PERSON and hit.pid == pid else WRONG


def _caption(hit: Hit, pid: int | None, image: Image.Image | None, *, nearness: bool) -> list[str]:
    numbers = [f"d = {format_number(hit.distance)}"] if nearness else []
    numbers += [] if hit.probability is None else [f"p = {hit.probability:.4f}"]
    verdict = "" if hit.same_person is None else f" ({format_probability(hit.same_person)})"
    numbers += [] if hit.verdict is None else [f"{hit.verdict}{verdict}"]
    numbers += [] if image is not None else ["image is gone"]
    return [f"#{hit.rank} {_frame(hit, pid).symbol}".rstrip(), *numbers, *caption_lines(hit.pid, hit.camid, hit.role)]
