"""One's own table of attributes: words, codes, both keys, and every way in which it is not in order."""

from __future__ import annotations

from pathlib import Path

import pytest

from passerby.data.attributes.schema import MARKET, SCHEMAS, UNKNOWN, Attribute, Schema
from passerby.data.attributes.tables import AttributeRow, read_attribute_rows
from passerby.data.source import open_source
from passerby.errors import DatasetLayoutError

COLOR = Attribute("upper color", ("red", "gray"), ("upred", "upgray"))
SMALL = Schema(
    "small",
    (Attribute("hat", ("no", "yes"), ("hat",)), Attribute("sleeve length", ("long", "short"), ("up",)), COLOR),
    ("hat", "up", "upred", "upgray"),
)
BOTH = list(SCHEMAS.values())


def described(folder: Path, table: str, schemas=(SMALL,)) -> tuple[Schema, list[AttributeRow]]:
    (folder / "people").mkdir(exist_ok=True)
    (folder / "people" / "mine.csv").write_text(table, encoding="utf-8")
    return read_attribute_rows(open_source(folder), "people/mine.csv", schemas)


def classes(folder: Path, table: str) -> list[tuple[int, ...]]:
    return [row.classes for row in described(folder, table)[1]]


@pytest.mark.parametrize(
    ("header", "cells", "wanted"),
    [
        ("hat,sleeve_length,upper_color", "yes,short,red", (1, 1, 0)),
        ("Hat,Sleeve Length,upper-color", "Yes, SHORT ,gray", (1, 1, 1)),
        ("upper_color,note,hat", "gray,tall,no", (0, UNKNOWN, 1)),
        ("hat,up,upred,upgray", "2,1,2,1", (1, 0, 0)),
        ("hat,up,upred,upgray", "1,2,1,1", (0, 1, UNKNOWN)),
        ("hat,up,upper_color", "2,short,unknown", (1, 1, UNKNOWN)),
        ("hat,up,upred,upgray", ",,,", (UNKNOWN, UNKNOWN, UNKNOWN)),
    ],
)
def test_words_and_codes(tmp_path: Path, header: str, cells: str, wanted: tuple[int, ...]) -> None:
    assert classes(tmp_path, f"pid,{header}\n7,{cells}\n") == [wanted]


@pytest.mark.parametrize(
    ("columns", "cells", "who"),
    [
        ("pid", "7", (7, None)),
        ("person", "0007", (7, None)),
        ("path", "a/1.jpg", (None, "people/a/1.jpg")),
        ("path,pid", "./1.jpg,7", (7, "people/1.jpg")),
        ("path,pid", "1.jpg,", (None, "people/1.jpg")),
        ("pid,path", "7,", (7, None)),
    ],
)
def test_who_is_meant(tmp_path: Path, columns: str, cells: str, who: tuple[int | None, str | None]) -> None:
    _, (row,) = described(tmp_path, f"{columns},hat\n{cells},yes\n")
    assert (row.pid, row.path) == who


def test_a_schema_is_known_by_its_groups(tmp_path: Path) -> None:
    assert described(tmp_path, "pid,hair_length,upper_color\n1,long,red\n", BOTH)[0] is MARKET
    assert described(tmp_path, "pid,boots,upper_color\n1,yes,red\n", BOTH)[0].name == "DukeMTMC-reID"
    with pytest.raises(
        DatasetLayoutError, match=r"matches the schemas of Market-1501 and DukeMTMC-reID equally\. Fix: name one"
    ):
        described(tmp_path, "pid,upper_color,backpack\n1,red,yes\n", BOTH)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (
            "pid,upper_color\n1,red\n2,rde\n",
            r"mine\.csv has 1 invalid lines: line 3: unknown value .* 'rde'\. Did you mean red",
        ),
        ("pid,hat\n1,yes\n\nx,yes\n", "line 4: pid 'x' is not a whole number"),
        ("pid,hat\n-1,yes\n", "line 2: pid -1 is negative"),
        ("pid,hat\n,yes\n", "line 2: it names neither a person nor an image"),
        ("pid,hat\n1,3\n", "line 2: column 'hat' holds codes 1 to 2, got 3"),
        ("pid,hat\n1,0\n", "line 2: column 'hat' holds codes 1 to 2, got 0"),
        ("pid,upred,upgray\n1,2,2\n", "line 2: .* got yes in upred, upgray"),
        ("pid,upred,upgray\n1,2,\n", "line 2: upgray '' is not a whole number"),
        ("pid,upper_color\n1,2\n", "line 2: unknown value of upper color '2'"),
        ("pid,hat\n1,yes\n2,no\n1,yes\n", "line 4: person 1 is in line 2 already"),
        ("path,pid,hat\na.jpg,1,yes\n./a.jpg,1,no\n", r"line 3: people/a\.jpg is in line 2 already"),
        ("pid,outfit,hat\n1,1,yes\n1,2,no\n1,2,no\n", "line 4: person 1 is in line 3 already"),
        ("pid,hat\n1,yes,2\n", "line 2: more or fewer cells"),
        ("pid,hat\n" + "x,yes\n" * 5, "has 5 invalid lines"),
        ("pid,hat\n", "has no rows; expected a header"),
        ("", "has no rows; expected a header"),
        ("name,hat\nann,yes\n", "has no column path, pid or person; got name,hat"),
        ("pid,shoes\n1,black\n", r"no column of small's groups \(hat, sleeve_length, upper_color\); got pid,shoes"),
        ("pid,hat,uper_color\n1,yes,red\n", r"has a column uper_color; did you mean upper_color\?"),
        ("pid,hat,upred\n1,yes,2\n", "has upred and no column upgray of upper color"),
        ("pid,upper_color,upred,upgray\n1,red,2,1\n", "has upper color in more than one form"),
        ("pid,up,sleeve_length\n1,1,long\n", "has sleeve length in more than one form: up, sleeve_length"),
    ],
)
def test_a_table_not_in_order(tmp_path: Path, table: str, words: str) -> None:
    with pytest.raises(DatasetLayoutError, match=words):
        described(tmp_path, table)


def test_two_images_of_one_person_and_two_outfits_are_in_order(tmp_path: Path) -> None:
    assert classes(tmp_path, "path,pid,hat\na.jpg,1,yes\nb.jpg,1,no\n") == [
        (1, UNKNOWN, UNKNOWN),
        (0, UNKNOWN, UNKNOWN),
    ]
    assert [row.outfit for row in described(tmp_path, "person,outfit,hat\n1,1,yes\n1,2,no\n")[1]] == ["1", "2"]
