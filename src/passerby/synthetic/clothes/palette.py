"""The colors of cloth, and the Market-1501 color class that each color belongs to.

The rule: each class is a handful of shades that people wear; a color belongs to the class of its nearest shade,
in OKLab (Ottosson 2020), where equal distances look equally different. Sampled colors lie nearer to their own
class than to any other by a margin, so that the label says what one sees in good light.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from passerby.synthetic.people.person import RGB

MARGIN = 1.25
"""The least ratio of the distances from a sampled color to the next class and to its own."""
_LMS = np.array([[0.4122, 0.5363, 0.0514], [0.2119, 0.6807, 0.1074], [0.0883, 0.2817, 0.6300]])
_LAB = np.array([[0.2105, 0.7936, -0.0041], [1.9780, -2.4286, 0.4506], [0.0259, 0.7828, -0.8087]])
_FROM_LMS, _FROM_LAB = np.linalg.inv(_LMS), np.linalg.inv(_LAB)


def to_oklab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return sRGB in 0…1 as lightness 0…1 and two opponent colors; ``(..., 3)`` both."""
    linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    lab: NDArray[np.float64] = np.cbrt(linear @ _LMS.T) @ _LAB.T
    return lab


def from_oklab(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    """Invert :func:`to_oklab`, clipped to what an image can hold."""
    linear = np.clip(((lab @ _FROM_LAB.T) ** 3) @ _FROM_LMS.T, 0.0, 1.0)
    rgb: NDArray[np.float64] = np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)
    return rgb


def rgb(code: str) -> RGB:
    """Return ``"1b1b1e"`` as a triple in 0…1."""
    red, green, blue = (int(code[at : at + 2], 16) / 255 for at in (0, 2, 4))
    return red, green, blue


class Palette:
    """A table of named color classes, each given by its shades: hexadecimal codes separated by spaces."""

    def __init__(self, shades: Mapping[str, str]) -> None:
        self.shades = {name: tuple(rgb(code) for code in codes.split()) for name, codes in shades.items()}
        self.classes = tuple(shades)
        self._of = np.repeat(np.arange(len(shades)), [len(colors) for colors in self.shades.values()])
        self._labs = to_oklab(np.array([color for colors in self.shades.values() for color in colors]))

    def name(self, color: RGB) -> str:
        """Return the class of the nearest shade."""
        return self.classes[int(np.argmin(self._distances(to_oklab(np.array(color)))))]

    def sample(self, name: str, rng: np.random.Generator) -> RGB:
        """Sample a color of a class: between two of its shades, a little lighter or duller, far from other classes."""
        own = self._labs[self._of == self.classes.index(name)]
        for _ in range(20):
            lab = _between(own, rng)
            if self._is_clear(lab, name):
                return _triple(from_oklab(lab))
        return _triple(from_oklab(own[rng.integers(len(own))]))

    def _is_clear(self, lab: NDArray[np.float64], name: str) -> bool:
        distances = self._distances(lab)
        nearest = distances[self.classes.index(name)]
        return bool(np.sum(distances < nearest * MARGIN) == 1)

    def _distances(self, lab: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the distances of a color to the nearest shade of each class."""
        distances = np.full(len(self.classes), np.inf)
        np.minimum.at(distances, self._of, np.linalg.norm(self._labs - lab, axis=1))
        return distances


def shade(color: RGB, factor: float) -> RGB:
    """Make a color lighter (factor above 1) or darker, in sRGB."""
    red, green, blue = (round(min(value * factor, 0.97), 4) for value in color)
    return red, green, blue


def contrast(one: RGB, other: RGB) -> float:
    """Return how different two colors look: their distance in OKLab; black and white are about 1 apart."""
    return float(np.linalg.norm(to_oklab(np.array(one)) - to_oklab(np.array(other))))


def _between(shades: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    one, other = shades[rng.integers(len(shades), size=2)]
    lab: NDArray[np.float64] = one + (other - one) * rng.beta(1, 3)
    lab[0] += rng.normal(0, 0.02)
    lab[1:] = lab[1:] * rng.uniform(0.7, 1.03) + rng.normal(0, 0.006, 2)
    return lab


def _triple(color: NDArray[np.float64]) -> RGB:
    red, green, blue = (round(float(value), 4) for value in color)
    return red, green, blue


UPPER = Palette(
    {
        "black": "1b1b1e 26262b 313135 1e2027 2a2624",
        "white": "f4f3f0 e8e8e8 eeeadf e6ebf0 f1e9e6",
        "red": "b02a2e c84a45 8a1f2a a83c4a d4667a e39aa8 cf5238 e8b4bb",
        "purple": "664177 86659d a58fb8 4d325a 86407a ad85aa",
        "yellow": "d9b53a e6cf7a c79a3e d98b3a d3bd8c e9dca0 b8a070",
        "gray": "6f7073 8e8f91 a8a9ac 58595d 7c7a76 b7b5b0 9aa0a6",
        "blue": "2c4d8a 4a78b5 7ba3cf 25355f 3d8fae a5c0dc 4f6d96 2f66b0",
        "green": "2f6b3f 5a8a4f 7fb08a 42573c 3f9a84 7d8443 78c4a8 9ab86a",
    }
)
"""The eight classes of Market-1501's upper body; pink and orange count as red and yellow there."""
LOWER = Palette(
    {
        "black": "1a1a1c 242429 2e2e32 1d2026 29262a",
        "white": "f0efec e4e4e4 ebe7dd e3e8ee",
        "pink": "d78a9c c4566a e5b3ba b2364c e09a90",
        "purple": "6a3d7c 8c63a8 4d2f5c a98fc0",
        "yellow": "dcbf5e e3d29a cfa847 d9b048",
        "gray": "6b6c6f 87888a a2a3a5 54565a 7a7874 b2b0ab",
        "blue": "2f4468 40597f 5a7aa6 8aa5c4 26344f 34507c 6f8fb5",
        "green": "4a5a3e 3f6b4c 69734c 5d7a55 3c8a6c",
        "brown": "6b4a33 8a6a4a a88a66 54402f 7d654a bba07c 44342a",
    }
)
"""The nine classes of Market-1501's lower body; red counts as pink there."""
HAIR = Palette(
    {
        "black": "17130f 1d1816 241e1b",
        "dark brown": "35261d 3d2b20",
        "brown": "59402d 6b4a30",
        "blond": "a98a58 c2a572",
        "gray": "8a8886 b5b3b0",
        "dyed": "7a3327 8c4a2a 5c2a3f 9a6a3a",
    }
)
BAG = Palette(
    {
        "black": "1c1c1f 27272b 303036",
        "gray": "5b5d61 84868a",
        "blue": "26365c 3f5f92 4a86a8",
        "red": "a62d33 c44a5c 7c2430",
        "brown": "6b4a33 8c6440 b08a5e",
        "green": "3d5a3f 5d7a4a",
        "purple": "5c3a70 8a5a96",
        "white": "dedad2 ece9e4",
        "orange": "cf6f33 d89a3d",
        "pink": "d68ca0 e0a8b4",
    }
)
