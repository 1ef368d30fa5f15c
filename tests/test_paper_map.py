"""The map of the papers is whole, and its tests exist; tests/test_docs.py checks its commands and Python names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from passerby.recipes.tables import PAPERS

REPOSITORY = Path(__file__).resolve().parents[1]
PAGE = REPOSITORY / "docs" / "paper-map.md"
ITEMS = {
    "aap_reid": {"Fig": 5, "Table": 4, "Eq": 4},
    "dual_attention": {"Fig": 3, "Table": 2, "Eq": 3},
    "aanet": {"Fig": 8, "Table": 4, "Eq": 6},
    "attention_driven": {"Fig": 7, "Table": 12, "Eq": 12},
}
"""The number of figures, tables and equations of each paper, counted in the papers; they are numbered from 1."""
ROW = re.compile(r"^\| ((?:Fig|Table|Eq) \d+) \| (.+?) \| (.+) \|$", re.MULTILINE)


def sections() -> dict[str, str]:
    """The text below each paper's heading."""
    parts = re.split(r"^## `(\w+)`$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def entries() -> Iterator[tuple[str, str, str]]:
    for paper, text in sections().items():
        for item, _, here in ROW.findall(text):
            yield paper, item, here


def has_test(node: str) -> bool:
    """Whether a test function of that name is in that file."""
    file, _, name = node.partition("::")
    path = REPOSITORY / file
    tree = ast.parse(path.read_text(encoding="utf-8")) if path.is_file() else ast.Module([], [])
    return any(isinstance(node, ast.FunctionDef) and node.name == name for node in tree.body)


def wrong(here: str) -> list[str]:
    """What does not exist of the tests in an entry; an entry without any code or reason is wrong as a whole."""
    spans = re.findall(r"`([^`]+)`", here)
    known = [span for span in spans if span.startswith(("passerby ", "passerby.", "tests/"))]
    if not known and not here.startswith("not "):
        return [here]
    return [span for span in known if span.startswith("tests/") and not has_test(span)]


@pytest.mark.parametrize("paper", ITEMS)
def test_nothing_of_a_paper_is_missing_or_there_twice(paper: str) -> None:
    expected = [f"{kind} {n}" for kind, number in ITEMS[paper].items() for n in range(1, number + 1)]
    assert [item for item, _, _ in ROW.findall(sections()[paper])] == expected


@pytest.mark.parametrize("paper", ITEMS)
def test_what_a_paper_is_mapped_to_exists(paper: str) -> None:
    assert {item: found for of, item, here in entries() if of == paper and (found := wrong(here))} == {}


def test_every_printed_table_is_mapped_to_its_command() -> None:
    for paper, item, here in entries():
        kind, number = item.split()
        if kind == "Table" and f"table{number}" in PAPERS[paper]:
            assert f"`passerby reproduce {paper} table{number}" in here, (paper, item)
    mapped = {(p, f"table{i.split()[1]}") for p, i, _ in entries() if i.startswith("Table")}
    assert {(paper, table) for paper in ITEMS for table in PAPERS[paper]} <= mapped


@pytest.mark.parametrize(
    "here",
    [
        "`tests/recipes/test_printed.py::test_absent`",
        "`tests/absent.py::test_absent`",
        "later",
        "`somewhere`",
    ],
)
def test_a_planted_fault_is_found(here: str) -> None:
    assert len(wrong(here)) == 1


def test_the_papers_are_those_with_tables() -> None:
    assert set(ITEMS) == set(sections()) == {name for name in PAPERS if not Path(name).suffix}
