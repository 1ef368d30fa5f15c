"""The materials of surfaces, and the part of the mask that each counts to."""

from __future__ import annotations

from enum import IntEnum

from passerby.data.keypoints.skeleton import PARTS


class Material(IntEnum):
    ARM = 0
    LEG = 1
    FACE = 2
    HAIR = 3
    UPPER = 4
    SLEEVE = 5
    LOWER = 6
    TROUSER = 7
    SHOE = 8
    HAT = 9
    BAG = 10
    STRAP = 11
    UMBRELLA = 12
    GADGET = 13
    NECK = 14
    HOOD = 15


_PART = {
    Material.ARM: "arms",
    Material.LEG: "legs",
    Material.FACE: "face",
    Material.HAIR: "hair",
    Material.UPPER: "upper",
    Material.SLEEVE: "upper",
    Material.LOWER: "lower",
    Material.TROUSER: "lower",
    Material.SHOE: "shoes",
    Material.HAT: "hat",
    Material.BAG: "carried",
    Material.STRAP: "carried",
    Material.UMBRELLA: "carried",
    Material.GADGET: "carried",
    Material.NECK: "arms",
    Material.HOOD: "upper",
}
PART_OF = tuple(PARTS.index(_PART[m]) for m in Material)
"""The value of the part mask of each material."""
CLOTH = (Material.UPPER, Material.SLEEVE, Material.LOWER, Material.TROUSER, Material.HOOD)
"""The materials that fall in folds."""
