"""The colors of what is carried, and the straps that it lays over the torso."""

from __future__ import annotations

import numpy as np

from passerby.synthetic.mannequin import noise
from passerby.synthetic.mannequin.gait import Floats
from passerby.synthetic.mannequin.loft import Fragments
from passerby.synthetic.mannequin.materials import Material
from passerby.synthetic.people.person import Thing


class Luggage:
    """A painter of one person's things; ``Fragments.owner`` counts in their order."""

    def __init__(self, things: tuple[Thing, ...]) -> None:
        self.things = things
        self._main = np.array([t.color for t in things], np.float32).reshape(-1, 3)
        self._second = np.array([t.second for t in things], np.float32).reshape(-1, 3)

    def main(self, f: Fragments) -> Floats:
        color: Floats = self._main[f.owner]
        return color

    def bag(self, f: Fragments) -> Floats:
        """Paint a bag: its pocket (the second tube), its zip and its bottom have the second color."""
        first = {owner: f.tube[f.owner == owner].min() for owner in np.unique(f.owner).tolist()}
        pocket = f.tube > np.array([first.get(i, 0) for i in range(len(self.things))])[f.owner]
        seam = (np.abs(f.share - 0.62) < 0.05) | (np.abs(f.share + 0.92) < 0.06)
        color = np.where((pocket | seam)[:, None], self._second[f.owner], self._main[f.owner])
        return np.asarray(color * (1 + 0.05 * noise.height(f.across * 2.3, f.along * 2.1))[:, None], np.float32)

    def strap(self, f: Fragments) -> Floats:
        return np.asarray(0.5 * (self._main + self._second)[f.owner], np.float32)

    def umbrella(self, f: Fragments) -> Floats:
        """Paint an umbrella: eight ribs, and a rim in the second color."""
        color = np.where((f.share < 0.12)[:, None], self._second[f.owner], self._main[f.owner])
        rib = np.abs(((f.angle * np.float32(4 / np.pi)) % 1) - 0.5) > 0.44
        return np.asarray(color * np.where(rib, 0.88, 1.0)[:, None], np.float32)

    def lay_straps(self, f: Fragments) -> None:
        """Turn the torso's points under a bag's straps into straps (in place)."""
        torso = (f.tube == 0) & (f.material == Material.UPPER)
        radius = np.abs(f.across) / np.maximum(np.abs(f.angle), 1e-3)
        x = np.sin(f.angle) * radius
        before = (np.abs(f.angle) < np.pi / 2) | (f.share > 0.28)
        for number, thing in enumerate(self.things):
            if thing.kind == "backpack":
                hit = torso & before & (np.abs(np.abs(x) - 0.088) < 0.020) & (f.share > 0.155)
            elif thing.kind == "shoulder_bag":
                way = 1.0 if thing.side == "right" else -1.0
                line = way * (0.14 - 0.26 * np.clip((f.share - 0.02) / 0.26, 0, 1.1))
                hit = torso & (np.abs(x - line) < 0.017)
            else:
                continue
            f.material[hit] = Material.STRAP
            f.owner[hit] = number
