"""What may be asked of the generator: how large the set is, and how hard its world makes it to know somebody again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np

from passerby.errors import ConfigError

Preset = Literal["easy", "default", "hard"]
VERSION = 1
"""Of the pictures: raised whenever the same settings would draw different ones, so that no cache mixes them."""


@dataclass(frozen=True)
class Knobs:
    """The strength of each difficulty; 0 is none. Probabilities are of one picture."""

    clothes: float = 1.0
    """Variety of clothes: patterns, cuts and details beside plain colors."""
    colour: float = 1.5
    """Color transfer, exposure and white balance of the cameras."""
    background: float = 1.0
    """Clutter of the scenes."""
    light: float = 1.0
    """Sun, shade, dusk and rain."""
    occluder: float = 0.12
    """Probability of a pole, wall, car or umbrella before the person."""
    passerby: float = 0.3
    """Probability of somebody else in the picture."""
    crop: float = 1.0
    """Misalignment of the detector's box."""
    quality: float = 1.0
    """Blur, noise, low resolution and JPEG."""
    viewpoint: float = 1.0
    """How freely people turn between cameras; 0 shows everybody from the front."""
    twins: float = 0.3
    """Share of the people who have a twin: the same colors, other details."""


PRESETS: dict[str, Knobs] = {
    "easy": Knobs(colour=0.5, light=0.4, occluder=0.03, passerby=0.1, crop=0.5, quality=0.6, viewpoint=0.5, twins=0.0),
    "default": Knobs(),
    "hard": Knobs(colour=2.0, light=1.4, occluder=0.3, passerby=0.5, crop=1.5, quality=1.4, twins=0.7),
}


@dataclass(frozen=True)
class Settings:
    """One synthetic data set; equal settings give equal pictures."""

    people: int = 200
    cameras: int = 6
    images: int = 4
    """Of each person by each camera."""
    size: tuple[int, int] = (128, 64)
    """(height, width) in pixels."""
    seed: int = 0
    preset: Preset = "default"
    two_outfits: bool = False
    """Whether everybody changes clothes between the first half of the cameras and the second."""
    separate_cameras: bool = False
    """Whether training and test people are seen by different cameras (the first half, the second)."""
    changes: Mapping[str, float] = field(default_factory=dict, hash=False)
    """Knobs that differ from the preset's."""

    def __post_init__(self) -> None:
        least = {"people": 1, "cameras": 1, "images": 1, "seed": 0}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise ConfigError(f"{name} must be at least {bound}, got {getattr(self, name)}")
        if min(self.size) < 16 or max(self.size) > 2048:
            raise ConfigError(f"size is (height, width), each of 16 to 2048 pixels; got {self.size}")
        if self.preset not in PRESETS:
            raise ConfigError(f"no preset {self.preset!r}; there are {', '.join(PRESETS)}")
        unknown = self.changes.keys() - asdict(Knobs()).keys()
        if unknown:
            raise ConfigError(f"no knob {sorted(unknown)[0]!r}; there are {', '.join(asdict(Knobs()))}")
        if any(not value >= 0 for value in self.changes.values()):
            raise ConfigError(f"knobs are 0 or more, got {self.changes}")

    @property
    def knobs(self) -> Knobs:
        return replace(PRESETS[self.preset], **self.changes)

    def to_dict(self) -> dict[str, Any]:
        """What a JSON file keeps of them."""
        changes = {name: float(value) for name, value in sorted(self.changes.items())}
        known = {"knobs": asdict(self.knobs), "version": VERSION}  # presets may mean something else one day
        return {**asdict(self), "changes": changes, "size": list(self.size), **known}


def stream(seed: int, name: str, *keys: int) -> np.random.Generator:
    """An independent source of randomness for each named thing: pictures depend on nobody's order."""
    return np.random.default_rng([seed, *name.encode(), 0, *keys])
