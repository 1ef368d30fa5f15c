"""Inter-attention of Attention Driven (Yang et al., 004, Eq 8): the weights of parts as bars, per image and as mean."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from passerby.explain.attention.parts import inter_attention
from passerby.explain.images import ModelView
from passerby.figures.layout import GAP, LETTER, LINE, add_axes, sample_caption
from passerby.figures.registry import figure
from passerby.figures.style import FONT, SERIES

_ACROSS = 3
_HEIGHT, _NAMES, _BARS, _APART = 1.3, 0.85, 1.35, 0.55  # inches


@figure("inter-attention", title="Inter-attention", needs="samples", attention="inter", section="attention")
def inter_attention_figure(view: ModelView, *, title: str) -> Figure:
    """Draw the mean weights over the images, then each image with its own weights.

    Raises:
        ConfigError: if the model fuses its branches without weights.
    """
    found = inter_attention(view)
    weights = found.weights.double().numpy()
    wide = max(_HEIGHT * image.width / image.height for image in view.input_images)
    cell, tall = wide + _NAMES + _BARS + _APART, _HEIGHT + 2 * LINE + 2 * GAP
    across = min(_ACROSS, 1 + len(view))
    down = -(-(1 + len(view)) // across)
    width = across * cell + GAP
    above = textwrap.wrap(title, int(width / LETTER / 1.15))
    below = textwrap.wrap(_foot(len(view)), int((width - 2 * GAP) / LETTER))
    top = GAP + LINE * 1.15 * len(above) + GAP
    height = top + down * tall + LINE * len(below) + GAP
    figure = Figure(figsize=(width, height), facecolor="white")
    figure.text(0.5, 1 - GAP / height, "\n".join(above), ha="center", va="top", fontsize=FONT + 1)
    figure.text(GAP / width, GAP / height, "\n".join(below), ha="left", va="bottom", fontsize=FONT)
    names = [name.replace("_", " ") for name in found.names]
    for place in range(1 + len(view)):
        row, column = divmod(place, across)
        left, bottom = GAP + column * cell, height - top - row * tall - _HEIGHT
        bars = add_axes(figure, left=left + wide + _NAMES, bottom=bottom, width=_BARS, height=_HEIGHT)
        if place == 0:
            _draw_bars(bars, names, weights.mean(axis=0), spread=weights.std(axis=0))
            middle = (left + wide / 2) / width, (bottom + _HEIGHT / 2) / height
            figure.text(*middle, f"mean of\n{len(view)} images", ha="center", va="center", fontsize=FONT)
        else:
            axes = add_axes(figure, left=left, bottom=bottom, width=wide, height=_HEIGHT)
            _draw_image(axes, view.input_images[place - 1], sample_caption(view.samples[place - 1]))
            _draw_bars(bars, names, weights[place - 1])
    return figure


def _foot(images: int) -> str:
    spread = " Whiskers: standard deviation over the images." if images > 1 else ""
    return f"μ of Eq 8, between 0 and 1: the features of a branch count 1 + μ times.{spread}"


def _draw_image(axes: Axes, image: Image.Image, caption: Sequence[str]) -> None:
    axes.imshow(image, interpolation="lanczos")
    axes.set(xticks=[], yticks=[])
    axes.annotate(
        "\n".join(caption), (0.5, 0), (0, -4), xycoords="axes fraction", textcoords="offset points",
        ha="center", va="top", fontsize=FONT,
    )  # fmt: skip


def _draw_bars(
    axes: Axes, names: Sequence[str], weights: NDArray[np.float64], *, spread: NDArray[np.float64] | None = None
) -> None:
    y = np.arange(len(names))
    axes.barh(y, weights, height=0.7, color=SERIES[5] if spread is None else SERIES[4], edgecolor="#5A7F96", lw=0.5)
    if spread is not None:
        axes.errorbar(weights, y, xerr=spread, fmt="none", ecolor="black", elinewidth=1, capsize=2)
    for place, value in zip(y, weights, strict=True):
        axes.annotate(
            f"{value:.2f}", (1, place), (3, 0), xycoords=axes.get_yaxis_transform(), textcoords="offset points",
            ha="left", va="center", fontsize=FONT - 1, annotation_clip=False,
        )  # fmt: skip
    axes.set(xlim=(0, 1), ylim=(len(names) - 0.4, -0.6), yticks=y, xticks=[0, 0.5, 1])
    axes.set_yticklabels(names)
    axes.set_xticklabels(["0", "0.5", "1"])
    axes.set_xlabel("μ", fontsize=FONT, labelpad=1)
    axes.tick_params(labelsize=FONT, length=2)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
