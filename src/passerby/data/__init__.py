"""Samples to batches; ``passerby.data.load("market1501:PATH")`` gives a dataset."""

from __future__ import annotations

from passerby.data.registry import load as load

__all__ = ["load"]
