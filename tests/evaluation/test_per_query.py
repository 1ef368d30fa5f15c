"""The table of results per query: numbers stay numbers, and no path is a formula."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch

from passerby.evaluation.per_query import inert_cell, write_per_query
from passerby.metrics.protocol import evaluate_embeddings
from passerby.types import Embeddings, Protocol

FORMULAS = ("=HYPERLINK(1)", "+1", "-1/a.jpg", "@SUM(A1)", "\t=1", "\r=1", "\n=1")


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_are_made_inert(text: str) -> None:
    assert inert_cell(text) == f"'{text}".replace("\t", r"\t").replace("\r", r"\r").replace("\n", r"\n")


def test_a_cell_is_one_line_that_acts_on_no_terminal() -> None:
    assert inert_cell("a\x1b[2Jb\nquery/1.jpg,1") == r"a\x1b[2Jb\nquery/1.jpg,1"


@pytest.mark.parametrize("text", ["a=b.jpg", "1-2.jpg", "query/=1.jpg", "", "'quoted"])
def test_other_texts_stay(text: str) -> None:
    assert inert_cell(text) == text


def test_paths_are_inert_and_numbers_are_not_changed(tmp_path: Path) -> None:
    labels = {"pids": torch.tensor([5]), "camids": torch.tensor([1])}
    query = Embeddings(torch.ones(1, 2), ("=1+1.jpg",), **labels)
    others = {"pids": torch.tensor([5, 6]), "camids": torch.tensor([2, 2])}
    gallery = Embeddings(torch.tensor([[1.0, 1.0], [1.0, 0.0]]), ("b.jpg", "c.jpg"), **others)
    write_per_query(tmp_path / "q.csv", evaluate_embeddings(query, gallery, Protocol()))
    with (tmp_path / "q.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["path"], row["pid"], row["first_rank"]) == ("'=1+1.jpg", "5", "1")
