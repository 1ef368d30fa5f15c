"""Self-attention (001, Eq 2): the attention of selected positions of the last feature map."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from passerby.explain.attention.capture import self_attention
from passerby.explain.images import ModelView
from passerby.figures.layout import SCALE, ImageCell, LabeledBox, image_table, map_cell, sample_caption
from passerby.figures.registry import figure


@figure("self-attention", title="Self-attention", needs="samples", attention="self", section="attention")
def self_attention_figure(view: ModelView, *, title: str, positions: Sequence[tuple[int, int]] | None = None) -> Figure:
    """Draw each image with the selected positions marked, and the attention of each position.

    Args:
        positions: rows and columns of the last feature map; ``None``: three, from top to bottom.

    Raises:
        ConfigError: if the model has no self-attention.
        ShapeError: if a position is outside the map.
    """
    found = self_attention(view, positions)
    height, width = found.rows.shape[2:]
    boxes = [
        LabeledBox(x / width, y / height, (x + 1) / width, (y + 1) / height, str(number))
        for number, (y, x) in enumerate(found.positions, start=1)
    ]
    rows = [
        [
            ImageCell(image, sample_caption(sample), boxes),
            *(map_cell(image, row, [box._replace(name="")]) for row, box in zip(attention, boxes, strict=True)),
        ]
        for sample, image, attention in zip(view.samples, view.input_images, found.rows, strict=True)
    ]
    heads = ["positions", *(f"{n}: row {y}, column {x}" for n, (y, x) in enumerate(found.positions, start=1))]
    uniform = 1 / (height * width)
    alpha = f"α = {found.alpha:.3f}".replace("-", "−")
    foot = (
        f"The attention of a position (frame) to each of the {height}×{width} positions; a map sums to 1, uniform "
        f"attention is {uniform:.3f} everywhere. The gathered features have the weight {alpha}. {SCALE}"
    )
    return image_table(rows, heads, title=title, foot=foot)
