"""docs/scale.md has the tables that the code and the measurements give."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "scale.md"


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(REPOSITORY / "scripts" / "scale_tables.py"))


def test_the_tables_are_up_to_date(script: dict[str, Any]) -> None:
    text = PAGE.read_text()
    assert script["page"](text) == text, "run python scripts/scale_tables.py"


@pytest.mark.parametrize("dimensions", [512, 1280])
def test_bytes_of_a_row_are_those_of_the_columns(script: dict[str, Any], dimensions: int) -> None:
    row = script["row_of"](dimensions)
    assert row.coarse == dimensions + 4 + 4
    assert 0 < row.disk - 5 * dimensions < 400  # float32 and 8 bits; labels and names are the rest


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.088, "88 ms"), (8.8, "8.8 s"), (88.2, "88 s"), (3600, "60 min"), (3600 * 50, "50 h"), (86400 * 50, "50 days")],
)
def test_durations_have_two_digits(script: dict[str, Any], seconds: float, said: str) -> None:
    assert script["duration"](seconds) == said


def test_sizes_have_two_digits(script: dict[str, Any]) -> None:
    assert [script["size"](n) for n in (512, 2.86e9, 2.86e11, 2.86e12)] == ["512 B", "2.9 GB", "290 GB", "2.9 TB"]
