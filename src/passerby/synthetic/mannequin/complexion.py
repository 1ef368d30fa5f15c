"""The colors of skin, faces and hair. Angles are radians from the front, heights shares of the head."""

from __future__ import annotations

import numpy as np

from passerby.synthetic.mannequin import noise
from passerby.synthetic.mannequin.gait import Floats
from passerby.synthetic.mannequin.loft import Fragments
from passerby.synthetic.people.person import RGB, Garment, Person, Shoes

COLLARS = ("shirt", "polo", "jacket", "coat", "hoodie")


def flat(f: Fragments, color: RGB, grain: float) -> Floats:
    """Return one color ``(n, 3)``, a little uneven."""
    rough = 1 + np.float32(grain) * noise.height(f.across * 3.1, f.along * 3.3)
    return np.asarray(np.asarray(color, np.float32) * rough[:, None], np.float32)


def neck(person: Person, upper: Garment, f: Fragments) -> Floats:
    """Paint the skin above the collar; a collar stands lower in front."""
    color = flat(f, person.body.skin, 0.03)
    rise = 0.52 if upper.kind in COLLARS else 0.24 if upper.kind in ("sweater", "tshirt") else 0.0
    dip = (0.25 if upper.kind in COLLARS else -0.15) * np.exp(-((f.angle / 0.5) ** 2))
    color[f.share < rise - dip] = np.asarray(upper.trim or upper.color, np.float32) * 0.95
    return color


def leg(person: Person, shoes: Shoes, f: Fragments) -> Floats:
    """Paint bare skin and socks."""
    color = flat(f, person.body.skin, 0.03)
    if shoes.kind in ("sneakers", "leather"):
        color[f.share > 0.88] = shoes.socks
    return color


def hair(person: Person, f: Fragments) -> Floats:
    """Paint strands along the fall of the hair; the scalp shines through where it is cropped."""
    strands = (
        1 + 0.14 * noise.height(f.angle * 0.9, f.along * 0.35 + 0.3) + 0.10 * noise.height(f.angle * 2.3, f.along * 0.2)
    )
    color = np.asarray(person.hair.color, np.float32) * strands[:, None].astype(np.float32)
    if person.hair.style == "buzz":
        color = 0.65 * color + 0.35 * np.asarray(person.body.skin, np.float32)
    return np.asarray(color, np.float32)


class Face:
    """A painter of eyes, brows, nose, mouth and ears."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.skin = np.asarray(person.body.skin, np.float32)
        self.hair = np.asarray(person.hair.color, np.float32)

    def __call__(self, f: Fragments) -> Floats:
        color = flat(f, self.person.body.skin, 0.02)
        side, up = np.abs(f.angle), f.share
        for at, wide, level, tall, over, strength in self._features():
            spot = np.exp(-(((side - at) / wide) ** 4) - ((up - level) / tall) ** 4)[:, None] * np.float32(strength)
            color += spot * (over - color)
        if self.person.glasses:
            self._glasses(color, side, up)
        if self.person.hair.style == "buzz":
            color[up > 0.27] = 0.4 * self.skin + 0.6 * self.hair
        return color

    def _features(self) -> list[tuple[float, float, float, float, Floats, float]]:
        """Return angle and its width, height and its width, color, and strength of each feature."""
        skin, dark = self.skin, np.full(3, 0.08, np.float32)
        red = np.array([0.80, 0.50, 0.48], np.float32)
        features = [
            (0.62, 0.30, -0.16, 0.12, skin + np.array([0.03, -0.01, -0.015], np.float32), 1.0),  # cheeks
            (0.0, 0.20, -0.29, 0.035, skin * red, 0.8),  # mouth
            (0.0, 0.13, -0.19, 0.025, skin * 0.72, 0.6),  # under the nose
            (0.36, 0.22, 0.035, 0.055, skin * 0.70, 0.55),  # sockets
            (0.37, 0.12, 0.025, 0.026, dark, 0.9),  # eyes
            (0.38, 0.19, 0.115, 0.022, self.hair * 0.8, 0.75),  # brows
            (1.62, 0.16, 0.0, 0.10, skin * np.array([0.92, 0.80, 0.76], np.float32), 1.0),  # ears
        ]
        if self.person.body.gender == "male" and self.person.body.age >= 3:
            features.append((0.0, 0.9, -0.38, 0.14, skin * 0.84, 0.35))  # a shaved chin
        return features

    def _glasses(self, color: Floats, side: Floats, up: Floats) -> None:
        """Paint rims, bridge and temples (in place)."""

        def block(at: float, wide: float, level: float, tall: float) -> Floats:
            return np.asarray(np.exp(-(((side - at) / wide) ** 4) - ((up - level) / tall) ** 4), np.float32)

        rims = np.clip(block(0.37, 0.25, 0.03, 0.075) - block(0.37, 0.18, 0.03, 0.052), 0, 1) * 1.6
        frame = np.clip(rims + block(0.9, 0.55, 0.05, 0.018) + block(0.0, 0.16, 0.05, 0.018), 0, 1)
        color += (0.85 * frame[:, None] * (0.10 - color)).astype(np.float32)
