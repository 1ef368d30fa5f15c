"""Loss curves of many runs: a curve looks the same in every panel, and the legend names each once."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex

from passerby.errors import ConfigError
from passerby.figures.loss_panels import loss_panels_figure
from passerby.figures.training_curves import TrainingHistory


def history(level: float) -> TrainingHistory:
    steps = np.arange(1.0, 5.0)
    return TrainingHistory("run", steps, steps / 2, {"loss": level / steps}, np.ones(4), ())


def test_a_curve_has_one_color_and_the_losses_of_its_run() -> None:
    panels = {"ResNet-18": {"BAM": history(4.0), "SP": history(8.0)}, "ResNet-34": {"SP": history(2.0)}}
    figure = loss_panels_figure(panels, title="Losses")
    first, second = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["ResNet-18", "ResNet-34"]
    (sp,) = second.get_lines()
    assert list(sp.get_ydata()) == [2.0, 1.0, 2 / 3, 0.5]
    assert list(sp.get_xdata()) == [0.5, 1.0, 1.5, 2.0]
    assert to_hex(sp.get_color()) == to_hex(first.get_lines()[1].get_color())
    assert sp.get_linestyle() == first.get_lines()[1].get_linestyle()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["BAM", "SP"]


def test_no_curve_is_refused() -> None:
    with pytest.raises(ConfigError, match="1 to 7 curves per panel, got 0"):
        loss_panels_figure({"ResNet-18": {}}, title="Losses")
