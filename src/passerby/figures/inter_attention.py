"""Weights of parts (Yang et al., 004, Eq 8) as bars: of each picture, and their mean over all of them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from passerby.explain.attention.parts import inter_attention
from passerby.explain.images import ModelView
from passerby.figures.layout import GAP, LINE, sample_caption
from passerby.figures.style import FONT, SERIES

_ACROSS = 3
_HEIGHT, _NAMES, _BARS, _APART = 1.3, 0.85, 1.35, 0.55  # inches
_LETTER = 0.068


def inter_attention_figure(seen: ModelView, *, title: str) -> Figure:
    """The mean over the pictures first, then each picture with its own weights.

    Raises:
        ConfigError: if the model fuses its branches without weights.
    """
    found = inter_attention(seen)
    weights = found.weights.double().numpy()
    wide = max(_HEIGHT * image.width / image.height for image in seen.input_images)
    cell, tall = wide + _NAMES + _BARS + _APART, _HEIGHT + 2 * LINE + 2 * GAP
    across = min(_ACROSS, 1 + len(seen))
    down = -(-(1 + len(seen)) // across)
    width = across * cell + GAP
    above = textwrap.wrap(title, int(width / _LETTER / 1.15))
    below = textwrap.wrap(_foot(len(seen)), int((width - 2 * GAP) / _LETTER))
    head = GAP + LINE * 1.15 * len(above) + GAP
    height = head + down * tall + LINE * len(below) + GAP
    figure = Figure(figsize=(width, height), facecolor="white")
    figure.text(0.5, 1 - GAP / height, "\n".join(above), ha="center", va="top", fontsize=FONT + 1)
    figure.text(GAP / width, GAP / height, "\n".join(below), ha="left", va="bottom", fontsize=FONT)
    names = [name.replace("_", " ") for name in found.names]

    def axes(left: float, bottom: float, w: float, h: float) -> Axes:
        return figure.add_axes((left / width, bottom / height, w / width, h / height))

    for place in range(1 + len(seen)):
        row, column = divmod(place, across)
        left, bottom = GAP + column * cell, height - head - row * tall - _HEIGHT
        bars = axes(left + wide + _NAMES, bottom, _BARS, _HEIGHT)
        if place == 0:
            _bars(bars, names, weights.mean(axis=0), weights.std(axis=0))
            middle = (left + wide / 2) / width, (bottom + _HEIGHT / 2) / height
            figure.text(*middle, f"mean of\n{len(seen)} pictures", ha="center", va="center", fontsize=FONT)
        else:
            _picture(
                axes(left, bottom, wide, _HEIGHT), seen.input_images[place - 1], sample_caption(seen.samples[place - 1])
            )
            _bars(bars, names, weights[place - 1])
    return figure


def _foot(pictures: int) -> str:
    spread = " Whiskers: a standard deviation over the pictures." if pictures > 1 else ""
    return f"μ of Eq 8, between 0 and 1: a branch's features count 1 + μ times.{spread}"


def _picture(axes: Axes, image: Image.Image, caption: Sequence[str]) -> None:
    axes.imshow(image, interpolation="lanczos")
    axes.set(xticks=[], yticks=[])
    axes.annotate(
        "\n".join(caption), (0.5, 0), (0, -4), xycoords="axes fraction", textcoords="offset points",
        ha="center", va="top", fontsize=FONT,
    )  # fmt: skip


def _bars(
    axes: Axes, names: Sequence[str], weights: np.ndarray[tuple[int], np.dtype[np.float64]],
    spread: np.ndarray[tuple[int], np.dtype[np.float64]] | None = None,
) -> None:  # fmt: skip
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
