"""Who is drawn: everything about a synthetic person that does not change from picture to picture.

Colors are sRGB triples in 0…1; lengths are meters; the axes of a person are x to her right, y forward, z up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RGB = tuple[float, float, float]
Gender = Literal["male", "female"]
HairStyle = Literal["bald", "buzz", "short", "bob", "long", "ponytail", "bun"]
Pattern = Literal["plain", "stripes", "columns", "plaid", "gradient", "block", "logo", "dots", "camouflage", "raglan"]
UpperKind = Literal["tank", "tshirt", "polo", "shirt", "sweater", "hoodie", "jacket", "coat", "dress"]
LowerKind = Literal["trousers", "jeans", "leggings", "shorts", "skirt", "dress"]
ShoeKind = Literal["sneakers", "boots", "sandals", "heels", "leather"]
ThingKind = Literal["backpack", "shoulder_bag", "handbag", "umbrella", "phone", "trolley", "bottle"]
Side = Literal["left", "right"]


@dataclass(frozen=True)
class Body:
    """Proportions; 1 is usual for the multipliers."""

    gender: Gender
    age: int
    """Market-1501's classes: 1 young (a child), 2 teenager, 3 adult, 4 old."""
    height: float
    """Metres, without shoes."""
    girth: float
    """Multiplier of every radius."""
    shoulders: float
    hips: float
    belly: float
    legs: float
    """Multiplier of the legs' share of the height."""
    head: float
    skin: RGB


@dataclass(frozen=True)
class Hair:
    style: HairStyle
    color: RGB
    fringe: bool


@dataclass(frozen=True)
class Garment:
    kind: UpperKind | LowerKind
    color: RGB
    """The main one: what its attribute names."""
    second: RGB
    """Of the pattern's other half."""
    pattern: Pattern
    scale: float
    """Period of the pattern, meters."""
    detail: int
    """Seed of the pattern's phases and shapes."""
    loose: float
    """Air between cloth and body, meters (0.005 tight … 0.06 wide)."""
    length: float
    """Upper: share of the arm that the sleeve covers (0 none … 1 wrist). Lower: share of the leg from hip to ankle."""
    hem: float = 0.0
    """Upper only: how far it falls below the hips, meters (a coat 0.45)."""
    trim: RGB | None = None
    """Of collar, zip and cuffs, where they differ."""


@dataclass(frozen=True)
class Shoes:
    kind: ShoeKind
    color: RGB
    sole: RGB
    socks: RGB


@dataclass(frozen=True)
class Outfit:
    upper: Garment
    inner: Garment | None
    """What shows where the upper garment is open; ``None`` where it is closed."""
    lower: Garment
    shoes: Shoes
    hood: bool = False
    belt: RGB | None = None


@dataclass(frozen=True)
class Thing:
    """Something carried or worn on the body."""

    kind: ThingKind
    color: RGB
    second: RGB
    side: Side
    size: float = 1.0
    """Multiplier of its usual size."""


@dataclass(frozen=True)
class Gait:
    """How she walks; multipliers of an average walk."""

    stride: float
    arms: float
    lean: float
    """Forward lean of the torso, radians."""
    bounce: float
    turnout: float
    """Of the feet, radians."""
    hands: Literal["swing", "pockets", "front", "strap"] = "swing"


@dataclass(frozen=True)
class Person:
    pid: int
    body: Body
    hair: Hair
    outfits: tuple[Outfit, ...]
    """One, or two where clothes change."""
    things: tuple[Thing, ...]
    hat: Literal["none", "cap", "beanie", "brim"]
    hat_color: RGB
    glasses: bool
    gait: Gait
    twin_group: int | None
    """People of one group wear the same colors and differ in details; ``None`` is nobody's twin."""
