"""TODO docstring."""

from __future__ import annotations

from dataclasses import dataclass

AUTO, OWN, NETWORK = "auto", "own", "network"
"""The set's own joints where it has them, else the shipped network (which is then said); the one; the other."""


_WORDS = {OWN: "the data set's own", NETWORK: "found by the pose network of this package"}


@dataclass(frozen=True, slots=True)
class KeypointOrigin:
    """Who found the joints that pictures were cut by."""

    name: str
    """``own``, ``network``, or the place that was named, wherever it is looked at from."""
    fingerprint: str = ""
    """16 hex digits of the network; empty where the joints were known."""

    def same_as(self, other: KeypointOrigin) -> bool:
        """Whether joints of both mean the same: of a network its weights decide, not where they lie."""
        if self.fingerprint or other.fingerprint:
            return self.fingerprint == other.fingerprint
        return self.name == other.name

    def __str__(self) -> str:
        words = _WORDS.get(self.name, self.name)
        return f"{words}, {self.fingerprint}" if self.fingerprint else words
