"""Position weights of SP and BAM (000, Table 3), block by block."""

from __future__ import annotations

from matplotlib.figure import Figure

from passerby.explain.attention.capture import position_weights
from passerby.explain.images import ModelView
from passerby.figures.layout import SCALE, ImageCell, image_table, map_cell, sample_caption
from passerby.figures.registry import figure


@figure("position-attention", title="Position weights", needs="samples", attention="positions", section="attention")
def position_attention_figure(view: ModelView, *, title: str) -> Figure:
    """Draw each image, and the weights of its positions block by block.

    Raises:
        ConfigError: if the model has no position attention.
    """
    found = position_weights(view)
    heads = ["image", *(f"{each.kind}, {each.where}" for each in found)]
    rows = [
        [ImageCell(image, sample_caption(sample)), *(map_cell(image, each.weights[place]) for each in found)]
        for place, (sample, image) in enumerate(zip(view.samples, view.input_images, strict=True))
    ]
    return image_table(rows, heads, title=title, foot=SCALE)
