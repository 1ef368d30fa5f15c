"""The scripts of ``benchmarks/``, which are no package: imported by path."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def retrieval(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """``benchmarks/retrieval.py``; on ``sys.path``, because its worker processes import it by name."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("retrieval")
