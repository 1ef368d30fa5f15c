"""Intra-attention of Attention Driven (004, Fig 7): the masks of the whole body and of its parts, block by block."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from passerby.data.keypoints.regions import PARTS
from passerby.explain.attention.parts import BLOCKS, intra_attention
from passerby.explain.images import ModelView
from passerby.figures.layout import SCALE, ImageCell, LabeledBox, image_table, map_cell, sample_caption
from passerby.figures.registry import figure


@figure("intra-attention", title="Intra-attention", needs="samples", attention="intra", section="attention")
def intra_attention_figure(view: ModelView, *, title: str) -> Figure:
    """Draw each image with the maps of blocks 2–4, of the whole body, and of the fused parts.

    Raises:
        ConfigError: if the model has no intra-attention.
    """
    found = intra_attention(view)
    heads = ["image", *(f"whole body, block {block}" for block in found.whole)]
    heads += ["part crops", *(f"parts, block {block}" for block in BLOCKS)] if found.parts else []
    rows = []
    for place, (sample, image) in enumerate(zip(view.samples, view.input_images, strict=True)):
        row = [
            ImageCell(image, sample_caption(sample)),
            *(map_cell(image, maps[place]) for maps in found.whole.values()),
        ]
        if found.parts:
            row.append(ImageCell(image, boxes=_part_boxes(view, place, list(found.parts))))
            row += [map_cell(image, maps[place]) for maps in found.fused.values()]
        rows.append(row)
    foot = (
        "The share of the features at a position that its mask adds to them (Eq 7: 1 + m times); the maps of parts lie "
        f"where the parts were cropped. {SCALE}"
    )
    return image_table(rows, heads, title=title, foot=foot)


def _part_boxes(view: ModelView, place: int, parts: Sequence[str]) -> list[LabeledBox]:
    """Return the rectangles of the parts in the frame of the whole body, clipped to it."""
    assert view.rectangles is not None  # a model of parts has part crops
    frame = view.rectangles.whole[place]
    left, top = frame[:2]
    width, height = frame[2:] - frame[:2]
    boxes = []
    for number, name in enumerate(PARTS):
        if name in parts:
            x0, y0, x1, y1 = view.rectangles.parts[place][number]
            ends = ((x0 - left) / width, (y0 - top) / height, (x1 - left) / width, (y1 - top) / height)
            x0, y0, x1, y1 = (float(min(max(end, 0), 1)) for end in ends)
            boxes.append(LabeledBox(x0, y0, x1, y1, name.replace("_", " ")))
    return boxes
