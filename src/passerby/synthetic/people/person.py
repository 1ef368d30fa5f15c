"""The data that describe a synthetic person: all that does not change from image to image.

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
    """The proportions of a body; 1 is usual for the multipliers."""

    gender: Gender
    age: int
    """The class of Market-1501: 1 young (a child), 2 teenager, 3 adult, 4 old."""
    height: float
    """The height in meters, without shoes."""
    girth: float
    """The multiplier of every radius."""
    shoulders: float
    hips: float
    belly: float
    legs: float
    """The multiplier of the legs' share of the height."""
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
    """The main color: what its attribute names."""
    second: RGB
    """The color of the pattern's other half."""
    pattern: Pattern
    scale: float
    """The period of the pattern, meters."""
    detail: int
    """The seed of the pattern's phases and shapes."""
    loose: float
    """The air between cloth and body, meters (0.005 tight … 0.06 wide)."""
    length: float
    """The share of the arm that the sleeve covers (0 none … 1 wrist); of a lower garment, of the leg from hip to ankle.
    """
    hem: float = 0.0
    """The meters that an upper garment falls below the hips (a coat 0.45)."""
    trim: RGB | None = None
    """The color of collar, zip and cuffs, where they differ."""


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
    """The garment that shows where the upper one is open; ``None`` where it is closed."""
    lower: Garment
    shoes: Shoes
    hood: bool = False
    belt: RGB | None = None


@dataclass(frozen=True)
class Thing:
    """A thing that is carried or worn on the body."""

    kind: ThingKind
    color: RGB
    second: RGB
    side: Side
    size: float = 1.0
    """The multiplier of its usual size."""


@dataclass(frozen=True)
class Gait:
    """The way of walking; multipliers of an average walk."""

    stride: float
    arms: float
    lean: float
    """The forward lean of the torso, radians."""
    bounce: float
    turnout: float
    """The outward turn of the feet, radians."""
    hands: Literal["swing", "pockets", "front", "strap"] = "swing"


@dataclass(frozen=True)
class Person:
    pid: int
    body: Body
    hair: Hair
    outfits: tuple[Outfit, ...]
    """The outfit, or two where clothes change."""
    things: tuple[Thing, ...]
    hat: Literal["none", "cap", "beanie", "brim"]
    hat_color: RGB
    glasses: bool
    gait: Gait
    twin_group: int | None
    """The group of people who wear the same colors and differ in details; ``None`` for a person without a twin."""
