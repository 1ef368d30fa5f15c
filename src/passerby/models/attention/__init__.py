"""Attention mechanisms, one file each. A factory takes a block's channel count and builds one module."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

from passerby.errors import UnknownNameError
from passerby.models.attention.bam import BAM
from passerby.models.attention.cwa import CWA
from passerby.models.attention.eca import ECA
from passerby.models.attention.sp import SP

AttentionFactory = Callable[[int], nn.Module]

_FACTORIES: dict[str, AttentionFactory | None] = {
    "none": None,
    "cwa_mul": partial(CWA, mode="mul"),
    "cwa_add": partial(CWA, mode="add"),
    "eca": ECA,
    "bam": BAM,
    "sp": SP,
}


def attention_factory(name: str) -> AttentionFactory | None:
    """The mechanism called ``name``; ``None`` for ``"none"``.

    Raises:
        UnknownNameError: if there is no such mechanism.
    """
    if name not in _FACTORIES:
        raise UnknownNameError("attention", name, _FACTORIES)
    return _FACTORIES[name]
