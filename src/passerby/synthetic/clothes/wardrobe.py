"""The clothes of one person: garments chosen from the fashions and cut so that their attributes are plain to see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from passerby.synthetic.clothes import fashions
from passerby.synthetic.clothes.fashions import Season
from passerby.synthetic.clothes.palette import LOWER, UPPER, contrast, rgb, shade
from passerby.synthetic.people.person import (
    RGB,
    Garment,
    Gender,
    LowerKind,
    Outfit,
    Pattern,
    Shoes,
    UpperKind,
)
from passerby.synthetic.people.streams import Streams, pick


def make_outfit(streams: Streams, gender: Gender, skin: RGB, variety: float, index: int) -> Outfit:
    """Generate the clothes of one person; ``index`` tells her outfits apart, ``variety`` 0 makes them all plain."""
    rng = streams.shared("outfit", index)
    season: Season = "warm" if rng.random() < fashions.WARM else "cool"
    if gender == "female" and rng.random() < fashions.DRESSES:
        upper, lower = _dress(streams, season, variety, index)
    else:
        upper = _upper(streams, gender, season, variety, index)
        lower = _lower(streams, gender, season, variety, index)
    detail = streams.detail("upper", index, 1)
    opened, hooded, belted = (float(value) for value in detail.random(3))
    is_open = opened < fashions.OPEN.get(upper.kind, 0.0) * min(variety, 1.0)
    has_belt = lower.kind in ("jeans", "trousers", "shorts", "dress") and belted < 0.3 * min(variety, 1.0)
    return Outfit(
        upper=replace(upper, pattern="plain") if is_open and upper.pattern == "logo" else upper,
        inner=_inner(streams, variety, index) if is_open else None,
        lower=lower,
        shoes=_shoes(streams, gender, season, lower, skin, index),
        hood=upper.kind == "hoodie" or (upper.kind in ("jacket", "coat") and hooded < 0.3),
        belt=_one(detail, fashions.BELTS) if has_belt else None,
    )


def _upper(streams: Streams, gender: Gender, season: Season, variety: float, index: int) -> Garment:
    kind = streams.choose("upper", fashions.UPPER_KINDS[gender, season], index)
    name = pick(streams.shared("upper colour class", index), fashions.UPPER_COLORS[gender])
    color = UPPER.sample(name, streams.shared("upper colour", index))
    return _print(streams, _cut_upper(kind, color, streams.detail("upper", index)), variety, index)


LOOSE: dict[str, tuple[float, float]] = {
    "tank": (0.006, 0.02),
    "hoodie": (0.02, 0.05),
    "jacket": (0.02, 0.05),
    "coat": (0.03, 0.06),
    "leggings": (0.003, 0.006),
    "skirt": (0.01, 0.06),
    "jeans": (0.006, 0.025),
}
"""The meters of air between body and cloth; 0.008 to 0.04 in other garments."""


def _cut_upper(kind: UpperKind, color: RGB, rng: np.random.Generator) -> Garment:
    """Generate a plain upper garment. No sleeve ends near 0.6 of the arm, where short turns into long."""
    short, rolled, full = rng.uniform(0.24, 0.46), rng.uniform(0.7, 0.84), rng.uniform(0.93, 1.0)
    place = rng.random()
    sleeves = {
        "tank": 0.0,
        "polo": short,
        "dress": short,
        "tshirt": short if place < 0.96 else full,
        "shirt": short if place < 0.62 else rolled if place < 0.76 else full,
    }
    hems = {"coat": (0.18, 0.5), "jacket": (-0.04, 0.08), "shirt": (-0.02, 0.12), "tshirt": (-0.04, 0.12)}
    return Garment(
        kind=kind,
        color=color,
        second=color,
        pattern="plain",
        scale=0.05,
        detail=int(rng.integers(1 << 30)),
        loose=float(rng.uniform(*LOOSE.get(kind, (0.008, 0.04)))),
        length=float(sleeves.get(kind, rolled if place < 0.12 else full)),
        hem=float(rng.uniform(*hems.get(kind, (-0.03, 0.08)))),
    )


def _print(streams: Streams, garment: Garment, variety: float, index: int) -> Garment:
    """Give the garment its pattern, second color and trim."""
    share = min(fashions.PATTERNED * variety, 0.95)
    patterns = fashions.UPPER_PATTERNS[garment.kind]
    total = sum(patterns.values())
    weights: dict[Pattern, float] = {name: weight / total * share for name, weight in patterns.items()}
    rng = streams.detail("pattern", index)
    second = _second(garment.color, streams.shared("second colour", index))
    return replace(
        garment,
        second=second,
        pattern=streams.choose("pattern", {"plain": 1 - share, **weights}, index),
        scale=float(rng.choice([0.035, 0.05, 0.07, 0.1, 0.14]) * rng.uniform(0.85, 1.15)),
        detail=int(rng.integers(1 << 30)),
        trim=second if rng.random() < 0.3 * min(variety, 1.0) else None,
    )


def _second(color: RGB, rng: np.random.Generator) -> RGB:
    """Choose a color that shows on the first: a lighter or darker one of its hue or, mostly, one of another class."""
    if rng.random() < 0.2:
        return shade(color, float(rng.uniform(1.5, 1.9) if sum(color) < 1.2 else rng.uniform(0.5, 0.7)))
    for _ in range(10):
        second = UPPER.sample(pick(rng, fashions.SECOND_COLORS), rng)
        if contrast(color, second) > 0.2:
            return second
    return (0.93, 0.92, 0.9) if sum(color) < 1.5 else (0.12, 0.12, 0.13)


def _inner(streams: Streams, variety: float, index: int) -> Garment:
    """Generate what is worn under an open garment."""
    rng = streams.shared("inner", index)
    color = UPPER.sample(pick(rng, fashions.INNER_COLORS), rng)
    inner = replace(_cut_upper("tshirt", color, rng), loose=0.006, hem=0.0, second=_second(color, rng))
    printed, striped = rng.random(2) < (0.4 * min(variety, 1.0), 0.4)
    pattern: Pattern = "plain" if not printed else "stripes" if striped else "logo"
    return replace(inner, pattern=pattern)


def _lower(streams: Streams, gender: Gender, season: Season, variety: float, index: int) -> Garment:
    name = pick(streams.shared("lower colour class", index), fashions.LOWER_COLORS[gender])
    kinds = dict(fashions.LOWER_KINDS[gender, season])
    kinds["jeans"] *= fashions.JEANS.get(name, 0.0)
    kind = streams.choose("lower", kinds, index)
    rng = streams.detail("lower", index)
    color = LOWER.sample(name, streams.shared("lower colour", index))
    return _print_lower(_cut_lower(kind, gender, color, rng), rng, variety)


def _cut_lower(kind: LowerKind, gender: Gender, color: RGB, rng: np.random.Generator) -> Garment:
    """Generate a plain lower garment; none ends near 0.65 of the leg, where short turns into long."""
    shorts = rng.uniform(0.36, 0.58) if gender == "male" else rng.uniform(0.16, 0.46)
    skirt = rng.uniform(0.24, 0.56) if rng.random() < 0.85 else rng.uniform(0.76, 0.92)
    full = rng.uniform(0.74, 0.84) if rng.random() < 0.12 else rng.uniform(0.93, 1.0)
    lengths = {"shorts": shorts, "skirt": skirt, "dress": skirt}
    return Garment(
        kind=kind,
        color=color,
        second=color,
        pattern="plain",
        scale=0.05,
        detail=int(rng.integers(1 << 30)),
        loose=float(rng.uniform(*LOOSE.get(kind, (0.008, 0.04)))),
        length=float(lengths.get(kind, full)),
    )


def _print_lower(garment: Garment, rng: np.random.Generator, variety: float) -> Garment:
    """Give a few lower garments a pattern: skirts prints; shorts and trousers checks, camouflage or a side line."""
    patterns = fashions.LOWER_PATTERNS.get(garment.kind)
    if patterns is None or rng.random() >= fashions.LOWER_PATTERNED * min(variety, 4.0):
        return garment
    return replace(
        garment,
        second=_second(garment.color, rng),
        pattern=pick(rng, patterns),
        scale=float(rng.uniform(0.035, 0.1)),
    )


def _dress(streams: Streams, season: Season, variety: float, index: int) -> tuple[Garment, Garment]:
    """Generate one garment in two parts, which agree in all but their cut."""
    name = pick(streams.shared("upper colour class", index), fashions.UPPER_COLORS["female"])
    color = UPPER.sample(name, streams.shared("upper colour", index))
    rng = streams.detail("upper", index)
    upper = replace(_print(streams, _cut_upper("dress", color, rng), variety, index), hem=0.0)
    if season == "cool":
        upper = replace(upper, length=0.97)
    elif rng.random() < 0.35:
        upper = replace(upper, length=0.0)
    skirt = _cut_lower("dress", "female", color, streams.detail("lower", index))
    return upper, replace(upper, length=skirt.length, loose=skirt.loose)


def _shoes(streams: Streams, gender: Gender, season: Season, lower: Garment, skin: RGB, index: int) -> Shoes:
    """Generate shoes and socks; bare ankles have socks of the skin's color."""
    kinds = dict(fashions.SHOES[gender])
    if season == "cool":
        kinds |= {"sandals": 0, "boots": 10}
    if lower.kind in ("skirt", "dress"):
        kinds["sneakers"] *= 0.5
    kind = streams.choose("shoes", kinds, index)
    rng = streams.detail("shoes", index)
    color = _one(rng, fashions.LEATHER if kind in ("boots", "leather") else fashions.SHOE_COLORS)
    sole, socks = _one(rng, fashions.SOLES), _one(rng, fashions.SOCKS)
    white, bare = rng.random(2) < (0.7, 0.25)
    return Shoes(
        kind=kind,
        color=color,
        sole=(0.88, 0.87, 0.85) if kind == "sneakers" and white else sole,
        socks=skin if kind in ("sandals", "heels") or bare else socks,
    )


def _one(rng: np.random.Generator, codes: Sequence[str]) -> RGB:
    """Choose one of the colors, now and then a little lighter or darker."""
    return shade(rgb(codes[int(rng.integers(len(codes)))]), float(rng.uniform(0.88, 1.08)))
