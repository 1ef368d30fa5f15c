"""Attributes: Market's twelve and Duke's ten groups, their columns, the way between both, and what is an error."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerby.data.attributes.schema import DUKE, MARKET, UNKNOWN, Attribute, Schema, schema_of
from passerby.errors import ConfigError, DatasetLayoutError, UnknownNameError

CLASSES = st.tuples(*(st.integers(0, size - 1) for size in MARKET.sizes))
WOMAN = {"gender": 2, "hair": 2, "up": 2, "down": 1, "clothes": 2, "hat": 1, "backpack": 2, "bag": 1, "handbag": 1}


def row(upper: str = "upred", lower: str = "downblue") -> dict[str, int]:
    colors = [name for part in ("upper color", "lower color") for name in MARKET[part].columns]
    return WOMAN | {"age": 2} | {name: 2 if name in (upper, lower) else 1 for name in colors}


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
    assert MARKET.to_values(classes)["lower color"] == "blue"


@given(CLASSES)
def test_classes_columns_and_values_say_the_same(classes: tuple[int, ...]) -> None:
    columns = MARKET.to_columns(classes)
    assert tuple(columns) == MARKET.columns
    assert set(columns.values()) <= {1, 2, 3, 4}
    assert MARKET.from_columns(columns) == classes
    assert MARKET.from_values(MARKET.to_values(classes)) == classes


def test_a_person_without_a_color_is_unknown_both_ways() -> None:
    bare = row(upper="none")
    classes = MARKET.from_columns(bare)
    assert classes[MARKET.index("upper color")] == UNKNOWN
    assert MARKET.to_values(classes)["upper color"] == "unknown"
    assert MARKET.to_columns(classes) == bare


def test_rows_that_cannot_be_are_errors() -> None:
    with pytest.raises(DatasetLayoutError, match="one value per person, got yes in upred, upblue"):
        MARKET.from_columns(row() | {"upblue": 2})
    with pytest.raises(DatasetLayoutError, match="column 'age' holds codes 1 to 4, got 0"):
        MARKET.from_columns(row() | {"age": 0})
    with pytest.raises(DatasetLayoutError, match="'upred' holds codes 1 to 2, got 3"):
        MARKET.from_columns(row() | {"upred": 3})
    with pytest.raises(DatasetLayoutError, match="no column hat: Market-1501 has 27 columns"):
        MARKET.from_columns({name: code for name, code in row().items() if name != "hat"})


def test_classes_that_cannot_be_are_errors() -> None:
    with pytest.raises(ConfigError, match="12 attributes, got 2 classes"):
        MARKET.to_columns([0, 1])
    with pytest.raises(ConfigError, match=r"'age' has classes 0…3 \(−1: unknown\), got 4"):
        MARKET.to_columns([0] * 9 + [4, 0, 0])
    with pytest.raises(ConfigError, match="without a code for unknown"):
        MARKET.to_columns([UNKNOWN] + [0] * 11)
    with pytest.raises(ConfigError, match="needs a value for hair length"):
        MARKET.from_values({"gender": "male"})


def test_misspelt_names_are_told_the_near_ones() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean upper color"):
        MARKET.index("uper color")
    with pytest.raises(UnknownNameError, match="unknown value of age 'grown'"):
        MARKET["age"].index("grown")


def test_a_schema_that_contradicts_itself_is_an_error() -> None:
    with pytest.raises(ConfigError, match="3 values and 2 columns"):
        Attribute("colour", ("red", "green", "blue"), ("red", "green"))
    with pytest.raises(ConfigError, match="differ in hat"):
        Schema("small", (Attribute("hat", ("no", "yes"), ("hat",)),), ())


def test_duke_has_10_groups_31_logits_and_23_columns() -> None:
    assert DUKE.sizes == (2,) * 8 + (8, 7)
    assert DUKE.logits == 31
    assert " ".join(DUKE.columns) == (
        "backpack bag handbag boots gender hat shoes top "
        "upblack upwhite upred uppurple upgray upblue upgreen upbrown "
        "downblack downwhite downred downgray downblue downgreen downbrown"
    )


def duke_row(**codes: int) -> dict[str, int]:
    known = {"backpack": 2, "shoes": 2, "top": 1, "upgreen": 2, "downbrown": 2}
    return dict.fromkeys(DUKE.columns, 1) | known | codes


def test_a_row_of_duke_by_hand() -> None:
    classes = DUKE.from_columns(duke_row())
    assert classes == (1, 0, 0, 0, 0, 0, 1, 0, 6, 6)
    assert DUKE.to_columns(classes) == duke_row()
    values = DUKE.to_values(classes)
    assert (values["shoe color"], values["length of upper"]) == ("light", "short")
    assert (values["upper color"], values["lower color"]) == ("green", "brown")


def test_gaps_of_duke_s_annotators_are_unknown() -> None:
    """Two people have no length of upper, some several colors of lower; elsewhere such codes are an error."""
    assert DUKE.from_columns(duke_row(top=0))[DUKE.index("length of upper")] == UNKNOWN
    assert DUKE.to_columns(DUKE.from_columns(duke_row(top=0))) == duke_row(top=0)
    assert DUKE.from_columns(duke_row(downred=2))[DUKE.index("lower color")] == UNKNOWN
    with pytest.raises(DatasetLayoutError, match="column 'top' holds codes 0 to 2, got 3"):
        DUKE.from_columns(duke_row(top=3))
    with pytest.raises(DatasetLayoutError, match="column 'hat' holds codes 1 to 2, got 0"):
        DUKE.from_columns(duke_row(hat=0))


def test_schemas_have_the_names_of_their_data_sets() -> None:
    assert schema_of("market1501") is MARKET
    assert schema_of("dukemtmc") is DUKE
    with pytest.raises(UnknownNameError, match=r"unknown attribute schema 'duke'\. Did you mean dukemtmc"):
        schema_of("duke")


@pytest.mark.parametrize(
    ("schema", "file", "people", "unknown"),
    [
        (DUKE, "duke_attribute/duke_attribute.mat", (702, 1110), {"length of upper": 2, "upper color": 15}),
        (MARKET, "market1501_attribute/market_attribute.mat", (751, 750), {"upper color": 147, "hat": 0}),
    ],
)
def test_every_row_of_the_annotation_files_can_be_read(
    shared: Path, schema: Schema, file: str, people: tuple[int, int], unknown: dict[str, int]
) -> None:
    io = pytest.importorskip("scipy.io")
    path = shared / "data" / file
    if not path.is_file():
        pytest.skip(f"no {file}")
    (table,) = (v for name, v in io.loadmat(path, simplify_cells=True).items() if not name.startswith("__"))
    classes = []
    for split, count in zip(("train", "test"), people, strict=True):
        assert set(table[split]) == {*schema.columns, "image_index"}
        rows = zip(*(table[split][column] for column in schema.columns), strict=True)
        found = [schema.from_columns(dict(zip(schema.columns, map(int, row), strict=True))) for row in rows]
        assert len(found) == count
        classes += found
    for name, count in unknown.items():
        assert [row[schema.index(name)] for row in classes].count(UNKNOWN) == count
