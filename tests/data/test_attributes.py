"""Attributes: Market's twelve groups, their columns, the way between both, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerby.data.attributes import MARKET, UNKNOWN, Attribute, Schema
from passerby.errors import ConfigError, DatasetLayoutError, UnknownNameError

CLASSES = st.tuples(*(st.integers(0, size - 1) for size in MARKET.sizes))
WOMAN = {"gender": 2, "hair": 2, "up": 2, "down": 1, "clothes": 2, "hat": 1, "backpack": 2, "bag": 1, "handbag": 1}


def row(upper: str = "upred", lower: str = "downblue") -> dict[str, int]:
    colours = [name for part in ("upper colour", "lower colour") for name in MARKET[part].columns]
    return WOMAN | {"age": 2} | {name: 2 if name in (upper, lower) else 1 for name in colours}


def test_market_has_12_groups_39_logits_and_27_columns() -> None:
    assert MARKET.sizes == (2,) * 9 + (4, 8, 9)
    assert MARKET.logits == 39
    assert " ".join(MARKET.columns) == (
        "gender hair up down clothes hat backpack bag handbag age "
        "upblack upwhite upred uppurple upyellow upgray upblue upgreen "
        "downblack downwhite downpink downpurple downyellow downgray downblue downgreen downbrown"
    )


def test_slices_cut_the_logits_without_gap_or_overlap() -> None:
    places = [place for part in MARKET.slices for place in range(39)[part]]
    assert places == list(range(39))
    assert MARKET.slices[MARKET.index("age")] == slice(18, 22)


def test_a_row_by_hand() -> None:
    classes = MARKET.from_columns(row())
    assert classes == (1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 2, 6)
    assert MARKET.to_values(classes)["sleeve length"] == "short"
    assert MARKET.to_values(classes)["type of lower"] == "pants"
    assert MARKET.to_values(classes)["lower colour"] == "blue"


@given(CLASSES)
def test_classes_columns_and_values_say_the_same(classes: tuple[int, ...]) -> None:
    columns = MARKET.to_columns(classes)
    assert tuple(columns) == MARKET.columns
    assert set(columns.values()) <= {1, 2, 3, 4}
    assert MARKET.from_columns(columns) == classes
    assert MARKET.from_values(MARKET.to_values(classes)) == classes


def test_somebody_in_no_colour_is_unknown_both_ways() -> None:
    bare = row(upper="none")
    classes = MARKET.from_columns(bare)
    assert classes[MARKET.index("upper colour")] == UNKNOWN
    assert MARKET.to_values(classes)["upper colour"] == "unknown"
    assert MARKET.to_columns(classes) == bare


def test_rows_that_cannot_be_are_refused() -> None:
    with pytest.raises(DatasetLayoutError, match="one value a person, got yes in upred, upblue"):
        MARKET.from_columns(row() | {"upblue": 2})
    with pytest.raises(DatasetLayoutError, match="column 'age' holds codes 1 to 4, got 0"):
        MARKET.from_columns(row() | {"age": 0})
    with pytest.raises(DatasetLayoutError, match="'upred' holds codes 1 to 2, got 3"):
        MARKET.from_columns(row() | {"upred": 3})
    with pytest.raises(DatasetLayoutError, match="no column hat: Market-1501 has 27 columns"):
        MARKET.from_columns({name: code for name, code in row().items() if name != "hat"})


def test_classes_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match="12 attributes, got 2 classes"):
        MARKET.to_columns([0, 1])
    with pytest.raises(ConfigError, match=r"'age' has classes 0…3 \(−1: unknown\), got 4"):
        MARKET.to_columns([0] * 9 + [4, 0, 0])
    with pytest.raises(ConfigError, match="has none for unknown"):
        MARKET.to_columns([UNKNOWN] + [0] * 11)
    with pytest.raises(ConfigError, match="needs a value for hair length"):
        MARKET.from_values({"gender": "male"})


def test_misspelt_names_are_told_the_near_ones() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean upper colour"):
        MARKET.index("uper colour")
    with pytest.raises(UnknownNameError, match="unknown value of age 'grown'"):
        MARKET["age"].index("grown")


def test_a_schema_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(ConfigError, match="3 values and 2 columns"):
        Attribute("colour", ("red", "green", "blue"), ("red", "green"))
    with pytest.raises(ConfigError, match="differ in hat"):
        Schema("small", (Attribute("hat", ("no", "yes"), ("hat",)),), ())
