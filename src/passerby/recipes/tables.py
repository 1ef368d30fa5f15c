"""What papers print: a table is a dict of rows, a row a small change to its paper's recipe.

Tables stand beside the recipe, in the paper's file, and are entered in :data:`PAPERS` under the recipe's name:
``PAPERS.register("aap_reid")({"table1": Table(…)})``. Nothing else need be touched for
``passerby reproduce aap_reid table1`` (:mod:`passerby.recipes.reproduce`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from passerby.config import with_overrides
from passerby.data.attributes.schema import Schema
from passerby.errors import UnknownNameError
from passerby.recipes.registry import load_recipe
from passerby.registry import Registry
from passerby.training.config import TrainConfig
from passerby.types import Rerank

COUNTED = {"parameters": 1e6, "weights": 1e6, "multiply-adds": 1e9}
"""Metrics that need no training, and what they are printed in. ``parameters`` is every one, ``weights`` are those of
convolutions and linear layers below the classifiers, ``multiply-adds`` theirs."""
RERANKED = Rerank()
"""As every paper that re-ranks has it: k1 = 20, k2 = 6, λ = 0.3, squared distances."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A data set that numbers are printed for."""

    data: str
    """The name of the :class:`~passerby.data.dataset.Dataset`."""
    title: str
    classes: int
    """People to train on."""
    single_shot: bool = False
    """Whether they are of one gallery picture a person."""


MARKET = Column(data="market1501", title="Market-1501", classes=751)
DUKE = Column(data="dukemtmc", title="DukeMTMC-reID", classes=702)
CUHK03 = Column(data="cuhk03:protocol=new,images=detected", title="CUHK03", classes=767)
CUHK03_LABELLED = Column(
    data="cuhk03:protocol=old,images=labelled,split=0", title="CUHK03-L", classes=1367, single_shot=True
)
CUHK03_DETECTED = Column(
    data="cuhk03:protocol=old,images=detected,split=0", title="CUHK03-D", classes=1367, single_shot=True
)

Numbers = tuple[float | None, ...]
"""As printed, in the order of a table's metrics; ``None`` where there is a dash."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a table."""

    title: str
    printed: tuple[Numbers, ...]
    """For each column of the table."""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """To the recipe, by dotted names."""
    on: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Further changes for data sets, by their names."""
    reranks: str = ""
    """The row whose run these are the numbers of, after re-ranking; it has the changes then."""
    unsupported: str = ""
    """Why it cannot be run; empty where it can."""
    note: str = ""
    """What the paper leaves open about it, and how it is read here."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of a paper. The settings under which it was printed are the recipe's.

    Raises:
        ValueError: if a row has another number of numbers than there are columns and metrics, or re-ranks no row.
    """

    recipe: str
    paper: str
    name: str
    """As the paper counts it: ``Table 1``."""
    title: str
    metrics: tuple[str, ...]
    """``mAP``, ``rank-1``, …; those of :data:`COUNTED`; or, in a table of ``attributes``, groups and ``mean``."""
    columns: tuple[Column, ...]
    rows: Mapping[str, Row]
    weights: str = "ImageNet"
    """What training starts from."""
    keypoints: str = ""
    """Who finds them, for a model that sees parts of the body."""
    attributes: Schema | None = None
    """Whose groups the metrics are, where the numbers are their accuracy."""

    def __post_init__(self) -> None:
        for name, row in self.rows.items():
            if row.reranks and (row.reranks not in self.rows or row.changes or row.on):
                raise ValueError(f"row {name} of {self.name} re-ranks {row.reranks!r}: wanted another row, no changes")
            if [len(numbers) for numbers in row.printed] != [len(self.metrics)] * len(self.columns):
                raise ValueError(f"row {name} of {self.name}: wanted {len(self.metrics)} numbers for each column")

    @property
    def trained(self) -> bool:
        """Whether its rows are trained and evaluated; else they are counted."""
        return any(metric not in COUNTED for metric in self.metrics)

    def row(self, name: str) -> Row:
        """The row called ``name``.

        Raises:
            UnknownNameError: if there is none.
        """
        if name not in self.rows:
            raise UnknownNameError(f"row of {self.recipe}'s {self.name}", name, self.rows)
        return self.rows[name]

    def printed(self, name: str, column: Column) -> dict[str, float]:
        """What stands in a row below a data set: metric → value, without dashes."""
        numbers = self.row(name).printed[self.columns.index(column)]
        return {metric: n for metric, n in zip(self.metrics, numbers, strict=True) if n is not None}

    def column(self, data: str) -> Column:
        """The column to compare with on the data set of that name: its own, else the first."""
        return next((column for column in self.columns if column.data == data), self.columns[0])

    def reason(self, name: str) -> str:
        """Why a row cannot be run; empty where it can."""
        return self.row(name).unsupported

    def run(self, name: str) -> str:
        """The row that is trained for a row: itself, or the one that it re-ranks."""
        return self.row(name).reranks or name

    def config(self, name: str, data: str = "") -> TrainConfig:
        """The settings of a row as the paper has it, on the data set of that name."""
        row = self.row(self.run(name))
        return with_overrides(load_recipe(self.recipe), {**row.changes, **row.on.get(data, {})})


PAPERS: Registry[Mapping[str, Table]] = Registry("paper", "passerby.recipes")


def load_table(paper: str, table: str) -> Table:
    """The table of a paper.

    Raises:
        UnknownNameError: if there is no such paper or table.
    """
    tables = PAPERS[paper]
    if table not in tables:
        raise UnknownNameError(f"table of {paper}", table, tables)
    return tables[table]


def options(**values: Any) -> dict[str, Any]:
    """Changes to the model's own keywords."""
    return {f"model.options.{name}": value for name, value in values.items()}
