"""The printed calibration errors."""

from __future__ import annotations

from typing import Any

import pytest

from passerby.cli.results import print_measured


def measured(rate: float) -> dict[str, Any]:
    at = {"rate": 0.01, "distance": 0.5, "false_match_rate": rate, "true_positive_rate": 0.4}
    return {"same": 10, "different": 2000, "ece": 0.01, "ece_balanced": 0.02, "at": [at]}


@pytest.mark.parametrize("rate", [0.0, 0.004, 0.021])
def test_a_threshold_that_does_not_hold_is_reported(rate: float, capsys: pytest.CaptureFixture[str]) -> None:
    print_measured(measured(rate))
    printed = capsys.readouterr().out
    assert "off by more than a factor of 2" in printed
    assert "calibrate on images of more people" in printed


@pytest.mark.parametrize("rate", [0.005, 0.01, 0.02])
def test_a_threshold_that_holds_needs_no_remark(rate: float, capsys: pytest.CaptureFixture[str]) -> None:
    print_measured(measured(rate))
    assert "more" not in capsys.readouterr().out
