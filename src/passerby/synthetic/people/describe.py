"""The attributes of a person in Market-1501's terms: what is visible, not what was sampled."""

from __future__ import annotations

from passerby.data.attributes.schema import MARKET
from passerby.synthetic.clothes.palette import LOWER, UPPER
from passerby.synthetic.people.person import Person

LONG_HAIR = ("long", "ponytail", "bun")
SHORT_SLEEVE, SHORT_LOWER = 0.6, 0.65
"""The shares of arm and leg where short turns into long; the wardrobe cuts nothing near them."""


def attributes(person: Person, outfit: int = 0) -> dict[str, int]:
    """Return Market-1501's 27 columns with their codes.

    >>> from passerby.synthetic.people.people import make_person
    >>> from passerby.synthetic.settings import Settings
    >>> len(attributes(make_person(Settings(), 0)))
    27
    """
    return MARKET.to_columns(MARKET.from_values(groups(person, outfit)))


def groups(person: Person, outfit: int = 0) -> dict[str, str]:
    """Return the 12 groups by name; an open jacket's own color counts, not that of what it shows."""
    worn = person.outfits[outfit]
    carried = {thing.kind for thing in person.things}
    return {
        "gender": person.body.gender,
        "hair length": "long" if person.hair.style in LONG_HAIR else "short",
        "sleeve length": "short" if worn.upper.length < SHORT_SLEEVE else "long",
        "length of lower": "short" if worn.lower.length < SHORT_LOWER else "long",
        "type of lower": "dress" if worn.lower.kind in ("skirt", "dress") else "pants",
        "hat": _yes(person.hat != "none"),
        "backpack": _yes("backpack" in carried),
        "bag": _yes("shoulder_bag" in carried),
        "handbag": _yes("handbag" in carried),
        "age": MARKET["age"].values[person.body.age - 1],
        "upper color": UPPER.name(worn.upper.color),
        "lower color": LOWER.name(worn.lower.color),
    }


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"
