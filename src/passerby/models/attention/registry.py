"""Attention mechanisms by name: a new one is one file whose factory is registered in :data:`ATTENTION`."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from passerby.errors import UnknownNameError
from passerby.registry import Registry

AttentionFactory = Callable[[int], nn.Module]

ATTENTION: Registry[AttentionFactory] = Registry("attention", "passerby.models.attention")
NONE = "none"
"""The name of no attention at all."""


def attention_factory(name: str) -> AttentionFactory | None:
    """Return the factory of the mechanism ``name``; ``None`` for ``"none"``.

    Raises:
        UnknownNameError: if there is no such mechanism.
    """
    if name == NONE:
        return None
    if name not in ATTENTION:
        raise UnknownNameError("attention", name, [NONE, *ATTENTION])
    return ATTENTION[name]
