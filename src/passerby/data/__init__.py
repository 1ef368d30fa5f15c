"""Samples to batches; ``passerby.data.load("market1501:PATH")`` gives a dataset.

It is imported when first used: processes that only draw pedestrians need no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from passerby.data.registry import load as load

__all__ = ["load"]


def __getattr__(name: str) -> object:
    if name != "load":
        raise AttributeError(f"module 'passerby.data' has no attribute {name!r}")
    from passerby.data.registry import load

    return load
