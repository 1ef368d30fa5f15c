"""How a gallery on disk is asked: which query is compared, by which distance, and what a hit stands for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from passerby.errors import ConfigError
from passerby.types import Distance, Rerank

Combine: TypeAlias = Literal["mean", "max"]
"""The way several images become one query: the mean of their embeddings, or the greatest similarity to any of them."""
OnePer: TypeAlias = Literal["tracklet", "person", "group"]
"""The rows of which a search shows the best one only."""


@dataclass(frozen=True, kw_only=True)
class Ask:
    """The way a gallery is asked; the default is that of every gallery.

    Raises:
        ConfigError: if parts of it exclude each other.
    """

    combine: Combine = "mean"
    """The way several images, all of one person, become one query."""
    like_ids: tuple[int, ...] = ()
    """The rows that are queries, too; they are not found."""
    positives: tuple[int, ...] = ()
    """The rows that are confirmed to show the person: the query moves towards them."""
    negatives: tuple[int, ...] = ()
    """The rows that are rejected: the query moves away from them, and they are not found."""
    rerank: Rerank | None = None
    """The re-ranking of the nearest rows with k-reciprocal encoding."""
    distance: Distance = "global"
    """The distance by which the nearest rows are ranked again: of stripes, where the gallery stores them."""
    one_per: OnePer | None = None
    """The rows of which the best one is shown: those of one tracklet, person or group."""

    def __post_init__(self) -> None:
        if both := sorted(set(self.positives) & set(self.negatives)):
            raise ConfigError(f"the row {both[0]} is both confirmed and rejected. Fix: decide")
        if self.moves and self.distance != "global":
            raise ConfigError(
                f"confirmed and rejected images move embeddings, not the stripes of distance {self.distance!r}. "
                "Fix: leave one of them out"
            )

    @property
    def moves(self) -> bool:
        """The flag that confirmed or rejected rows move the query."""
        return bool(self.positives or self.negatives)

    @property
    def orders_again(self) -> bool:
        """The flag that the nearest rows are ranked again by something else."""
        return self.rerank is not None or self.distance != "global"

    def is_of_pairs(self, queries: int) -> bool:
        """Return whether distances are those of two images, which calibrations are made of."""
        return queries == 1 and not self.moves and not self.orders_again

    def described(self, queries: int) -> str:
        """Return what is unlike a search for one image, in words; an empty text for nothing."""
        return ", ".join(self._words(queries))

    def _words(self, queries: int) -> Iterator[str]:
        if queries > 1:
            yield (
                f"{self.combine} of {queries} images"
                if self.combine == "mean"
                else f"nearest to any of {queries} images"
            )
        for count, word in ((len(self.positives), "confirmed"), (len(self.negatives), "rejected")):
            if count:
                yield f"moved by {count} {word} image{'s' if count > 1 else ''}"
        if self.distance != "global":
            yield f"the nearest ranked by distance {self.distance}"
        if self.rerank is not None:
            yield f"the nearest {self.rerank}"
        if self.one_per is not None:
            yield f"one hit per {self.one_per}"
