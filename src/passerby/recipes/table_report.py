"""The report of a reproduced table: ``report.md`` for readers, ``figure.png``, and ``results.json`` with all numbers.

Each begins with the conditions that differ from the paper's.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from passerby.figures.reproduction import Dots, MetricPanel, reproduction_figure
from passerby.files import atomic_write
from passerby.recipes.tables import COUNTED, Table
from passerby.training.config import TrainConfig
from passerby.training.run import environment
from passerby.training.unstated import MARK

State = Literal["measured", "counted", "not run", "cannot be run", "failed", "other settings"]
_UNITS = {metric: f"10{'⁶' if size == 1e6 else '⁹'}" for metric, size in COUNTED.items()}
REPORT, FIGURE, RESULTS = "report.md", "figure.png", "results.json"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A number of the paper, and ours."""

    dataset: str
    metric: str
    paper: float | None
    ours: float | None
    exact: int | None = None
    """The exact count, where ours is counted."""
    beside: Mapping[str, float | None] = field(default_factory=dict)
    """The further numbers of ours that the paper does not print, by name."""

    @property
    def difference(self) -> float | None:
        return None if self.paper is None or self.ours is None else self.ours - self.paper


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of a row on one dataset."""

    dataset: str
    """The title of the paper's column; empty where nothing is trained."""
    state: State
    why: str
    run: Path | None = None
    config: TrainConfig | None = None


_WORST_FIRST: tuple[State, ...] = ("failed", "measured", "counted", "other settings", "not run", "cannot be run")


@dataclass(frozen=True, kw_only=True)
class ReportRow:
    """A row of the report."""

    name: str
    title: str
    note: str
    cells: tuple[Cell, ...]
    outcomes: tuple[Outcome, ...]
    """The outcome on each dataset."""

    @property
    def outcome(self) -> Outcome:
        """The outcome that stands for all: a failure, else what was measured, else why not."""
        return min(self.outcomes, key=lambda outcome: _WORST_FIRST.index(outcome.state))

    @property
    def state(self) -> State:
        return self.outcome.state

    @property
    def why(self) -> str:
        return self.outcome.why

    @property
    def run(self) -> Path | None:
        return self.outcome.run

    @property
    def config(self) -> TrainConfig | None:
        return self.outcome.config

    @property
    def described_state(self) -> str:
        """The state in words, by dataset where they differ."""
        if len({outcome.state for outcome in self.outcomes}) == 1:
            return self.state
        return "; ".join(f"{outcome.dataset}: {outcome.state}" for outcome in self.outcomes)


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A condition that differs from the paper's."""

    what: str
    paper: str
    here: str


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A setting that the paper does not print (†)."""

    what: str
    here: str
    paper: str
    """The words of the paper instead."""


@dataclass(frozen=True, kw_only=True)
class TableReport:
    """A reproduced table beside the printed one."""

    paper: str
    name: str
    table: Table
    data: str
    """The description of our data; empty for counted metrics."""
    protocol: str
    conditions: tuple[Condition, ...]
    rows: tuple[ReportRow, ...]
    choices: tuple[Choice, ...] = ()
    curves: tuple[str, ...] = ()
    """The files of loss curves beside the report; empty names stand for none."""

    @property
    def title(self) -> str:
        return f"{self.table.paper}, {self.table.name}: {self.table.title}"

    @property
    def failed(self) -> tuple[ReportRow, ...]:
        return tuple(row for row in self.rows if row.state == "failed")

    def write(self, folder: Path) -> None:
        """Write all three files, each atomically.

        Raises:
            OutputError: if one cannot be written.
        """
        image = io.BytesIO()
        reproduction_figure(self.title, _brief(self.conditions), self._panels()).savefig(image, format="png", dpi=130)
        contents = {
            RESULTS: (json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n").encode(),
            FIGURE: image.getvalue(),
            REPORT: self.to_markdown().encode(),
        }
        for name, content in contents.items():
            with atomic_write(folder / name) as partial:
                partial.write_bytes(content)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "paper": self.paper,
            "table": self.name,
            "title": self.title,
            "data": self.data,
            "protocol": self.protocol,
            "conditions": [vars(condition) for condition in self.conditions],
            "unstated": [vars(choice) for choice in self.choices],
            "rows": {row.name: _row_to_dict(row) for row in self.rows},
            **({"increments": found} if (found := self.increments()) else {}),
            "environment": environment(),
        }

    def to_markdown(self) -> str:
        """Return the text of ``report.md``."""
        return "\n".join([f"# {self.title}", "", *self._preamble(), "", *self._comparison(), *self._remarks()]) + "\n"

    def _preamble(self) -> list[str]:
        if not self.table.trained:
            lines = ["Counted on the models; nothing is trained."]
        else:
            lines = [f"Measured on {self.data}."]
            lines += [f"Protocol: {self.protocol}."] if self.protocol else []
            lines.append(f"Settings marked {MARK} are not in the paper: they were chosen by the recipe.")
            lines.append("One run per row: its spread is unknown.")
        if not self.conditions:
            return lines
        table = ["| | paper | here |", "|---|---|---|"]
        table += [f"| {c.what} | {c.paper} | {c.here} |" for c in self.conditions]
        return [*lines, "", "**Conditions that differ from the paper's, or may:**", "", *table]

    def _comparison(self) -> list[str]:
        if self.table.attributes:
            return _by_attribute(self.rows)
        several = len({cell.dataset for cell in self.rows[0].cells}) > 1
        head, rule = "| row |", "|---|"
        for cell in self.rows[0].cells:
            where = f"{cell.dataset}, " if several else ""
            head += f" {where}{cell.metric} ({_UNITS.get(cell.metric, '%')}): paper | ours | difference |"
            rule += "---:|---:|---:|"
        return [
            head + " |",
            rule + "---|",
            *(_markdown_row(row) for row in self.rows),
            "",
            *self._increments(),
            f"![paper and ours]({FIGURE})",
        ]

    def increments(self) -> dict[str, dict[str, Any]]:
        """Return the increments (↑) of rows over the rows that the paper compares them with, one per cell."""
        by_name = {row.name: row for row in self.rows}
        bases = {name: row.over for name, row in self.table.rows.items() if row.over}
        return {
            name: {
                "over": base,
                "numbers": [
                    {
                        "dataset": cell.dataset,
                        "metric": cell.metric,
                        "paper": _gain(cell.paper, below.paper),
                        "ours": _gain(cell.ours, below.ours),
                    }
                    for cell, below in zip(by_name[name].cells, by_name[base].cells, strict=True)
                ],
            }
            for name, base in bases.items()
        }

    def _increments(self) -> list[str]:
        found = self.increments()
        if not found:
            return []
        several = len({cell.dataset for cell in self.rows[0].cells}) > 1
        head, rule = "| increment (↑) |", "|---|"
        for cell in self.rows[0].cells:
            head += f" {f'{cell.dataset}, ' if several else ''}{cell.metric}: paper | ours |"
            rule += "---:|---:|"
        lines = []
        for name, each in found.items():
            cells = "".join(
                f" {format_number(n['paper'], signed=True)} | {format_number(n['ours'], signed=True)} |"
                for n in each["numbers"]
            )
            lines.append(f"| `{name}` over `{each['over']}` |{cells}")
        return [head, rule, *lines, ""]

    def _remarks(self) -> list[str]:
        several = len(self.rows[0].outcomes) > 1
        reasons = _grouped(
            (f"{f'{one.dataset}: ' if several and one.dataset else ''}{one.state}: {one.why}", row)
            for row in self.rows
            for one in _distinct(row.outcomes)
            if one.why
        )
        notes = _grouped((row.note, row) for row in self.rows if row.note)
        unit = "A difference is ours − paper."
        curves = [line for name in self.curves if name for line in ("", f"![training losses]({name})")]
        return [*curves, "", unit, *([""] if reasons or notes else []), *reasons, *notes, *self._choices()]

    def _choices(self) -> list[str]:
        if not self.choices:
            return []
        rows = [f"| {choice.what} {MARK} | {choice.here} | {choice.paper} |" for choice in self.choices]
        return ["", f"| {MARK}: not in the paper | here | the paper |", "|---|---|---|", *rows]

    def _panels(self) -> list[MetricPanel]:
        if self.table.attributes:
            return [
                MetricPanel(f"{row.title} (%)", [Dots(c.metric, c.paper, c.ours) for c in row.cells])
                for row in self.rows
            ]
        heads = [(cell.dataset, cell.metric) for cell in self.rows[0].cells]
        return [
            MetricPanel(
                title=f"{metric} ({_UNITS.get(metric, '%')})\n{'paper: ' if self.table.trained else ''}{dataset}",
                dots=[Dots(row.title, row.cells[i].paper, row.cells[i].ours) for row in self.rows],
            )
            for i, (dataset, metric) in enumerate(heads)
        ]


def _distinct(outcomes: tuple[Outcome, ...]) -> list[Outcome]:
    """Return the outcomes, without their dataset where all have the same state and reason."""
    if len({(outcome.state, outcome.why) for outcome in outcomes}) == 1:
        return [replace(outcomes[0], dataset="")]
    return list(outcomes)


def _gain(value: float | None, below: float | None) -> float | None:
    return None if value is None or below is None else value - below


def _grouped(remarks: Iterable[tuple[str, ReportRow]]) -> list[str]:
    """Return one line per remark, with all rows that it is about."""
    names: dict[str, list[str]] = {}
    for remark, row in remarks:
        names.setdefault(remark, []).append(f"`{row.name}`")
    return [f"- {', '.join(about)}: {remark}." for remark, about in names.items()]


def _by_attribute(rows: Iterable[ReportRow]) -> list[str]:
    """Return one table per row of the paper's table: there are more metrics than fit side by side."""
    lines = []
    for row in rows:
        beside = list(row.cells[0].beside)
        lines += [f"**{row.title}** (`{row.name}`): {row.described_state}", ""]
        lines += ["| accuracy (%) | " + " | ".join(["paper", "ours", "difference", *beside]) + " |"]
        lines += ["|---|" + "---:|" * (3 + len(beside))]
        for cell in row.cells:
            numbers = [format_number(cell.paper), format_number(cell.ours), format_number(cell.difference, signed=True)]
            numbers += [format_number(cell.beside[name]) for name in beside]
            lines += [f"| {cell.metric} | " + " | ".join(numbers) + " |"]
        lines += [""]
    balanced = "balanced is the mean recall over the values that occur"
    majority = "majority always predicts the most common value of the training data"
    return [*lines, f"Our further numbers: {balanced}; {majority}.", "", f"![paper and ours]({FIGURE})"]


def _markdown_row(row: ReportRow) -> str:
    cells = "".join(
        f" {format_number(cell.paper)} | {format_number(cell.ours)}{_exact_count(cell)} |"
        f" {format_number(cell.difference, signed=True)} |"
        for cell in row.cells
    )
    title = row.title.replace("*", r"\*")
    return f"| {title} (`{row.name}`) |{cells} {row.described_state} |"


def format_number(value: float | None, *, signed: bool = False) -> str:
    """Return a number as tables show it; a dash for ``None``."""
    if value is None:
        return "–"
    return f"{value:+.2f}".replace("-", "−") if signed else f"{value:.2f}"


def _exact_count(cell: Cell) -> str:
    return "" if cell.exact is None else f" ({cell.exact:,})"


def _brief(conditions: tuple[Condition, ...]) -> str:
    return "; ".join(f"{c.what}: {c.paper} → {c.here}" for c in conditions)


def _row_to_dict(row: ReportRow) -> dict[str, Any]:
    return {
        "title": row.title,
        "note": row.note,
        **{name: value for name, value in _outcome_to_dict(row.outcome).items() if name != "dataset"},
        "numbers": [_cell_to_dict(cell) for cell in row.cells],
        **({"datasets": [_outcome_to_dict(one) for one in row.outcomes]} if len(row.outcomes) > 1 else {}),
    }


def _outcome_to_dict(outcome: Outcome) -> dict[str, Any]:
    return {
        "dataset": outcome.dataset,
        "state": outcome.state,
        "why": outcome.why,
        "run": None if outcome.run is None else outcome.run.name,
        "settings": None if outcome.config is None else outcome.config.model_dump(mode="json"),
    }


def _cell_to_dict(cell: Cell) -> dict[str, Any]:
    plain = {name: value for name, value in vars(cell).items() if name != "beside"}
    return {**plain, "unit": COUNTED.get(cell.metric, "%"), "difference": cell.difference, **cell.beside}
