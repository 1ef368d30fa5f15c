"""The printed tables of papers: a table is a dict of rows, a row is a small change to its paper's recipe.

A table is defined in the file of its recipe and registered in :data:`PAPERS` under the recipe's name:
``PAPERS.register("aap_reid")({"table1": Table(…)})``. ``passerby reproduce aap_reid table1`` needs nothing else
(:mod:`passerby.recipes.reproduce`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from passerby.config import with_overrides
from passerby.data.attributes.schema import Schema
from passerby.errors import UnknownNameError
from passerby.recipes.registry import load_recipe
from passerby.registry import Registry
from passerby.training.config import TrainConfig
from passerby.training.unstated import base_recipe
from passerby.types import Rerank

COUNTED = {"parameters": 1e6, "weights": 1e6, "multiply-adds": 1e9}
"""The metrics that need no training, and the unit that they are printed in.

``parameters`` counts all of them, ``weights`` those of convolutions and linear layers below the classifiers, and
``multiply-adds`` the operations of these layers.
"""
RERANKED = Rerank()
"""The re-ranking of every paper that re-ranks: k1 = 20, k2 = 6, λ = 0.3, squared distances."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A dataset that numbers are printed for."""

    data: str
    """The name of the :class:`~passerby.data.dataset.Dataset`."""
    title: str
    classes: int
    """The number of people to train on."""
    single_shot: bool = False
    """A flag for numbers that are measured with one gallery image per person."""


MARKET = Column(data="market1501", title="Market-1501", classes=751)
DUKE = Column(data="dukemtmc", title="DukeMTMC-reID", classes=702)
CUHK03 = Column(data="cuhk03:protocol=new,images=detected", title="CUHK03", classes=767)
CUHK03_LABELED = Column(
    data="cuhk03:protocol=old,images=labeled,split=0", title="CUHK03-L", classes=1367, single_shot=True
)
CUHK03_DETECTED = Column(
    data="cuhk03:protocol=old,images=detected,split=0", title="CUHK03-D", classes=1367, single_shot=True
)

Numbers = tuple[float | None, ...]
"""The numbers as printed, in the order of a table's metrics; ``None`` where there is a dash."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a table."""

    title: str
    printed: tuple[Numbers, ...]
    """The numbers for each column of the table."""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """The changes to the recipe, by dotted names."""
    on: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The further changes for single datasets, by their names."""
    reranks: str = ""
    """The row whose run is evaluated with re-ranking for this row; the changes are that row's then."""
    reads: str = ""
    """The row whose run is evaluated by one branch for this row; the changes are that row's then."""
    branch: str = ""
    """The branch of that run (:meth:`~passerby.models.base.ReidModel.branches_of_embedding`)."""
    over: str = ""
    """The row over which the paper prints this row's increments (↑)."""
    unsupported: str = ""
    """The reason why it cannot be run; empty where it can."""
    note: str = ""
    """An ambiguity of the paper, and how it is read here."""

    @property
    def evaluates(self) -> str:
        """The row whose run is evaluated in another way for this row; empty where the row has its own."""
        return self.reranks or self.reads


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of a paper, printed under the settings of its recipe.

    Raises:
        ValueError: if a row's numbers do not match columns and metrics, or a row that evaluates another one in another
            way does not name it.
    """

    recipe: str
    paper: str
    name: str
    """The name in the paper: ``Table 1``."""
    title: str
    metrics: tuple[str, ...]
    """The metrics: ``mAP``, ``rank-1``, …; those of :data:`COUNTED`; or, with ``attributes``, groups and ``mean``."""
    columns: tuple[Column, ...]
    rows: Mapping[str, Row]
    weights: str = "ImageNet"
    """The initial weights."""
    keypoints: str = ""
    """The paper's keypoint source, for a model that needs body parts."""
    curves: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """The figure of loss curves that the paper draws of these rows: panel → curve → row."""
    attributes: Schema | None = None
    """The schema whose groups are the metrics, where the numbers are attribute accuracies."""

    def __post_init__(self) -> None:
        for name, row in self.rows.items():
            if row.reranks and (row.reranks not in self.rows or row.changes or row.on):
                raise ValueError(
                    f"row {name} of {self.name} re-ranks {row.reranks!r}: expected another row, and no changes"
                )
            if bool(row.reads) != bool(row.branch) or (
                row.reads and (row.reads not in self.rows or row.changes or row.on or row.reranks)
            ):
                raise ValueError(
                    f"row {name} of {self.name} reads branch {row.branch!r} of {row.reads!r}: expected a branch of "
                    "another row, and no changes"
                )
            if row.over and row.over not in self.rows:
                raise ValueError(f"row {name} of {self.name} names increments over {row.over!r}: expected another row")
            if [len(numbers) for numbers in row.printed] != [len(self.metrics)] * len(self.columns):
                raise ValueError(f"row {name} of {self.name}: expected {len(self.metrics)} numbers for each column")

    @property
    def trained(self) -> bool:
        """Return whether rows are trained and evaluated; otherwise they are counted."""
        return any(metric not in COUNTED for metric in self.metrics)

    def row(self, name: str) -> Row:
        """Return the row called ``name``.

        Raises:
            UnknownNameError: if there is none.
        """
        if name not in self.rows:
            raise UnknownNameError(f"row of {self.recipe}'s {self.name}", name, self.rows)
        return self.rows[name]

    def printed(self, name: str, column: Column) -> dict[str, float]:
        """Return the numbers of a row for a dataset: metric → value, without dashes."""
        numbers = self.row(name).printed[self.columns.index(column)]
        return {metric: n for metric, n in zip(self.metrics, numbers, strict=True) if n is not None}

    def column(self, data: str) -> Column:
        """Return the column to compare with on the dataset of that name: its own, else the first."""
        return next((column for column in self.columns if column.data == data), self.columns[0])

    def reason(self, name: str) -> str:
        """Return the reason why a row cannot be run; empty where it can."""
        return self.row(name).unsupported

    def run(self, name: str) -> str:
        """Return the row that is trained for a row: itself, or the one that it evaluates in another way."""
        return self.row(name).evaluates or name

    def config(self, name: str, data: str = "") -> TrainConfig:
        """Return the settings of a row, on the dataset of that name."""
        row = self.row(self.run(name))
        return with_overrides(load_recipe(self.recipe), {**row.changes, **row.on.get(data, {})})


PAPERS: Registry[Mapping[str, Table]] = Registry("paper", "passerby.recipes")


def load_table(paper: str, table: str) -> Table:
    """Return the table of a paper, ``aap_reid``, or the same rows under a variant of its recipe, ``aap_reid@authors``.

    Raises:
        UnknownNameError: if there is no such paper, variant or table.
    """
    base = base_recipe(paper)
    tables = PAPERS[base]
    if table not in tables:
        raise UnknownNameError(f"table of {base}", table, tables)
    if paper == base:
        return tables[table]
    load_recipe(paper)  # raises where there is no such variant
    return replace(tables[table], recipe=paper, paper=f"{tables[table].paper}, variant {paper}")


CITED = "another network, whose numbers the paper cites"


def cited(*columns: int, lines: str) -> dict[str, Row]:
    """Return the rows of other networks that a table compares with, which cannot be run here.

    Args:
        columns: the number of numbers that are printed for each dataset.
        lines: one row a line: title, ``|``, and the numbers from left to right, with ``-`` for a dash.

    >>> cited(2, lines="PCB [8] | 92.30 -")["cited_pcb"].printed
    ((92.3, None),)
    """
    found = {}
    for line in lines.strip().splitlines():
        title, _, numbers = (part.strip() for part in line.partition("|"))
        values = [None if word == "-" else float(word) for word in numbers.split()]
        ends = [sum(columns[: i + 1]) for i in range(len(columns))]
        printed = tuple(tuple(values[end - size : end]) for size, end in zip(columns, ends, strict=True))
        name = re.sub(r"[^a-z0-9]+", "_", re.sub(r"\[\d+\]", "", title).lower()).strip("_")
        found[f"cited_{name}"] = Row(title=title, unsupported=CITED, printed=printed)
    return found


def options(**values: Any) -> dict[str, Any]:
    """Return the changes that set the model's own keyword arguments."""
    return {f"model.options.{name}": value for name, value in values.items()}
