"""Rows of a paper's table, run one after the other and put beside what the paper printed.

A row is a run folder, ``OUTPUT/PAPER-TABLE/ROW``. What is there decides what is done: a finished row is not trained
again, an unfinished one goes on from its newest checkpoint, and the report shows every row that is finished, whenever
it was trained. A row that fails does not keep the others from being run.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from passerby.config import read_tree
from passerby.errors import ConfigError, OutputError, PasserbyError
from passerby.figures.training_curves import save_loss_curves
from passerby.files import atomic_write, file_lock
from passerby.inference.load import load
from passerby.recipes.conditions import conditions
from passerby.recipes.plan import Plan, plan_of
from passerby.recipes.progress import Progress
from passerby.recipes.table_report import Cell, ReportRow, State, TableReport
from passerby.recipes.tables import COUNTED, RERANKED, Column
from passerby.training.config import TrainConfig, read_config
from passerby.training.loop import train
from passerby.training.run import RunFolder
from passerby.types import Protocol


def reproduce(
    paper: str,
    table: str,
    *,
    data: str | None = None,
    rows: Sequence[str] | None = None,
    epochs: int | None = None,
    settings: Mapping[str, Any] | None = None,
    output: str | Path = "runs",
    show_progress: bool = True,
    log: Callable[[str], object] = lambda _: None,
) -> TableReport:
    """Run rows of a table and write the report into ``OUTPUT/PAPER-TABLE``; it is renewed after every row.

    Args:
        data: ``NAME:PATH`` or a path; not needed for a table that is counted.
        rows: names; ``None``: all that can be run.
        epochs: instead of the paper's; the schedule shrinks with them.
        settings: by dotted names, for every row.
        log: told what happens, a line a row.

    Raises:
        UnknownNameError: for a paper, table, row or setting that there is not.
        ConfigError: if none of the rows can be run, or a row was trained before with other settings.
        DatasetLayoutError: if the data cannot be trained on, or evaluated.
        OutputError: if the report cannot be written, or another call is running one of the rows.
    """
    plan = plan_of(paper, table, data=data, rows=rows, epochs=epochs, settings=settings or {}, output=output)
    _make(plan.folder)
    with _alone(plan):
        return _run(plan, show_progress=show_progress, log=log)


def _run(plan: Plan, *, show_progress: bool, log: Callable[[str], object]) -> TableReport:
    failures: dict[str, str] = {}
    report: TableReport | None = None
    for name in plan.chosen if plan.table.trained else ():
        state = plan.progress(name)
        log(f"{name}: {_said(plan, name, state)}")
        if state == "finished" and plan.metrics(name).is_file():
            continue
        try:
            if state != "finished":
                _train(plan.run(name), plan.configs[name], state, show_progress=show_progress)
            if plan.table.row(name).reranks:
                _rerank(plan, name)
        except (PasserbyError, OSError, RuntimeError) as error:  # torch raises RuntimeError where memory ends
            failures[name] = " ".join(str(error).split()) or type(error).__name__
            log(f"{name}: failed: {failures[name]}")
        report = _written(plan, failures)
    return report or _written(plan, failures)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror or error}; choose another --out") from None


@contextmanager
def _alone(plan: Plan) -> Iterator[None]:
    """Of several calls, one runs a row: another would take it for one that was begun and left, and delete it."""
    with ExitStack() as locks:
        unfinished = [name for name in plan.chosen if plan.table.trained and not plan.metrics(name).is_file()]
        for name in dict.fromkeys(map(plan.table.run, unfinished)):
            words = f"{name} of {plan.folder} is being run by another call; wait for it, or choose another --out"
            locks.enter_context(file_lock(plan.folder / f".{name}.lock", otherwise=words))
        yield


_SAID: dict[Progress, str] = {
    "absent": "training",
    "begun": "training anew, since it has no checkpoint to go on from",
    "unfinished": "going on from its newest checkpoint",
    "finished": "finished before",
}


def _said(plan: Plan, name: str, state: Progress) -> str:
    row = plan.table.row(name).reranks
    if not row or plan.metrics(name).is_file():
        return _SAID[state]
    return f"re-ranking of {row}" if state == "finished" else f"{_SAID[state]} {row}, to re-rank it"


def _rerank(plan: Plan, name: str) -> None:
    """Evaluate a finished run once more."""
    assert plan.test is not None
    model = load(plan.run(name).path)
    protocol = replace(model.protocol_for(plan.test), rerank=RERANKED)
    result = model.evaluate(plan.test, protocol=protocol)
    with atomic_write(plan.metrics(name)) as partial:
        partial.write_text(json.dumps(result.to_dict(), indent=2) + "\n")


def _train(run: RunFolder, config: TrainConfig, state: Progress, *, show_progress: bool) -> None:
    if state == "begun":
        shutil.rmtree(run.path)
    if state == "unfinished":
        run.write_config(config)  # the data may lie elsewhere now
        train(None, run.path, resume=True, show_progress=show_progress, on_checkpoint=save_loss_curves)
    else:
        train(config, run.path, show_progress=show_progress, on_checkpoint=save_loss_curves)


def _written(plan: Plan, failures: Mapping[str, str]) -> TableReport:
    report = report_of(plan, failures)
    report.write(plan.folder)
    return report


def report_of(plan: Plan, failures: Mapping[str, str]) -> TableReport:
    """The table as it stands on disk."""
    rows = tuple(_row_report(plan, name, failures) for name in plan.table.rows)
    protocols = {_protocol(plan.metrics(row.name)) for row in rows if row.run is not None}
    return TableReport(
        paper=plan.paper,
        name=plan.name,
        table=plan.table,
        data=plan.data,
        protocol="; ".join(sorted(protocols)),
        conditions=conditions(plan.table, plan.column, {n: plan.configs[n] for n in plan.chosen}, plan.conditions),
        rows=rows,
    )


def _row_report(plan: Plan, name: str, failures: Mapping[str, str]) -> ReportRow:
    row = plan.table.row(name)
    state, why = _state(plan, name, failures)
    run = plan.run(name) if state == "measured" else None
    columns = (plan.column,) if plan.table.trained else plan.table.columns
    return ReportRow(
        name=name,
        title=row.title,
        state=state,
        why=why,
        note=row.note,
        cells=tuple(_cell(plan, name, column, metric, run) for column in columns for metric in plan.table.metrics),
        run=None if run is None else run.path,
        config=read_config(run.config) if run else plan.configs.get(name),
    )


def _state(plan: Plan, name: str, failures: Mapping[str, str]) -> tuple[State, str]:
    if name not in plan.configs:
        return "cannot be run", plan.table.reason(name)
    if name in failures:
        return "failed", failures[name]
    if not plan.table.trained:
        return "counted", ""
    try:
        reached = plan.progress(name)
    except ConfigError as error:
        return "other settings", str(error)
    measured = reached == "finished" and plan.metrics(name).is_file()
    return ("measured", "") if measured else ("not run", "")


def _cell(plan: Plan, name: str, column: Column, metric: str, run: RunFolder | None) -> Cell:
    exact = plan.counts.get((name, column.data, metric))
    ours = None if exact is None else exact / COUNTED[metric]
    if run is not None and metric not in COUNTED:
        metrics = read_tree(plan.metrics(name))
        if plan.table.attributes:
            return _attribute(metrics, metric, column=column, paper=plan.table.printed(name, column).get(metric))
        measured = _measured(metrics, metric)
        ours = None if measured is None else 100 * measured
    paper = plan.table.printed(name, column).get(metric)
    return Cell(dataset=column.title, metric=metric, paper=paper, ours=ours, exact=exact)


def _attribute(metrics: Mapping[str, Any], group: str, *, column: Column, paper: float | None) -> Cell:
    """A group's accuracy, or their mean; nothing where nobody knows that of the test's people."""
    found = metrics.get("attributes", {})
    shares = found.get("mean", {}) if group == "mean" else found.get("groups", {}).get(group, {})
    percent = {key: 100 * share for key in _BESIDE if (share := shares.get(key)) is not None}
    beside = {title: percent.get(key) for key, title in _BESIDE.items() if title}
    return Cell(dataset=column.title, metric=group, paper=paper, ours=percent.get("accuracy"), beside=beside)


_BESIDE = {"accuracy": "", "balanced": "balanced", "majority_accuracy": "majority"}
"""What an evaluation says of a group, and what a report calls that."""


def _measured(metrics: Mapping[str, Any], metric: str) -> float | None:
    """``None``: a single gallery shot has no average precision."""
    found: float | None = metrics["mean_ap"] if metric == "mAP" else metrics["cmc"][metric.removeprefix("rank-")]
    return found


def _protocol(metrics: Path) -> str:
    return str(Protocol.from_dict(read_tree(metrics)["protocol"]))
