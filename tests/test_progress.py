"""Lines of progress: quiet at first, then one now and then."""

from __future__ import annotations

import io

import pytest

from passerby import progress
from passerby.progress import ProgressLines


def test_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    out = io.StringIO()
    lines = ProgressLines(2400, out)
    for seconds in (10, 19, 2, 29, 1, 100):
        now += seconds
        lines.advance("embedding", 400)
    assert out.getvalue().splitlines() == [
        "embedding: 1,200 of 2,400, 38.7 per second, 0:00:31 left",
        "embedding: 2,000 of 2,400, 32.8 per second, 0:00:12 left",
        "embedding: 2,400 of 2,400, 14.9 per second",
    ]
    now += 30
    lines.show("epoch 3, step", done=7, state="loss 1.5")
    assert out.getvalue().splitlines()[-1] == "epoch 3, step: 7 of 2,400, loss 1.5"


def test_the_total_may_be_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    out = io.StringIO()
    lines = ProgressLines(None, out)
    assert lines.pace == ""
    now = 40
    lines.advance("adding", 10)
    assert out.getvalue() == "adding: 10, 0.25 per second\n"
