"""How people in videos are followed, and which crops are kept."""

from __future__ import annotations

from dataclasses import dataclass

from passerby.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class TrackletOptions:
    """The way in which people are followed and crops are chosen.

    Raises:
        ConfigError: if a number is out of its range.
    """

    every: int = 1
    """Every how many frames people are looked for."""
    crops: int = 4
    """The number of crops of a tracklet, at most."""
    least_boxes: int = 5
    """The number of boxes below which a tracklet is left out."""
    least_height: int = 32
    """The height in pixels below which a box is not kept as a crop."""
    confident: float = 0.4
    """The detector's score from which a person is followed."""
    patience: float = 1.5
    """The seconds for which a hidden person is waited for."""

    def __post_init__(self) -> None:
        for name, least in (("every", 1), ("crops", 1), ("least_boxes", 1), ("least_height", 1), ("patience", 0)):
            if not getattr(self, name) >= least:
                words = name.replace("_", " ")
                raise ConfigError(f"{words} of tracklets: got {getattr(self, name)}, expected {least} or more. Fix: "
                                  f"choose {least} or more")  # fmt: skip
