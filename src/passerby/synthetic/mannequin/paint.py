"""The color of every visible point of a person, before light."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from passerby.synthetic.clothes.textures import cloth_color
from passerby.synthetic.mannequin import complexion, noise
from passerby.synthetic.mannequin.body import SKIRTS, WAISTBAND
from passerby.synthetic.mannequin.gait import FOREARM, SHANK, THIGH, UPPER_ARM, Floats
from passerby.synthetic.mannequin.loft import Fragments
from passerby.synthetic.mannequin.luggage import Luggage
from passerby.synthetic.mannequin.materials import Material
from passerby.synthetic.people.person import Garment, Outfit, Person

CLOSED = ("hoodie", "jacket", "coat")
"""The upper garments that reach the neck."""
NECKLINE = 0.303
"""The height where the neckline begins, share of the height over the hips."""


class Painter:
    """A painter of one person in one outfit."""

    def __init__(self, person: Person, outfit: Outfit, drop: float) -> None:
        """Prepare the painter; ``drop`` is the meters from the hips to the lower edge of a skirt."""
        self.person, self.outfit, self.drop = person, outfit, drop
        self.height = person.body.height
        self.luggage = Luggage(person.things)
        skin = person.body.skin
        self.rules: dict[Material, Callable[[Fragments], Floats]] = {
            Material.ARM: lambda f: complexion.flat(f, skin, 0.03),
            Material.NECK: lambda f: complexion.neck(person, outfit.inner or outfit.upper, f),
            Material.LEG: lambda f: complexion.leg(person, outfit.shoes, f),
            Material.FACE: complexion.Face(person),
            Material.HAIR: lambda f: complexion.hair(person, f),
            Material.UPPER: self._upper,
            Material.SLEEVE: self._sleeve,
            Material.HOOD: lambda f: complexion.flat(f, outfit.upper.color, 0.05),
            Material.LOWER: self._lower,
            Material.TROUSER: self._trouser,
            Material.SHOE: self._shoe,
            Material.HAT: lambda f: complexion.flat(f, person.hat_color, 0.05),
            Material.BAG: self.luggage.bag,
            Material.STRAP: self.luggage.strap,
            Material.UMBRELLA: self.luggage.umbrella,
            Material.GADGET: self.luggage.main,
        }

    def color(self, fragments: Fragments) -> Floats:
        """Return sRGB ``(n, 3)``. What lies under a strap becomes a strap (``fragments`` are changed in place)."""
        self.luggage.lay_straps(fragments)
        color = np.empty((len(fragments.angle), 3), np.float32)
        for material in np.unique(fragments.material):
            rows = fragments.material == material
            color[rows] = self.rules[Material(int(material))](fragments[rows])
        return np.clip(color, 0, 1, out=color)

    def _upper(self, f: Fragments) -> Floats:
        """Paint the torso and what hangs from it; an open garment shows the inner one."""
        outer = self.outfit.upper
        over_hips = np.where(f.tube == 0, f.share * self.height, f.share).astype(np.float32)
        hem = self.drop if outer.kind == "dress" else max(outer.hem, 0.0)
        total = hem + 0.31 * self.height
        color = self._cloth(outer, f, over_hips + hem, total)
        if self.outfit.inner is not None:
            self._open(color, f, over_hips, total)
        bare = self._cut_out(f)
        color[bare] = self.person.body.skin
        return color

    def _open(self, color: Floats, f: Fragments, over_hips: Floats, total: float) -> None:
        """Paint the inner garment between the edges of the open outer one (in place)."""
        inner = self.outfit.inner
        assert inner is not None
        rise = np.clip(over_hips / (0.3 * self.height), 0, 1.2).astype(np.float32)
        fall = noise.height(rise * np.float32(0.2) + np.float32(self.outfit.upper.detail % 97 / 97), rise * 0)
        gap = np.where(np.abs(f.angle) > np.pi / 2, -1.0, 0.035 + 0.05 * rise + 0.02 * fall)
        aside = np.abs(f.across)
        color[(aside >= gap) & (aside < gap + 0.012) & (gap > 0)] *= 0.7
        open_ = aside < gap
        color[open_] = self._cloth(inner, f[open_], over_hips[open_] + 0.05, total) * np.float32(0.93)

    def _cut_out(self, f: Fragments) -> NDArray[np.bool_]:
        """Return where the upper garment leaves the skin of the torso bare: ``(n,)``."""
        kind = self.outfit.upper.kind
        bare = np.zeros(len(f.share), dtype=bool)
        if kind == "tank":
            bare |= (f.share > 0.268) & (np.abs(np.sin(f.angle)) > 0.82)
        if self.outfit.inner is None and kind not in CLOSED:
            scoop = (0.012 if kind in ("shirt", "polo") else 0.024) * (1.6 if kind in ("tank", "dress") else 1.0)
            depth = scoop * np.sqrt(np.clip(1 - f.angle**2, 0, 1))
            bare |= (np.abs(f.angle) < 1.0) & (f.share > NECKLINE - depth)
        return np.asarray(bare & (f.tube == 0))

    def _sleeve(self, f: Fragments) -> Floats:
        arm, garment = (UPPER_ARM + FOREARM) * self.height, self.outfit.upper
        return self._cloth(garment, f, (garment.length - f.share) * arm, garment.length * arm, sleeve=True)

    def _lower(self, f: Fragments) -> Floats:
        """Paint the torso below the waist."""
        garment = self.outfit.lower
        leg = self.drop if garment.kind in SKIRTS else garment.length * (THIGH + SHANK) * self.height
        color = self._cloth(garment, f, f.share * self.height + leg, leg + WAISTBAND * self.height)
        if self.outfit.belt is not None:
            color[f.share > WAISTBAND - 0.018] = self.outfit.belt
        return color

    def _trouser(self, f: Fragments) -> Floats:
        garment = self.outfit.lower
        if garment.kind in SKIRTS:
            top = 0.31 if garment.kind == "dress" else 0.105
            return self._cloth(garment, f, f.share + self.drop, self.drop + top * self.height)
        leg = (THIGH + SHANK) * self.height
        return self._cloth(garment, f, (garment.length - f.share) * leg, garment.length * leg + WAISTBAND * self.height)

    def _cloth(self, garment: Garment, f: Fragments, up: Floats, total: float, *, sleeve: bool = False) -> Floats:
        """Paint cloth; ``up`` is meters above the garment's lower edge, ``total`` its height."""
        half = np.float32(np.pi) * np.abs(f.across) / np.maximum(np.abs(f.angle), 1e-3)
        back = np.abs(f.angle) > np.pi / 2
        return cloth_color(garment, f.across, up.astype(np.float32), total, back, np.full(len(up), sleeve), half)

    def _shoe(self, f: Fragments) -> Floats:
        shoes, side = self.outfit.shoes, np.abs(f.angle)
        color = complexion.flat(f, shoes.color, 0.05)
        if shoes.kind == "sandals":
            color[((f.share * 9) % 1 < 0.5) & (side < 1.9)] = self.person.body.skin
        if shoes.kind == "heels":
            color[(f.share > 0.3) & (f.share < 0.6) & (side < 0.9)] = self.person.body.skin
        if shoes.kind == "sneakers":
            laces = (side < 0.45) & (f.share > 0.42) & (f.share < 0.75)
            color[laces] = 0.5 * np.asarray(shoes.sole) + 0.5 * np.asarray(shoes.color)
        if shoes.kind != "boots":  # a boot's shaft is a piece of the leg, whose back is no sole
            color[side > (1.85 if shoes.kind == "sneakers" else 2.2)] = shoes.sole
        return color
