"""The interface of a loss: its config, and the value that it returns."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from passerby.config import Frozen


class LossParts(NamedTuple):
    """The value of a loss on one batch."""

    total: Tensor
    """The scalar to minimize."""
    parts: dict[str, Tensor]
    """The weighted parts that the total is the sum of, by name."""


class BaseLossConfig(Frozen):
    """The settings of a loss; each loss derives its own, with its keyword arguments as fields and a fixed ``name``."""

    name: str

    @property
    def needs_attributes(self) -> bool:
        """A flag: batches must carry attribute labels."""
        return False

    @property
    def leaves_parameters_out(self) -> bool:
        """A flag: some parameters of the model may get no gradient (``True`` is safe, but slower on many GPUs)."""
        return True
