"""The population of the synthetic world: bodies, hair, clothes, things and gaits like those of a campus street."""

from __future__ import annotations

from typing import Literal

import numpy as np

from passerby.synthetic.clothes.fashions import BAG_COLORS
from passerby.synthetic.clothes.palette import BAG, HAIR, shade
from passerby.synthetic.clothes.wardrobe import make_outfit
from passerby.synthetic.people.person import RGB, Body, Gait, Gender, Hair, HairStyle, Person, Side, Thing, ThingKind
from passerby.synthetic.people.streams import Streams, pick, streams_of
from passerby.synthetic.settings import Difficulty, Settings

Hat = Literal["none", "cap", "beanie", "brim"]
Hands = Literal["swing", "pockets", "front", "strap"]
AGES = {1: 3.0, 2: 62.0, 3: 30.0, 4: 5.0}
"""The percentages of child, teenager (a student), adult and old."""
SKIN = (
    (0.94, 0.82, 0.75),
    (0.87, 0.71, 0.61),
    (0.77, 0.59, 0.47),
    (0.6, 0.43, 0.33),
    (0.42, 0.29, 0.22),
    (0.27, 0.18, 0.14),
)
"""The skin tones from very light to very dark."""
STYLES: dict[Gender, dict[HairStyle, float]] = {
    "male": {"bald": 0, "buzz": 20, "short": 74, "bob": 4, "long": 1, "ponytail": 1},
    "female": {"short": 8, "bob": 17, "long": 37, "ponytail": 29, "bun": 9},
}
HATS: dict[Hat, float] = {"none": 94, "cap": 3.2, "beanie": 0.8, "brim": 2}
Bags = tuple[ThingKind, ...]
BAGS: dict[Gender, dict[Bags, float]] = {
    "male": {
        (): 53,
        ("backpack",): 27.5,
        ("shoulder_bag",): 12,
        ("handbag",): 5,
        ("backpack", "handbag"): 1.5,
        ("backpack", "shoulder_bag"): 1,
    },
    "female": {
        (): 34,
        ("backpack",): 20.5,
        ("shoulder_bag",): 24,
        ("handbag",): 15,
        ("backpack", "handbag"): 2,
        ("shoulder_bag", "handbag"): 3.5,
        ("backpack", "shoulder_bag"): 1,
    },
}
EXTRAS: dict[ThingKind | None, float] = {None: 78, "phone": 8, "bottle": 8, "umbrella": 3, "trolley": 3}


def make_person(settings: Settings, pid: int) -> Person:
    """Generate person ``pid`` (0, 1, …) of the dataset: a function of seed, difficulty and pid alone."""
    streams, group = streams_of(settings.seed, pid, settings.difficulty.twins)
    return _person(streams, pid, group, settings.difficulty.clothes, 2 if settings.two_outfits else 1)


def make_passerby(seed: int, *keys: int) -> Person:
    """Generate a passer-by, who has no identity in the dataset: her random streams have another name."""
    return _person(Streams(seed, "passerby", keys), -1, None, Difficulty().clothes, 1)


def _person(streams: Streams, pid: int, group: int | None, variety: float, outfits: int) -> Person:
    body = _body(streams)
    things = _things(streams, body)
    rng = streams.detail("extra", 1)
    return Person(
        pid=pid,
        body=body,
        hair=_hair(streams, body),
        outfits=tuple(make_outfit(streams, body.gender, body.skin, variety, index) for index in range(outfits)),
        things=things,
        hat=pick(rng, HATS),
        hat_color=BAG.sample(pick(rng, BAG_COLORS), rng),
        glasses=bool(rng.random() < 0.25),
        gait=_gait(streams, body, things),
        twin_group=group,
    )


def _body(streams: Streams) -> Body:
    """Generate the group's build; twins differ in it by little."""
    rng, own = streams.shared("body"), streams.own("body")
    gender: Gender = "male" if rng.random() < 0.55 else "female"
    age = pick(rng, AGES)
    male = gender == "male"
    height = rng.normal(1.74, 0.06) if male else rng.normal(1.62, 0.055)
    height = rng.uniform(1.1, 1.48) if age == 1 else height - (0.05 if age == 4 else 0.0)
    heavy = {1: -0.02, 2: 0.0, 3: 0.03, 4: 0.05}[age]
    return Body(
        gender=gender,
        age=age,
        height=float(np.clip(height + own.normal(0, 0.008), 1.1, 2.0)),
        girth=float(np.clip(rng.normal(1.0 + heavy, 0.07) + own.normal(0, 0.01), 0.84, 1.28)),
        shoulders=float(np.clip(rng.normal(1.05 if male else 0.95, 0.04), 0.82, 1.18)),
        hips=float(np.clip(rng.normal(0.96 if male else 1.05, 0.04), 0.84, 1.2)),
        belly=float(np.clip(rng.normal(1.0 + 2 * heavy, 0.08 + abs(heavy)), 0.85, 1.45)),
        legs=float(rng.normal(0.95 if age == 1 else 1.0, 0.02)),
        head=float(rng.normal(1.18 if age == 1 else 1.0, 0.03)),
        skin=_skin(rng),
    )


def _skin(rng: np.random.Generator) -> RGB:
    """Generate any tone of :data:`SKIN`, most often one of the lighter middle."""
    place = rng.uniform(0, len(SKIN) - 1) if rng.random() < 0.22 else np.clip(rng.normal(1.3, 0.5), 0.2, 3)
    tones = np.array(SKIN)
    tone = [np.interp(place, np.arange(len(SKIN)), tones[:, channel]) for channel in range(3)]
    red, green, blue = (round(float(np.clip(value + rng.normal(0, 0.012), 0.08, 0.97)), 4) for value in tone)
    return red, green, blue


def _hair(streams: Streams, body: Body) -> Hair:
    weights = dict(STYLES[body.gender])
    if body.gender == "male" and body.age >= 3:
        weights["bald"] = 6.0 if body.age == 3 else 30.0
    if body.age == 4:
        weights |= {"long": 2, "ponytail": 3}
    rng = streams.shared("hair colour")
    colors = {"black": 62, "brown": 9, "blond": 4, "gray": 2, "dyed": 4} | {"dark brown": 20}
    if sum(body.skin) < 1.4:
        colors = {"black": 85, "dyed": 2} | {"dark brown": 14}
    if body.age == 4:
        colors = {"black": 30, "gray": 70}
    return Hair(
        style=streams.choose("hair", weights),
        color=HAIR.sample(pick(rng, colors), rng),
        fringe=bool(streams.detail("hair").random() < (0.45 if body.gender == "female" else 0.3)),
    )


def _things(streams: Streams, body: Body) -> tuple[Thing, ...]:
    """Generate bags and what the hands hold; no hand holds two."""
    kinds = streams.choose("bag", BAGS[body.gender])
    extra = pick(streams.detail("extra", 2), EXTRAS) if body.age > 1 else None
    rng, tint = streams.detail("bag"), streams.shared("bag colour")
    color, second = (BAG.sample(pick(tint, BAG_COLORS), tint) for _ in range(2))
    if tint.random() < 0.55:
        second = shade(color, float(tint.uniform(0.6, 0.8)))
    side: Side = "left" if rng.random() < 0.4 else "right"
    other: Side = "right" if side == "left" else "left"
    things = [Thing(kind, color, second, side, float(rng.uniform(0.8, 1.2))) for kind in kinds]
    if extra is not None:
        things.append(_extra(extra, other if "handbag" in kinds else side, streams.detail("extra", 3)))
    return tuple(things)


def _extra(kind: ThingKind, side: Side, rng: np.random.Generator) -> Thing:
    colors = {"phone": {"black": 6, "white": 3, "gray": 1}, "bottle": {"white": 4, "blue": 3, "green": 2, "gray": 1}}
    color, second = (BAG.sample(pick(rng, colors.get(kind, BAG_COLORS)), rng) for _ in range(2))
    return Thing(kind, color, second, side, float(rng.uniform(0.85, 1.15)))


def _gait(streams: Streams, body: Body, things: tuple[Thing, ...]) -> Gait:
    rng = streams.own("gait")
    held = any(thing.kind not in ("backpack", "shoulder_bag") for thing in things)
    hands: dict[Hands, float] = {"swing": 74, "pockets": 12, "front": 8, "strap": 0 if not things else 14}
    return Gait(
        stride=float(np.clip(rng.normal(1.0 if body.age < 4 else 0.85, 0.11), 0.75, 1.25)),
        arms=float(rng.uniform(0.5, 1.4)),
        lean=float(rng.normal(0.04 if body.age < 4 else 0.1, 0.035)),
        bounce=float(rng.uniform(0.7, 1.3)),
        turnout=float(rng.normal(0.12, 0.07)),
        hands="swing" if held else pick(rng, hands),
    )
