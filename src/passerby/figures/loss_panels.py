"""The training losses of many runs in one figure: one panel per group, one curve per run (paper 000, AaP-ReID, Fig 4).

A curve has the same color and line in every panel, so that attention mechanisms are compared across backbones.
"""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from passerby.errors import ConfigError
from passerby.figures.layout import wrap_text
from passerby.figures.panels import draw_line
from passerby.figures.style import FONT, STYLES
from passerby.figures.training_curves import TrainingHistory, running_mean

_WIDTH, _HEIGHT, _COLUMNS = 3.6, 2.7, 2  # inches of a panel; panels per row
_TOTAL = "loss"


def loss_panels_figure(panels: Mapping[str, Mapping[str, TrainingHistory]], *, title: str) -> Figure:
    """Draw the running mean of the total loss over epochs.

    Args:
        panels: the histories by panel and name of the curve; a panel may lack some of the curves.

    Raises:
        ConfigError: if there is no curve, or there are more names than line styles.
    """
    names = list(dict.fromkeys(name for curves in panels.values() for name in curves))
    if not 1 <= len(names) <= len(STYLES):
        raise ConfigError(
            f"a figure of loss curves shows 1 to {len(STYLES)} curves per panel, got {len(names)}. Fix: make several"
        )
    rows = -(-len(panels) // _COLUMNS)
    size = _WIDTH * min(_COLUMNS, len(panels)), _HEIGHT * rows + 0.9
    figure = Figure(figsize=size, facecolor="white", layout="constrained")
    figure.suptitle(wrap_text(title, size[0]), fontsize=FONT + 1)
    places = figure.subplots(rows, min(_COLUMNS, len(panels)), squeeze=False)
    for axes, (panel, curves) in zip(places.flat, panels.items(), strict=False):
        for name, run in curves.items():
            draw_line(axes, names.index(name), *running_mean(run.epochs, run.losses[_TOTAL]))
        axes.set_title(panel, fontsize=FONT + 1)
        axes.set_xlabel("epoch", fontsize=FONT)
        axes.set_ylabel("training loss", fontsize=FONT)
        axes.tick_params(labelsize=FONT)
        axes.grid(alpha=0.3)
    for axes in places.flat[len(panels) :]:
        axes.remove()
    lines = [draw_line(places.flat[0], number, [], [], label=name) for number, name in enumerate(names)]
    figure.legend(
        handles=lines, loc="outside lower center", ncols=len(names), fontsize=FONT, frameon=False, handlelength=4
    )
    return figure
