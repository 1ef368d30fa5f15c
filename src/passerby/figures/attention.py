"""Attention over pictures: rows of self-attention (001), SP's and BAM's weights (000), and Fig 7 of 004.

AANet's maps are drawn by :mod:`passerby.figures.attributes`, channel weights by
:mod:`passerby.figures.channel_attention`, weights of parts by :mod:`passerby.figures.inter_attention`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from passerby.data.keypoints.regions import PARTS
from passerby.explain.attention.capture import position_weights, self_attention
from passerby.explain.attention.parts import BLOCKS, intra_attention
from passerby.explain.images import ModelView
from passerby.figures.layout import ImageCell, LabeledBox, heatmap_cell, image_table, sample_caption

_FLAT = 0.01
"""A weight that differs by less over a picture chooses nothing there."""
_SCALE = "Each map is scaled by itself, dark least, bright most; below it, its least and greatest value."


def self_attention_figure(seen: ModelView, positions: Sequence[tuple[int, int]] | None = None, *, title: str) -> Figure:
    """Each picture with the chosen positions marked, and beside it where each of them looks.

    Raises:
        ConfigError: if the model has no self-attention.
        ShapeError: for a position outside the map.
    """
    found = self_attention(seen, positions)
    height, width = found.rows.shape[2:]
    boxes = [
        LabeledBox(x / width, y / height, (x + 1) / width, (y + 1) / height, str(number))
        for number, (y, x) in enumerate(found.positions, start=1)
    ]
    rows = []
    for place, sample in enumerate(seen.samples):
        looks = found.rows[place]
        rows.append([ImageCell(seen.input_images[place], sample_caption(sample), boxes)])
        rows[-1] += [
            _over(seen.input_images[place], row, [box._replace(name="")]) for row, box in zip(looks, boxes, strict=True)
        ]
    heads = ["positions", *(f"{n}: row {y}, column {x}" for n, (y, x) in enumerate(found.positions, start=1))]
    even = 1 / (height * width)
    foot = (
        f"What a position (frame) takes from each of the {height}×{width} positions; a map adds up to 1, even "
        f"attention is {even:.3f} everywhere. What is gathered counts {_alpha(found.alpha)} times. {_SCALE}"
    )
    return image_table(rows, heads, title=title, foot=foot)


def _alpha(value: float) -> str:
    return f"α = {value:.3f}".replace("-", "−")


def position_attention_figure(seen: ModelView, *, title: str) -> Figure:
    """Each picture, and the weights of its positions block by block.

    Raises:
        ConfigError: if the model weighs no positions.
    """
    found = position_weights(seen)
    heads = ["picture", *(f"{each.kind}, {each.where}" for each in found)]
    rows = [
        [ImageCell(image, sample_caption(sample)), *(_over(image, each.weights[place]) for each in found)]
        for place, (sample, image) in enumerate(zip(seen.samples, seen.input_images, strict=True))
    ]
    return image_table(rows, heads, title=title, foot=_SCALE)


def intra_attention_figure(seen: ModelView, *, title: str) -> Figure:
    """Fig 7: each picture with the maps of blocks 2–4, of the whole body, and of the parts, fused.

    Raises:
        ConfigError: if the model has no intra-attention.
    """
    found = intra_attention(seen)
    heads = ["picture", *(f"whole body, block {block}" for block in found.whole)]
    heads += ["where parts were cut", *(f"parts, block {block}" for block in BLOCKS)] if found.parts else []
    rows = []
    for place, (sample, image) in enumerate(zip(seen.samples, seen.input_images, strict=True)):
        row = [ImageCell(image, sample_caption(sample)), *(_over(image, maps[place]) for maps in found.whole.values())]
        if found.parts:
            row.append(ImageCell(image, boxes=_cut(seen, place, list(found.parts))))
            row += [_over(image, maps[place]) for maps in found.fused.values()]
        rows.append(row)
    foot = (
        "How much of the features at a position its mask adds to them (Eq 7: 1 + m times); the parts' maps lie where "
        f"the parts were cut. {_SCALE}"
    )
    return image_table(rows, heads, title=title, foot=foot)


def _over(image: Image.Image, values: Float[Tensor, "h w"], boxes: Sequence[LabeledBox] = ()) -> ImageCell:
    """A map over a picture; one that is as good as constant is drawn as such."""
    known = values[~values.isnan()]
    is_flat = len(known) > 0 and bool(known.max() - known.min() < _FLAT)
    return ImageCell(heatmap_cell(image, torch.zeros_like(values) if is_flat else values), [_ends(values)], boxes)


def _ends(values: Float[Tensor, "h w"]) -> str:
    known = values[~values.isnan()]
    if len(known) and known.max() - known.min() < _FLAT:
        return f"{known.mean():.2f} all over"
    return f"{known.min():.2f}–{known.max():.2f}" if len(known) else "none"


def _cut(seen: ModelView, place: int, parts: Sequence[str]) -> list[LabeledBox]:
    """Rectangles of the parts in the whole body's frame; what lies outside is cut off."""
    assert seen.rectangles is not None  # a model of parts was shown some
    frame = seen.rectangles.whole[place]
    left, top = frame[:2]
    width, height = frame[2:] - frame[:2]
    boxes = []
    for number, name in enumerate(PARTS):
        if name in parts:
            x0, y0, x1, y1 = seen.rectangles.parts[place][number]
            ends = ((x0 - left) / width, (y0 - top) / height, (x1 - left) / width, (y1 - top) / height)
            x0, y0, x1, y1 = (float(min(max(end, 0), 1)) for end in ends)
            boxes.append(LabeledBox(x0, y0, x1, y1, name.replace("_", " ")))
    return boxes
