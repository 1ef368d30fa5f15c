"""The reproduction of a paper's table: its rows are run one after the other and compared with the printed numbers.

A row is a run folder, ``OUTPUT/PAPER-TABLE/ROW``. Its content decides what is done: a finished row is not trained
again, an unfinished one resumes from its newest checkpoint, and the report shows every finished row, whenever it was
trained. If one row fails, the others are still run.
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
from passerby.recipes.plan import Plan, make_plan
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
        data: ``NAME:PATH`` or a path; not needed for a table whose metrics are counted.
        rows: the names of rows; ``None``: all that can be run.
        epochs: the number of epochs instead of the paper's; the schedule scales with it.
        settings: changes to every row, by dotted names.
        log: called with one line per row.

    Raises:
        UnknownNameError: for an unknown paper, table, row or setting.
        ConfigError: if none of the rows can be run, or a row was trained before with other settings.
        DatasetLayoutError: if the data cannot be trained on, or evaluated.
        OutputError: if the report cannot be written, or another call is running one of the rows.
    """
    plan = make_plan(paper, table, data=data, rows=rows, epochs=epochs, settings=settings or {}, output=output)
    _make_folder(plan.folder)
    with _locked(plan):
        return _run(plan, show_progress=show_progress, log=log)


def _run(plan: Plan, *, show_progress: bool, log: Callable[[str], object]) -> TableReport:
    failures: dict[str, str] = {}
    report: TableReport | None = None
    for name in plan.selected if plan.table.trained else ():
        state = plan.progress(name)
        log(f"{name}: {_describe_state(plan, name, state)}")
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
        report = _write_report(plan, failures)
    return report or _write_report(plan, failures)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot create the folder '{folder}': {error.strerror or error}. Fix: choose another --output"
        ) from None


@contextmanager
def _locked(plan: Plan) -> Iterator[None]:
    """Lock the rows: another call would take a running row for an abandoned one, and delete it."""
    with ExitStack() as locks:
        unfinished = [name for name in plan.selected if plan.table.trained and not plan.metrics(name).is_file()]
        for name in dict.fromkeys(map(plan.table.run, unfinished)):
            busy = f"{name} of '{plan.folder}' is being run by another call. Fix: wait, or choose another --output"
            locks.enter_context(file_lock(plan.folder / f".{name}.lock", otherwise=busy))
        yield


_DESCRIPTIONS: dict[Progress, str] = {
    "absent": "training",
    "begun": "training again: it has no checkpoint to resume from",
    "unfinished": "resuming from its newest checkpoint",
    "finished": "already finished",
}


def _describe_state(plan: Plan, name: str, state: Progress) -> str:
    row = plan.table.row(name).reranks
    if not row or plan.metrics(name).is_file():
        return _DESCRIPTIONS[state]
    return f"re-ranking {row}" if state == "finished" else f"needs {row}: {_DESCRIPTIONS[state]}"


def _rerank(plan: Plan, name: str) -> None:
    """Evaluate a finished run with re-ranking."""
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
        run.write_config(config)  # the data may have another path now
        train(None, run.path, resume=True, show_progress=show_progress, on_checkpoint=save_loss_curves)
    else:
        train(config, run.path, show_progress=show_progress, on_checkpoint=save_loss_curves)


def _write_report(plan: Plan, failures: Mapping[str, str]) -> TableReport:
    report = make_report(plan, failures)
    report.write(plan.folder)
    return report


def make_report(plan: Plan, failures: Mapping[str, str]) -> TableReport:
    """Return the report of the rows that are finished on disk."""
    rows = tuple(_row_report(plan, name, failures) for name in plan.table.rows)
    protocols = {_protocol(plan.metrics(row.name)) for row in rows if row.run is not None}
    return TableReport(
        paper=plan.paper,
        name=plan.name,
        table=plan.table,
        data=plan.data,
        protocol="; ".join(sorted(protocols)),
        conditions=conditions(plan.table, plan.column, {n: plan.configs[n] for n in plan.selected}, plan.conditions),
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
    """Return the accuracy of a group, or their mean; empty where the test people have no such attribute."""
    found = metrics.get("attributes", {})
    shares = found.get("mean", {}) if group == "mean" else found.get("groups", {}).get(group, {})
    percent = {key: 100 * share for key in _BESIDE if (share := shares.get(key)) is not None}
    beside = {title: percent.get(key) for key, title in _BESIDE.items() if title}
    return Cell(dataset=column.title, metric=group, paper=paper, ours=percent.get("accuracy"), beside=beside)


_BESIDE = {"accuracy": "", "balanced": "balanced", "majority_accuracy": "majority"}
"""The keys of a group's evaluation, and their names in a report."""


def _measured(metrics: Mapping[str, Any], metric: str) -> float | None:
    """Return a metric as a share; ``None`` for the mAP of single-shot galleries, which have none."""
    found: float | None = metrics["mean_ap"] if metric == "mAP" else metrics["cmc"][metric.removeprefix("rank-")]
    return found


def _protocol(metrics: Path) -> str:
    return str(Protocol.from_dict(read_tree(metrics)["protocol"]))
