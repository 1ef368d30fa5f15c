"""The people: functions of their own number, as various as a street, with true color labels; twins differ."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from passerby.data.attributes.schema import MARKET
from passerby.synthetic.clothes.fashions import LOWER_COLORS, UPPER_COLORS
from passerby.synthetic.clothes.palette import LOWER, MARGIN, UPPER, Palette, contrast, from_oklab, rgb, to_oklab
from passerby.synthetic.people.describe import attributes, groups
from passerby.synthetic.people.people import make_passerby, make_person
from passerby.synthetic.people.person import Garment, Person
from passerby.synthetic.people.streams import Streams, streams_of
from passerby.synthetic.settings import Settings

COUNT = 2000


@pytest.fixture(scope="module")
def street() -> list[Person]:
    return [make_person(Settings(changes={"twins": 0.0}), pid) for pid in range(COUNT)]


@pytest.fixture(scope="module")
def twins() -> list[tuple[Person, Person]]:
    settings = Settings(changes={"twins": 1.0})
    return [(make_person(settings, pid), make_person(settings, pid + 1)) for pid in range(0, 200, 2)]


def test_a_person_is_a_function_of_seed_and_number_alone() -> None:
    settings = Settings()
    forwards = [make_person(settings, pid) for pid in range(12)]
    backwards = [make_person(settings, pid) for pid in reversed(range(12))]
    assert forwards == backwards[::-1]
    assert make_person(replace(settings, people=900, cameras=2), 7) == forwards[7]
    assert make_person(replace(settings, seed=1), 7) != forwards[7]
    assert len({person.gait for person in forwards}) == 12


def test_passers_by_have_no_identity() -> None:
    one, same, other = make_passerby(0, 3, 1), make_passerby(0, 3, 1), make_passerby(0, 3, 2)
    assert one == same
    assert one != other
    assert (one.pid, one.twin_group) == (-1, None)
    assert one.body != make_person(Settings(), 3).body


@pytest.mark.parametrize(
    ("name", "value", "low", "high"),
    [
        ("gender", "male", 0.51, 0.59),
        ("age", "young", 0.015, 0.05),
        ("age", "old", 0.03, 0.08),
        ("hat", "yes", 0.045, 0.08),
        ("backpack", "yes", 0.23, 0.31),
        ("bag", "yes", 0.16, 0.24),
        ("handbag", "yes", 0.09, 0.15),
        ("hair length", "long", 0.28, 0.42),
        ("sleeve length", "short", 0.68, 0.88),
        ("length of lower", "short", 0.4, 0.62),
        ("type of lower", "dress", 0.08, 0.18),
    ],
)
def test_a_street_is_about_as_usual(street: list[Person], name: str, value: str, low: float, high: float) -> None:
    assert low < sum(groups(person)[name] == value for person in street) / len(street) < high


def test_things_patterns_and_heights_are_about_as_usual(street: list[Person]) -> None:
    held = Counter(thing.kind for person in street for thing in person.things)
    for kind, expected in {"umbrella": 0.03, "phone": 0.08, "bottle": 0.08, "trolley": 0.03}.items():
        assert held[kind] / COUNT == pytest.approx(expected, abs=0.018)
    assert sum(person.glasses for person in street) / COUNT == pytest.approx(0.25, abs=0.03)
    patterns = Counter(person.outfits[0].upper.pattern for person in street)
    assert len(patterns) == 10
    assert patterns["plain"] / COUNT == pytest.approx(0.56, abs=0.05)
    heights = np.array([person.body.height for person in street])
    children = np.array([person.body.age == 1 for person in street])
    assert heights[children].min() >= 1.1
    assert heights[children].max() <= 1.5
    assert 1.4 < heights[~children].min() < heights[~children].max() < 2.0


def test_skins_reach_from_very_light_to_very_dark(street: list[Person]) -> None:
    lightness = np.array([np.mean(person.body.skin) for person in street])
    assert lightness.min() < 0.25
    assert lightness.max() > 0.75
    assert 0.5 < np.median(lightness) < 0.7


@pytest.mark.parametrize(("part", "table"), [("upper color", UPPER_COLORS), ("lower color", LOWER_COLORS)])
def test_colors_come_as_often_as_in_market(street: list[Person], part: str, table: dict[str, dict[str, float]]) -> None:
    for gender, weights in table.items():
        seen = Counter(groups(p)[part] for p in street if p.body.gender == gender)
        for name, weight in weights.items():
            assert seen[name] / seen.total() == pytest.approx(weight / sum(weights.values()), abs=0.06)


@pytest.mark.parametrize("palette", [UPPER, LOWER], ids=["upper", "lower"])
def test_a_sampled_color_is_plainly_of_its_class(palette: Palette) -> None:
    rng = np.random.default_rng(0)
    for name in palette.classes:
        for _ in range(100):
            color = palette.sample(name, rng)
            assert palette.name(color) == name
            away = {other: min(contrast(color, shade) for shade in those) for other, those in palette.shades.items()}
            nearest = away.pop(name)
            assert min(away.values()) > nearest * (MARGIN - 0.05)


def test_colors_survive_the_way_to_oklab_and_back() -> None:
    colors = np.random.default_rng(0).random((50, 3))
    np.testing.assert_allclose(from_oklab(to_oklab(colors)), colors, atol=1e-9)


def test_no_garment_ends_where_short_turns_into_long(street: list[Person]) -> None:
    for person in street:
        (outfit,) = person.outfits
        assert not 0.5 < outfit.upper.length < 0.7
        assert not 0.6 < outfit.lower.length < 0.7


def test_a_dress_is_one_garment_in_two_parts(street: list[Person]) -> None:
    dresses = [person.outfits[0] for person in street if person.outfits[0].upper.kind == "dress"]
    assert len(dresses) > 50
    for outfit in dresses:
        alike = replace(outfit.lower, length=outfit.upper.length, loose=outfit.upper.loose)
        assert alike == outfit.upper


def test_no_hand_holds_two_things(street: list[Person]) -> None:
    for person in street:
        sides = [thing.side for thing in person.things if thing.kind not in ("backpack", "shoulder_bag")]
        assert len(set(sides)) == len(sides)
        assert not sides or person.gait.hands == "swing"


def test_without_variety_clothes_are_plain_and_all_else_stays() -> None:
    plain = Settings(changes={"clothes": 0.0, "twins": 0.0})
    for pid in range(100):
        drab, usual = make_person(plain, pid), make_person(Settings(changes={"twins": 0.0}), pid)
        (outfit,) = drab.outfits
        assert outfit.upper.pattern == outfit.lower.pattern == "plain"
        assert (outfit.inner, outfit.belt, outfit.upper.trim) == (None, None, None)
        assert outfit.upper.color == usual.outfits[0].upper.color
        assert (drab.body, drab.hair, drab.things, drab.gait) == (usual.body, usual.hair, usual.things, usual.gait)


def test_two_outfits_dress_the_same_person_twice() -> None:
    one, both = make_person(Settings(), 5), make_person(Settings(two_outfits=True), 5)
    assert both.outfits[0] == one.outfits[0]
    assert both.outfits[1].upper.color != one.outfits[0].upper.color
    assert replace(both, outfits=one.outfits) == one


def test_the_share_of_twins_is_the_difficulties() -> None:
    groups_of = [streams_of(0, pid, 0.3)[1] for pid in range(COUNT)]
    assert sum(group is not None for group in groups_of) / COUNT == pytest.approx(0.3, abs=0.04)
    sizes = Counter(group for group in groups_of if group is not None)
    assert set(sizes.values()) == {2}


def test_twins_wear_the_same_colors(twins: list[tuple[Person, Person]]) -> None:
    for one, other in twins:
        assert one.twin_group == other.twin_group is not None
        for part in ("upper", "lower"):
            assert getattr(one.outfits[0], part).color == getattr(other.outfits[0], part).color
        assert one.hair.color == other.hair.color
        assert one.body.gender == other.body.gender
        assert abs(one.body.height - other.body.height) < 0.06
        first, second = ({t.color for t in p.things if t.kind in ("backpack", "handbag")} for p in (one, other))
        assert not first or not second or first == second


def test_twins_differ_in_two_details_at_least(twins: list[tuple[Person, Person]]) -> None:
    for one, other in twins:
        assert sum(a != b for a, b in zip(details(one), details(other), strict=True)) >= 2


def details(person: Person) -> tuple[object, ...]:
    """What one may see of her besides colors and build."""
    outfit = person.outfits[0]
    cut = (outfit.upper.kind, outfit.upper.length, outfit.upper.hem)
    bags = tuple(thing.kind for thing in person.things if thing.kind in ("backpack", "shoulder_bag", "handbag"))
    printed = outfit.upper.pattern
    return printed, cut, (outfit.lower.kind, outfit.lower.length), person.hair.style, bags, outfit.shoes.kind


def test_members_never_choose_the_same_and_weights_are_kept() -> None:
    weights = {"a": 6.0, "b": 3.0, "c": 1.0, "never": 0.0}
    chosen = []
    for group in range(600):
        one, other = (Streams(0, "twin", (group,), m, frozenset({"bag"})).choose("bag", weights) for m in (0, 1))
        assert one != other
        chosen.append(one)
    counts = Counter(chosen)
    assert counts["a"] / 600 == pytest.approx(0.6, abs=0.06)
    assert counts["never"] == 0


def test_columns_of_a_known_person() -> None:
    person = make_person(Settings(), 0)
    (outfit,) = person.outfits
    upper = replace(outfit.upper, kind="jacket", color=rgb("b02a2e"), length=1.0)
    lower = Garment("skirt", rgb("2f4468"), rgb("2f4468"), "plain", 0.05, 0, 0.02, 0.4)
    inner = replace(upper, kind="tshirt", color=rgb("f4f3f0"), length=0.3)
    dressed = replace(
        person,
        body=replace(person.body, gender="female", age=3),
        hair=replace(person.hair, style="bun"),
        outfits=(replace(outfit, upper=upper, inner=inner, lower=lower),),
        things=(),
        hat="cap",
    )
    columns = attributes(dressed)
    yes = {name for name, code in columns.items() if code == 2 and name.startswith(("up", "down"))}
    assert yes == {"upred", "downblue", "down"}  # the jacket's color, not that of the shirt below; a short skirt
    wanted = {"gender": 2, "hair": 2, "up": 1, "down": 2, "clothes": 1, "hat": 2, "backpack": 1, "age": 3}
    assert {name: columns[name] for name in wanted} == wanted
    assert MARKET.to_values(MARKET.from_columns(columns)) == groups(dressed)


def test_every_person_has_one_color_of_each_part(street: list[Person]) -> None:
    for person in street[:300]:
        columns = attributes(person)
        assert list(columns) == list(MARKET.columns)
        for part in ("upper color", "lower color"):
            assert sum(columns[name] == 2 for name in MARKET[part].columns) == 1
