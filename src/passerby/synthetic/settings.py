"""What can be asked of the generator: how large the dataset is, and how hard its world makes re-identification."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, cast

import numpy as np

from passerby.compat import current_difficulty, former_difficulty
from passerby.errors import ConfigError

Preset = Literal["easy", "default", "hard"]
MAX_IMAGES = 100_000_000
"""The number of images that a dataset may have: in the smallest size they take 100 gigabytes and years."""
VERSION = 1
"""The version of the renderer: raised whenever equal settings give other images, so that no cache mixes them."""


@dataclass(frozen=True)
class Difficulty:
    """The strength of each difficulty; 0 is none. Probabilities are those of one image."""

    clothes: float = 1.0
    """The variety of clothes: patterns, cuts and details beside plain colors."""
    color: float = 1.5
    """The differences between cameras in color transfer, exposure and white balance."""
    background: float = 1.0
    """The clutter of the scenes."""
    light: float = 1.0
    """The strength of sun, shade, dusk and rain."""
    occluder: float = 0.12
    """The probability of a pole, wall, car or umbrella before the person."""
    passerby: float = 0.3
    """The probability of another person in the image."""
    crop: float = 1.0
    """The misalignment of the detector's box."""
    quality: float = 1.0
    """The strength of blur, noise, low resolution and JPEG."""
    viewpoint: float = 1.0
    """The freedom with which people turn between cameras; 0 shows every person from the front."""
    twins: float = 0.3
    """The share of the people who have a twin: the same colors, other details."""


DIFFICULTIES = tuple(entry.name for entry in fields(Difficulty))
PRESETS: dict[str, Difficulty] = {
    "easy": Difficulty(
        color=0.5, light=0.4, occluder=0.03, passerby=0.1, crop=0.5, quality=0.6, viewpoint=0.5, twins=0.0
    ),
    "default": Difficulty(),
    "hard": Difficulty(color=2.0, light=1.4, occluder=0.3, passerby=0.5, crop=1.5, quality=1.4, twins=0.7),
}


@dataclass(frozen=True)
class Settings:
    """The settings of one synthetic dataset; equal settings give equal images."""

    people: int = 200
    """The number of identities."""
    cameras: int = 6
    """The number of cameras."""
    images: int = 4
    """The number of images of each person by each camera."""
    size: tuple[int, int] = (128, 64)
    """The image size as (height, width) in pixels."""
    seed: int = 0
    """The random seed."""
    preset: Preset = "default"
    """The name of the difficulties in :data:`PRESETS`."""
    two_outfits: bool = False
    """The choice whether every person changes clothes between the first half of the cameras and the second."""
    separate_cameras: bool = False
    """The choice whether training and test people are seen by different cameras (the first half, the second)."""
    changes: Mapping[str, float] = field(default_factory=dict, hash=False)
    """The difficulties that differ from the preset's."""

    def __post_init__(self) -> None:
        self._check_types()
        least = {"people": 1, "cameras": 1, "images": 1, "seed": 0}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise ConfigError(f"{name} must be at least {bound}, got {getattr(self, name)}")
        if (total := self.people * self.cameras * self.images) > MAX_IMAGES:
            raise ConfigError(
                f"people × cameras × images is {total:,}, expected at most {MAX_IMAGES:,}. Fix: ask for fewer of them"
            )
        if min(self.size) < 16 or max(self.size) > 2048:
            raise ConfigError(f"size is (height, width), each of 16 to 2048 pixels; got {self.size}")
        if self.preset not in PRESETS:
            raise ConfigError(f"unknown preset: got {self.preset!r}, expected one of {', '.join(PRESETS)}")
        if unknown := self.changes.keys() - {*DIFFICULTIES}:
            raise ConfigError(
                f"unknown difficulty: got {sorted(unknown)[0]!r}, expected one of {', '.join(DIFFICULTIES)}"
            )
        if any(not value >= 0 for value in self.changes.values()):
            raise ConfigError(f"difficulties must be 0 or more, got {dict(self.changes)}")

    def _check_types(self) -> None:
        """Check the types of values, which may come from a file."""
        whole = {name: getattr(self, name) for name in ("people", "cameras", "images", "seed")}
        whole |= {f"size[{place}]": side for place, side in enumerate(self.size)}
        for name, value in whole.items():
            if not isinstance(value, int) or isinstance(value, bool):
                raise ConfigError(f"{name} must be a whole number, got {value!r}")
        for name in ("two_outfits", "separate_cameras"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"{name} must be true or false, got {getattr(self, name)!r}")
        if len(self.size) != 2:
            raise ConfigError(f"size is (height, width), got {self.size!r}")
        for name, value in cast("Mapping[str, object]", self.changes).items():
            if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
                raise ConfigError(f"{name} must be a number, got {value!r}")

    @property
    def difficulty(self) -> Difficulty:
        """The difficulties of the preset with the changes applied."""
        return replace(PRESETS[self.preset], **self.changes)

    def to_dict(self) -> dict[str, Any]:
        """Return the content of ``settings.json``, which hashes are made from: its keys never change.

        The values of all difficulties belong to it, because presets may change.
        """
        changes = {former_difficulty(name): float(value) for name, value in sorted(self.changes.items())}
        strengths = {former_difficulty(name): value for name, value in asdict(self.difficulty).items()}
        return {**asdict(self), "changes": changes, "size": list(self.size), "knobs": strengths, "version": VERSION}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Settings:
        """Return the settings that :meth:`to_dict` wrote.

        Raises:
            ConfigError: if a value is out of range.
            KeyError, TypeError, AttributeError: if it is the content of another file.
        """
        values = {entry.name: content[entry.name] for entry in fields(cls)}
        changes = {current_difficulty(name): value for name, value in content["changes"].items()}
        return cls(**{**values, "size": tuple(content["size"]), "changes": changes})


def stream(seed: int, name: str, *keys: int) -> np.random.Generator:
    """Return an independent generator of random numbers for a named thing, so that no image depends on another."""
    return np.random.default_rng([seed, *name.encode(), 0, *keys])
