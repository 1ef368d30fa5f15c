"""The benchmarks are run by hand and rarely: their imports are checked here, so that renamed functions are noticed."""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
SCRIPTS = sorted(BENCHMARKS.rglob("*.py"))


@pytest.fixture(autouse=True)
def _process_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo what a script changes in this process when it is imported."""
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, os.environ.get(name, "1"))


@pytest.mark.parametrize("script", SCRIPTS, ids=[script.relative_to(BENCHMARKS).as_posix() for script in SCRIPTS])
def test_a_script_can_be_imported(script: Path) -> None:
    found = runpy.run_path(str(script))
    assert callable(found["main"])
    assert found["__doc__"].splitlines()[0].endswith(".")


def test_the_scripts_are_found() -> None:
    assert {"retrieval.py", "ablations.py", "saliency.py"} <= {script.name for script in SCRIPTS}
