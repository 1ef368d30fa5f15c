"""The channel weights of every block: CWA's (AaP-ReID, 000, Eq 2–3), SE's (001, §II.B) and ECA's.

One panel per block. Above, the mean weight of each channel over images, in descending order, and its spread; below, one
row per image: where its weights lie above (orange) or below (purple) the means.
"""

from __future__ import annotations

import textwrap

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, SubFigure

from passerby.explain.attention.capture import ChannelWeights, channel_weights
from passerby.explain.images import ModelView
from passerby.figures.registry import figure
from passerby.figures.style import FONT, SERIES

_ACROSS = 4  # panels per row
_WIDTH, _HEIGHT, _TEXT = 2.5, 2.3, 1.3  # inches of a panel, and of title and foot
_KEY = 0.85
_LETTER = 0.07
_DIFFERENCE = "PuOr_r"


@figure("channel-attention", title="Channel weights", needs="samples", attention="channels", section="attention")
def channel_attention_figure(view: ModelView, *, title: str) -> Figure:
    """Draw the channel weights of every block over all images.

    Raises:
        ConfigError: if the model has no channel attention.
    """
    blocks = channel_weights(view)
    across = min(_ACROSS, len(blocks))
    down = -(-len(blocks) // across)
    width, height = max(across * _WIDTH + _KEY, 5.6), down * _HEIGHT + _TEXT
    figure = Figure(figsize=(width, height), facecolor="white", layout="constrained")
    figure.suptitle("\n".join(textwrap.wrap(title, int(width / _LETTER / 1.2))), fontsize=FONT + 1)
    foot = (
        f"{blocks[0].kind} of {len(view)} images. Line: mean weight of a channel, channels in descending order; dark "
        "band: ± one standard deviation over images; light band: least to greatest. Strips, one row per image: its "
        "weight minus the mean, orange above, purple below. σ: standard deviation between channels, and of a channel "
        "between images."
    )
    figure.supxlabel("\n".join(textwrap.wrap(foot, int(width / _LETTER))), fontsize=FONT)
    most = max(float((each.weights - each.mean).abs().quantile(0.99)) for each in map(_thinned, blocks))
    scale = Normalize(-max(most, 1e-3), max(most, 1e-3))
    whole, side = figure.subfigures(1, 2, width_ratios=(width - _KEY, _KEY), squeeze=False)[0]
    panels = whole.subfigures(down, across, squeeze=False)
    for place, panel in enumerate(panels.flat):
        if place < len(blocks):
            _draw_panel(panel, blocks[place], scale, first=place % across == 0)
    _draw_key(side, scale)
    return figure


def _thinned(block: ChannelWeights) -> ChannelWeights:
    """Keep every n-th image, so that the quantile is of at most a million values."""
    return ChannelWeights(block.where, block.kind, block.weights[:: 1 + block.weights.numel() // 1_000_000])


def _draw_panel(panel: SubFigure, block: ChannelWeights, scale: Normalize, *, first: bool) -> None:
    curve, strip = panel.subplots(2, 1, height_ratios=(2, 1), sharex=True)
    order = block.mean.argsort(descending=True)
    weights, mean, spread = (values.double().numpy() for values in (
        block.weights[:, order], block.mean[order], block.spread[order]
    ))  # fmt: skip
    x = np.arange(len(mean))
    curve.fill_between(x, weights.min(axis=0), weights.max(axis=0), color=SERIES[5], alpha=0.35, linewidth=0)
    curve.fill_between(x, mean - spread, mean + spread, color=SERIES[0], alpha=0.45, linewidth=0)
    curve.plot(x, mean, color="black", linewidth=1)
    curve.set(ylim=(0, 1), xlim=(0, len(mean) - 1))
    curve.set_title(f"{block.where}, {len(mean)} channels", fontsize=FONT)
    text = f"σ channels {block.between_channels:.3f}\nσ images {block.between_images:.3f}"
    low = float(mean[len(mean) // 2 :].mean()) > 0.5
    curve.annotate(
        text, (0.97, 0.05 if low else 0.95), xycoords="axes fraction", ha="right", va="bottom" if low else "top",
        fontsize=FONT - 1, bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1},
    )  # fmt: skip
    strip.imshow(weights - mean, aspect="auto", cmap=_DIFFERENCE, norm=scale, interpolation="antialiased")
    strip.set(yticks=[], xticks=[0, len(mean) - 1], xticklabels=["1", str(len(mean))])
    for axes in (curve, strip):
        axes.tick_params(labelsize=FONT - 1, length=2)
    curve.tick_params(labelbottom=False)
    if first:
        curve.set_ylabel("weight", fontsize=FONT)
        strip.set_ylabel("images", fontsize=FONT)


def _draw_key(side: SubFigure, scale: Normalize) -> None:
    """Draw the color bar of the strips."""
    bar = side.figure.colorbar(ScalarMappable(scale, _DIFFERENCE), cax=side.add_axes((0.05, 0.3, 0.14, 0.4)))
    bar.set_label("weight − the channel's mean", fontsize=FONT)
    bar.ax.tick_params(labelsize=FONT - 1)
