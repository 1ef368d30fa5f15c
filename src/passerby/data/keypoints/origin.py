"""The origin of keypoints: who found them, to compare those of a gallery with those of a query."""

from __future__ import annotations

from dataclasses import dataclass

AUTO, OWN, NETWORK = "auto", "own", "network"
"""The keypoint sources: a dataset's own if it has any and else the shipped network, with a warning; own; network."""
DESCRIPTIONS = {OWN: "the dataset's own", NETWORK: "found by the pose network of this package"}
"""The sources in words."""


@dataclass(frozen=True, slots=True)
class KeypointOrigin:
    """The keypoint source by which images were cropped."""

    name: str
    """The name: ``own``, ``network``, or an absolute path."""
    fingerprint: str = ""
    """The first 16 hex digits of the network's fingerprint; empty for annotations."""

    def same_as(self, other: KeypointOrigin) -> bool:
        """Return whether both give the same keypoints: networks are compared by their weights, not their paths."""
        if self.fingerprint or other.fingerprint:
            return self.fingerprint == other.fingerprint
        return self.name == other.name

    def __str__(self) -> str:
        words = DESCRIPTIONS.get(self.name, self.name)
        return f"{words}, {self.fingerprint}" if self.fingerprint else words
