"""The explanation of a match in one figure (:mod:`passerby.explain.matching.explanation`).

It shows both images; between them the alignment of their stripes (AaP-ReID, AlignedReID++); the blocks that their
distance consists of (AANet, Attention Driven); predicted attributes (AANet); saliency maps. Panels without content are
left out.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from passerby.explain.format import format_number, format_probability
from passerby.explain.matching.attributes import Agreement, AttributePair
from passerby.explain.matching.explanation import MatchExplanation
from passerby.explain.matching.parts import PartDistance
from passerby.explain.saliency.maps import describe_limits
from passerby.figures.alignment import draw_alignment, draw_stripes
from passerby.figures.layout import LINE, FramedImage, add_axes, caption_lines, draw_framed
from passerby.figures.overlay import overlay_heatmap
from passerby.figures.style import FONT, QUERY, RIGHT, SERIES, UNKNOWN, WRONG, Frame
from passerby.types import Sample

_IMAGE, _OVERLAY = 4.0, 2.4  # inches of height, as all that follows is inches
_MARGIN, _GAP, _PATH = 0.3, 0.3, 1.5
_STRIPES, _BLOCKS, _TABLE, _CROPS = 2.3, 4.5, 4.5, 4.0
_ROW, _CROP_ROW, _HEAD = 0.21, 1.35, 0.3
_NARROWEST = 6.5
_TITLE = FONT + 3
_LETTER = 0.07
"""The width of a letter of small text."""
_LETTERS = 15.5, 17.5  # letters per inch of the title and of small text
_JUDGED: dict[Agreement, Frame] = {"agrees": RIGHT, "conflicts": WRONG, "uncertain": Frame(UNKNOWN.color, "?")}


class _Panel(NamedTuple):
    width: float
    height: float
    draw: Callable[[Figure, float, float], None]
    """The function that draws the panel on a figure, at its left and its top."""


def match_figure(found: MatchExplanation, *, title: str = "") -> Figure:
    """Draw everything that an explanation holds.

    Args:
        found: the explanation.
        title: the run, written below the figure; the sentence is above it.
    """
    columns = _columns(found)
    width = max(sum(column.width for column in columns) + _GAP * (len(columns) - 1) + 2 * _MARGIN, _NARROWEST)
    heading = textwrap.wrap(found.sentence, int((width - 2 * _MARGIN) * _LETTERS[0] * 8 / _TITLE))
    small = textwrap.wrap(_footer(found, title), int((width - 2 * _MARGIN) * _LETTERS[1]))
    above = _MARGIN + 0.21 * len(heading) + 0.35
    height = above + max(column.height for column in columns) + LINE * len(small) + _MARGIN
    figure = Figure(figsize=(width, height), facecolor="white")
    left = (width - sum(column.width for column in columns) - _GAP * (len(columns) - 1)) / 2
    _text(figure, _MARGIN, _MARGIN, "\n".join(heading), size=_TITLE, linespacing=1.35)
    _text(figure, _MARGIN, above - 0.31, _numbers(found), size=FONT + 1, color="#444444")
    _text(figure, _MARGIN, height - LINE * len(small) - 0.15, "\n".join(small), size=FONT, color="#444444")
    for column in columns:
        column.draw(figure, left, above)
        left += column.width + _GAP
    return figure


def _columns(found: MatchExplanation) -> list[_Panel]:
    """Return images; bars and table; overlays, which are below the images where the others are higher or wide."""
    images = _images(found)
    details = [panel for panel in (_blocks(found), _table(found)) if panel]
    right = _stacked(details) if details else None
    below = right is not None and (bool(found.crops) or right.height > images.height + 1)
    overlays = _overlays(found, below=below)
    columns = [images]
    if overlays and below:
        columns, overlays = [_stacked([images, overlays])], None
    return [panel for panel in (*columns, _stripes(found), right, overlays) if panel]


def _stacked(panels: Sequence[_Panel]) -> _Panel:
    def draw(figure: Figure, left: float, top: float) -> None:
        for panel in panels:
            panel.draw(figure, left, top)
            top += panel.height

    return _Panel(max(panel.width for panel in panels), sum(panel.height for panel in panels), draw)


def _images(found: MatchExplanation) -> _Panel:
    """Return A and B in frames, and the alignment between them."""
    widths, between, beyond = _places(found)

    def draw(figure: Figure, left: float, top: float) -> None:
        bottom = figure.get_size_inches()[1] - top - _HEAD - _IMAGE
        starts = (left + beyond, left + beyond + widths[0] + between)
        for side, framed in enumerate(_framed(found)):
            axes = draw_framed(figure, framed, left=starts[side], bottom=bottom, width=widths[side], height=_IMAGE)
            if found.alignment:
                draw_stripes(axes, framed.image.height, found.alignment.stripes[side])
        if found.alignment:
            path = _axes(figure, starts[0] + widths[0], top + _HEAD, between, _IMAGE)
            draw_alignment(path, found.alignment, inches=_IMAGE)

    lines = max(len(framed.caption) for framed in _framed(found))
    return _Panel(sum(widths) + between + 2 * beyond, _HEAD + _IMAGE + LINE * lines + 0.25, draw)


def _places(found: MatchExplanation) -> tuple[list[float], float, float]:
    """Return the widths of both images, the gap between them, and how far captions reach beyond them."""
    widths = [_IMAGE * image.width / image.height for image in found.images]
    captions = [_LETTER * max(map(len, framed.caption)) for framed in _framed(found)]
    reach = max(0.0, *(caption - width for caption, width in zip(captions, widths, strict=True))) / 2
    return widths, max(_PATH if found.alignment else _GAP, 2 * reach + 0.1), reach


def _framed(found: MatchExplanation) -> tuple[FramedImage, FramedImage]:
    frame = UNKNOWN if found.same is None else RIGHT if found.same else WRONG
    a, b = found.images
    return FramedImage(a, _caption("A", found.a, QUERY), QUERY), FramedImage(b, _caption("B", found.b, frame), frame)


def _caption(side: str, sample: Sample, frame: Frame) -> list[str]:
    name = sample.path.rsplit("/", 1)[-1]
    name = name if len(name) <= 26 else f"{name[:12]}…{name[-12:]}"
    return [f"{side} {frame.symbol}".rstrip(), name, *caption_lines(sample.pid, sample.camid, sample.role)]


def _stripes(found: MatchExplanation) -> _Panel | None:
    """Return the costs of stripes, drawn beside image B at the height of its stripes."""
    if not found.stripes:
        return None

    def draw(figure: Figure, left: float, top: float) -> None:
        axes = _axes(figure, left + 0.2, top + _HEAD, _STRIPES - 0.5, _IMAGE)
        costs = [part.distance for part in found.stripes]
        _bars(axes, costs, [f"{cost:.2f}" for cost in costs])
        axes.set(ylim=(len(costs) - 0.5, -0.5), yticks=range(len(costs)))
        axes.set_yticklabels([str(i + 1) for i in range(len(costs))], fontsize=FONT)
        axes.set_title(f"at the same height, Σ = {sum(costs):.3f}", fontsize=FONT + 1)
        axes.set_xlabel("cost of a stripe (0: equal)", fontsize=FONT)

    return _Panel(_STRIPES, _HEAD + _IMAGE + 0.45, draw)


def _blocks(found: MatchExplanation) -> _Panel | None:
    """Return the blocks of the distance, with the part crops that the model received."""
    parts = found.blocks
    if not parts:
        return None
    row, crops = (_CROP_ROW, _CROPS) if found.crops else (_ROW, 0.0)
    wide = _BLOCKS - (0.7 if crops else 0)
    labels = _LETTER * max(len(part.name) for part in parts) + 0.1
    total = sum(part.distance for part in parts)
    first = next((part for part in parts if part.name in found.crops), None)

    def draw(figure: Figure, left: float, top: float) -> None:
        for i, part in enumerate(parts):
            for side, image in enumerate(found.crops.get(part.name, ())):
                x, y = left + side * _CROPS / 2, top + _HEAD + i * row
                _crop(figure, image, x, y, _CROPS / 2 - 0.06, row - 0.06, title="AB"[side] * (part == first))
        axes = _axes(figure, left + crops + labels, top + _HEAD, wide - labels - 1.1, row * len(parts))
        _bars(axes, [part.dissimilarity for part in parts], [_share(part, total) for part in parts])
        axes.set(ylim=(len(parts) - 0.5, -0.5), yticks=range(len(parts)))
        axes.set_yticklabels([part.name for part in parts], fontsize=FONT)
        axes.set_title("blocks of the distance", fontsize=FONT + 1)
        axes.set_xlabel("dissimilarity (0: equal); beside it d² and its share", fontsize=FONT)

    return _Panel(crops + wide, _HEAD + row * len(parts) + 0.55, draw)


def _share(part: PartDistance, total: float) -> str:
    return (
        f"{format_number(part.distance)}, {part.distance / total:.0%}"
        if total > 0
        else f"{format_number(part.distance)}"
    )


def _bars(axes: Axes, lengths: Sequence[float], texts: Sequence[str]) -> None:
    """Draw horizontal bars, with texts beyond the right end."""
    axes.barh(range(len(lengths)), lengths, height=0.7, color=SERIES[0])
    for y, text in enumerate(texts):
        axes.annotate(
            text, (1, y), (3, 0), xycoords=axes.get_yaxis_transform(), textcoords="offset points",
            va="center", fontsize=FONT, annotation_clip=False,
        )  # fmt: skip
    axes.set_xlim(0, max([*lengths, 1e-3]) * 1.02)
    axes.locator_params(axis="x", nbins=4)
    axes.tick_params(labelsize=FONT)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _table(found: MatchExplanation) -> _Panel | None:
    """Return a table with one row per attribute: the predictions of both images, their probabilities, and agreement."""
    rows = found.attributes
    if not rows:
        return None

    def draw(figure: Figure, left: float, top: float) -> None:
        axes = _axes(figure, left, top + _HEAD, _TABLE, _ROW * (len(rows) + 1))
        axes.set(xlim=(0, _TABLE), ylim=(len(rows) + 0.5, -0.5))
        axes.axis("off")
        axes.set_title("predicted attributes (uncalibrated probability)", fontsize=FONT + 1)
        for x, heading in ((0.3, "attribute"), (1.55, "A"), (3.05, "B")):
            axes.text(x, 0, heading, va="center", fontsize=FONT, fontweight="bold")
        axes.axhline(0.5, color="black", linewidth=0.8)
        for y, row in enumerate(rows, start=1):
            _draw_row(axes, y, row)

    return _Panel(_TABLE, _HEAD + _ROW * (len(rows) + 1) + 0.2, draw)


def _draw_row(axes: Axes, y: int, row: AttributePair) -> None:
    frame = _JUDGED[row.judged]
    axes.text(0.1, y, frame.symbol, va="center", ha="center", fontsize=FONT + 2, color=frame.color, fontweight="bold")
    axes.text(0.3, y, row.group, va="center", fontsize=FONT)
    for x, value, probability in ((1.55, row.a, row.probability_a), (3.05, row.b, row.probability_b)):
        axes.text(x, y, f"{value} ({probability:.2f})", va="center", fontsize=FONT)


def _overlays(found: MatchExplanation, *, below: bool) -> _Panel | None:
    """Return both maps over their images: side by side below the images, or one above the other beside them."""
    if found.maps is None:
        return None
    images = [overlay_heatmap(image, each) for image, each in zip(found.images, found.maps, strict=True)]
    height = _OVERLAY if below else (_IMAGE - 0.3) / 2
    widths = [max(height * image.width / image.height, 1.05) for image in images]
    shown, between, beyond = _places(found)
    between += shown[0]

    def draw(figure: Figure, left: float, top: float) -> None:
        for side, (image, head) in enumerate(zip(images, ("A: similar to B", "B: similar to A"), strict=True)):
            x = left + beyond + between * side + (shown[side] - widths[side]) / 2 if below else left
            y = top + _HEAD + (0 if below else side * (height + 0.3))
            _crop(figure, image, x, y, widths[side], height, title=head)

    wide = between + shown[1] + 2 * beyond if below else max(widths)
    return _Panel(wide, _HEAD + (height if below else _IMAGE) + 0.1, draw)


def _crop(
    figure: Figure, image: Image.Image, left: float, top: float, width: float, height: float, *, title: str = ""
) -> None:
    axes = _axes(figure, left, top, width, height)
    axes.imshow(image, interpolation="lanczos")
    axes.set(xticks=[], yticks=[])
    if title:
        axes.set_title(title, fontsize=FONT + 1, pad=3)


def _axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Add axes at a place in inches from the left and the top of the figure."""
    bottom = figure.get_size_inches()[1] - top - height
    return add_axes(figure, left=left, bottom=bottom, width=width, height=height)


def _text(figure: Figure, left: float, top: float, text: str, *, size: float, **how: Any) -> None:
    whole, tall = figure.get_size_inches()
    figure.text(left / whole, 1 - top / tall, text, fontsize=size, ha="left", va="top", **how)


def _numbers(found: MatchExplanation) -> str:
    values = [f"distance {format_number(found.distance)}"]
    if found.verdict == "same file":
        values.append("same file")
    elif found.same_person is not None:
        values += [format_probability(found.same_person).replace("P", "P(same person)"), f"verdict: {found.verdict}"]
    return "   ·   ".join(values)


def _footer(found: MatchExplanation, title: str) -> str:
    """Return the run and the distance, and what the figure leaves out."""
    distance = "squared Euclidean" if found.protocol.distance == "global" else found.protocol.distance
    embeddings = "L2-normalized embeddings" if found.protocol.normalize else "embeddings"
    notes = [f"{distance} distance of {embeddings}; smaller is closer"]
    if found.same_person is not None and found.calibrated_on:
        notes.append(f"P as calibrated on {found.calibrated_on.rpartition('/')[2]}")
    if found.alignment and found.protocol.distance == "global":
        notes.append("The alignment of stripes is not part of it")
    if found.maps is not None and (limits := describe_limits([found.protocol])):
        notes.append(limits.removesuffix("."))
    if found.attributes:
        notes.append(f"?: probability below {found.confident:.0%} for one of the two")
    return f"{title or found.model}: {'. '.join(notes)}."
