"""The images of a figure, as options of a command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from passerby.cli.options import check_names_or_number

if TYPE_CHECKING:
    from passerby.data.dataset import Dataset
    from passerby.types import Sample

IMAGES = 4
"""The default number of images."""


@dataclass(frozen=True)
class SampleOptions:
    """The options that select images: some by name, or a number at random.

    Raises:
        ConfigError: if both are given.
    """

    query: Sequence[str] | None
    n: int | None
    seed: int

    def __post_init__(self) -> None:
        check_names_or_number(self.query or (), self.n)

    def select(self, dataset: Dataset, *, n: int = IMAGES) -> tuple[Sample, ...]:
        """Select the images; ``n`` is the default of their number."""
        from passerby.explain.select import select_samples

        return select_samples(dataset, self.query or (), n=self.n or n, seed=self.seed)
