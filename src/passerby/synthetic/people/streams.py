"""The random streams that a twin shares with her group, and those in which she differs.

Every choice has its own stream, named after what is chosen: a new garment changes no hair, and a difficulty changes
only its own subject. The names are part of the data: another name gives other people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from passerby.synthetic.settings import stream

T = TypeVar("T")
DETAILS = ("pattern", "upper", "lower", "hair", "bag", "shoes", "extra")
"""The details in which twins may differ: print, cut of the upper and lower garment, hair, bag, shoes, extras."""
PLAIN_TO_SEE = ("upper", "bag")
"""The details that survive a low resolution as prints do: twins differ in their prints and in one of these at least."""


@dataclass(frozen=True)
class Streams:
    """The random streams of one person's properties."""

    seed: int
    kind: str
    keys: tuple[int, ...]
    member: int = 0
    """The member of her group that she is."""
    differing: frozenset[str] = frozenset()
    """The details in which the group's members differ."""

    def shared(self, what: str, *keys: int) -> np.random.Generator:
        """Return a generator that is the same for the whole group."""
        return stream(self.seed, f"{self.kind} {what}", *self.keys, *keys)

    def own(self, what: str, *keys: int) -> np.random.Generator:
        """Return a generator that is different for each member."""
        return stream(self.seed, f"{self.kind} own {what}", *self.keys, *keys, self.member)

    def detail(self, what: str, *keys: int) -> np.random.Generator:
        """Return a generator that is different for each member in a detail in which the group differs, else shared."""
        return stream(self.seed, f"{self.kind} detail {what}", *self.keys, *keys, self._rank(what))

    def choose(self, what: str, weights: Mapping[T, float], *keys: int) -> T:
        """Choose one of the keys by weight; members who differ here never choose the same while there is another.

        Sorting exponentials over weights samples without replacement, and each member takes her rank.
        """
        options = [option for option, weight in weights.items() if weight > 0]
        rates = np.array([weights[option] for option in options])
        order = np.argsort(self.shared(f"choose {what}", *keys).exponential(size=len(options)) / rates)
        return options[int(order[min(self._rank(what), len(options) - 1)])]

    def _rank(self, what: str) -> int:
        return self.member if what in self.differing else 0


def streams_of(seed: int, pid: int, twins: float) -> tuple[Streams, int | None]:
    """Return the streams of a person, and her twin group: people 2k and 2k + 1, if their group's number is low."""
    group = pid // 2
    rng = stream(seed, "twins", group)
    if rng.random() >= twins:
        return Streams(seed, "person", (pid,)), None
    seen = {"pattern", PLAIN_TO_SEE[int(rng.integers(2))]}
    others = {detail for detail, chance in zip(DETAILS, rng.random(len(DETAILS)), strict=True) if chance < 0.4}
    return Streams(seed, "twin", (group,), pid % 2, frozenset(seen | others)), group


def pick(rng: np.random.Generator, weights: Mapping[T, float]) -> T:
    """Choose one of the keys by weight."""
    totals = np.cumsum(list(weights.values()))
    return list(weights)[int(np.searchsorted(totals, rng.random() * totals[-1], side="right"))]
