"""A search as a picture: the query, then its nearest pictures in a strip, nearest first.

Where it is known who the query is, right answers have a green frame and ✓, wrong ones a vermilion frame and ✗ (colours
of Okabe and Ito's palette, which colour-blind readers tell apart); a grey frame means that nobody knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from passerby.files import save_figure
from passerby.types import Hit

RIGHT, WRONG, UNKNOWN, QUERY = "#009E73", "#D55E00", "#999999", "#000000"
_PER_ROW = 10
_HEIGHT = 2.0  # inches of a thumbnail; what follows is in inches too
_WIDEST = 3.0
_GAP = 0.16
_LINE = 0.155
_CHARACTER = 0.078
_FONT = 8  # points


def strip(
    query: Image.Image | None,
    hits: Sequence[tuple[Hit, Image.Image]],
    *,
    pid: int | None = None,
    camid: int | None = None,
    asked: Mapping[str, str] | None = None,
) -> Figure:
    """The query and its hits, equally high, each with rank, distance, person and camera where known.

    Args:
        query: ``None`` where attributes alone were asked for: its place stays empty.
        pid: the query's person; ``None`` where unknown (frames are grey then).
        camid: the query's camera.
        asked: attributes, by name of group; hits show their probability then.
    """
    wanted = [f"{group}: {value}" for group, value in (asked or {}).items()]
    captions = [["query" if query else "asked for", "", *_who(pid, camid), *wanted]]
    captions += [_caption(hit, pid, nearness=query is not None) for hit, _ in hits]
    images = [query or Image.new("RGB", (32, 64), "white"), *(image for _, image in hits)]
    colours = [QUERY, *(_verdict(hit, pid)[1] for hit, _ in hits)]
    wide, lines = _cell_width(images, captions), max(len(caption) for caption in captions)
    tall = _HEIGHT + lines * _LINE + 2 * _GAP
    columns, rows = 1 + min(len(hits), _PER_ROW), max(1, -(-len(hits) // _PER_ROW))
    figure = Figure(figsize=(columns * (wide + _GAP) + _GAP, rows * tall), facecolor="white")
    for i, (image, caption, colour) in enumerate(zip(images, captions, colours, strict=True)):
        row, column = divmod(i - 1, _PER_ROW) if i else (0, -1)
        left, bottom = _GAP + (column + 1) * (wide + _GAP), (rows - row) * tall - _GAP - _HEIGHT
        width, height = figure.get_size_inches()
        axes = figure.add_axes((left / width, bottom / height, wide / width, _HEIGHT / height))
        _draw(axes, image, "\n".join(caption), colour)
    return figure


def save_strip(figure: Figure, path: str | Path, *, dpi: int = 150) -> None:
    """Write the figure as PNG, whole or not at all.

    Raises:
        OutputError: if it cannot be written.
    """
    save_figure(figure, path, dpi=dpi)


def _verdict(hit: Hit, pid: int | None) -> tuple[str, str]:
    """Symbol and colour of one answer."""
    if pid is None or hit.pid is None:
        return "", UNKNOWN
    return ("✓", RIGHT) if hit.pid == pid else ("✗", WRONG)


def _caption(hit: Hit, pid: int | None, *, nearness: bool) -> list[str]:
    symbol, _ = _verdict(hit, pid)
    numbers = [f"d = {hit.distance:.4f}"] if nearness else []
    numbers += [] if hit.probability is None else [f"p = {hit.probability:.4f}"]
    numbers += [] if hit.same_person is None else [f"{hit.verdict} (P = {hit.same_person:.2f})"]
    return [f"#{hit.rank} {symbol}".rstrip(), *numbers, *_who(hit.pid, hit.camid)]


def _who(pid: int | None, camid: int | None) -> list[str]:
    return [f"{what} {label}" for what, label in (("person", pid), ("camera", camid)) if label is not None]


def _cell_width(images: Sequence[Image.Image], captions: Sequence[Sequence[str]]) -> float:
    """Inches that hold the widest picture (up to a bound, within which it is fitted) and the longest line."""
    picture = max(_HEIGHT * image.width / image.height for image in images)
    text = max(len(line) for caption in captions for line in caption) * _CHARACTER
    return max(min(picture, _WIDEST), text)


def _draw(axes: Axes, image: Image.Image, caption: str, colour: str) -> None:
    axes.imshow(image, interpolation="lanczos")
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(color=colour, linewidth=3)
    axes.annotate(
        caption, (0.5, 0), (0, -5), xycoords="axes fraction", textcoords="offset points",
        ha="center", va="top", fontsize=_FONT, color=colour if colour in (RIGHT, WRONG) else "black",
    )  # fmt: skip
