"""The frequencies of clothes, colors and patterns, and the ranges of their cuts.

Colors come as often as Market-1501's annotators saw them on men and women; the kinds are those of a warm campus
street with some cool days. Weights need not sum to anything.
"""

from __future__ import annotations

from typing import Literal

from passerby.synthetic.people.person import Gender, LowerKind, Pattern, ShoeKind, UpperKind

Season = Literal["warm", "cool"]
WARM = 0.87
"""The share of outfits for warm days."""
DRESSES = 0.17
"""The share of women's outfits that are dresses."""


def _weights(text: str) -> dict[str, float]:
    """Return ``"black 156 white 253"`` as a table."""
    words = text.split()
    return {name: float(weight) for name, weight in zip(words[::2], words[1::2], strict=True)}


UPPER_COLORS: dict[Gender, dict[str, float]] = {
    "male": _weights("black 156 white 253 red 86 purple 37 yellow 70 gray 155 blue 88 green 66"),
    "female": _weights("black 137 white 338 red 123 purple 35 yellow 58 gray 93 blue 50 green 69"),
}
"""The number of wearers per thousand people of Market-1501, training and test."""
LOWER_COLORS: dict[Gender, dict[str, float]] = {
    "male": _weights("black 432 white 46 pink 7 purple 2 yellow 5 gray 222 blue 160 green 14 brown 95"),
    "female": _weights("black 328 white 105 pink 66 purple 5 yellow 17 gray 93 blue 216 green 34 brown 56"),
}
SECOND_COLORS = _weights("white 30 black 20 gray 12 blue 12 red 10 green 5 yellow 7 purple 3")
INNER_COLORS = _weights("white 45 gray 15 black 18 blue 8 red 6 yellow 4 green 4")
BAG_COLORS = _weights("black 38 gray 12 blue 14 red 10 brown 10 green 4 purple 3 white 4 orange 2 pink 3")

UPPER_KINDS: dict[tuple[Gender, Season], dict[UpperKind, float]] = {
    ("male", "warm"): {"tshirt": 60, "polo": 14, "shirt": 14, "tank": 6, "sweater": 1, "hoodie": 2, "jacket": 2},
    ("female", "warm"): {"tshirt": 56, "polo": 4, "shirt": 18, "tank": 11, "sweater": 3, "hoodie": 1, "jacket": 4},
    ("male", "cool"): {"tshirt": 6, "shirt": 20, "sweater": 17, "hoodie": 20, "jacket": 30, "coat": 7},
    ("female", "cool"): {"tshirt": 6, "shirt": 16, "sweater": 24, "hoodie": 13, "jacket": 28, "coat": 13},
}
LOWER_KINDS: dict[tuple[Gender, Season], dict[LowerKind, float]] = {
    ("male", "warm"): {"shorts": 56, "jeans": 18, "trousers": 26},
    ("female", "warm"): {"shorts": 40, "skirt": 17, "jeans": 18, "trousers": 11, "leggings": 14},
    ("male", "cool"): {"shorts": 6, "jeans": 44, "trousers": 50},
    ("female", "cool"): {"shorts": 6, "skirt": 14, "jeans": 35, "trousers": 20, "leggings": 25},
}
JEANS = {"blue": 4.0, "black": 0.7, "gray": 0.8, "white": 0.5}
"""The factor on the share of jeans by the color of the lower garment; other colors are never denim."""
OPEN: dict[str, float] = {"jacket": 0.6, "coat": 0.5, "hoodie": 0.35, "shirt": 0.12}
"""The probability that these are open over an inner garment."""

PATTERNED = 0.45
"""The share of upper garments that are not plain, at full variety."""
_PRINTED: dict[Pattern, float] = {
    "logo": 56,
    "stripes": 18,
    "block": 8,
    "raglan": 6,
    "gradient": 4,
    "dots": 4,
    "camouflage": 2,
    "plaid": 1,
    "columns": 1,
}
_KNITTED: dict[Pattern, float] = {"stripes": 45, "block": 25, "raglan": 10, "logo": 10, "gradient": 5, "dots": 5}
_BUTTONED: dict[Pattern, float] = {"plaid": 52, "columns": 20, "stripes": 8, "dots": 10, "gradient": 4, "block": 6}
_OUTER: dict[Pattern, float] = {"block": 45, "raglan": 20, "logo": 12, "plaid": 8, "gradient": 5, "camouflage": 10}
_DRESSY: dict[Pattern, float] = {"dots": 40, "plaid": 15, "stripes": 25, "columns": 12, "camouflage": 8}
UPPER_PATTERNS: dict[str, dict[Pattern, float]] = {
    "tank": _PRINTED,
    "tshirt": _PRINTED,
    "polo": {**_KNITTED, "dots": 1},
    "shirt": _BUTTONED,
    "sweater": _KNITTED,
    "hoodie": {**_OUTER, "logo": 45},
    "jacket": _OUTER,
    "coat": {"plaid": 60, "block": 40},
    "dress": _DRESSY,
}
LOWER_PATTERNED = 0.2
LOWER_PATTERNS: dict[str, dict[Pattern, float]] = {
    "trousers": {"plaid": 2, "block": 5, "columns": 2},
    "shorts": {"plaid": 4, "block": 5, "camouflage": 2, "columns": 1},
    "skirt": _DRESSY,
}
"""The patterns of lower garments; other lower garments are plain."""

SHOES: dict[Gender, dict[ShoeKind, float]] = {
    "male": {"sneakers": 68, "sandals": 13, "leather": 16, "boots": 3},
    "female": {"sneakers": 46, "sandals": 22, "leather": 14, "boots": 4, "heels": 14},
}
SHOE_COLORS = ("e9e8e4", "d8d6d2", "1d1d20", "2a2a2f", "5d5f63", "35486b", "8a2f35", "6b4a33", "a07a52", "8fa3b5")
LEATHER = ("1d1d20", "2a2a2f", "33261f", "6b4a33", "a07a52", "8a7460")
SOLES = ("1e1d1c", "3a3028", "8f7a5e", "5a5a5c")
SOCKS = ("e6e5e0", "e6e5e0", "2b2b2f", "77797d", "41506b")
BELTS = ("1f1c1a", "4a3424", "6b4a2f")
