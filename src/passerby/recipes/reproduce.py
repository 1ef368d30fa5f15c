"""The reproduction of a paper's table: its rows are run one after the other and compared with the printed numbers.

A row is a run folder, ``OUTPUT/PAPER-TABLE/ROW``, or ``ROW-DATASET`` for other datasets than the first column's. Its
content decides what is done: a finished row is not trained again, an unfinished one resumes from its newest checkpoint,
and the report shows every finished row, whenever it was trained. If one row fails, the others are still run.
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
from passerby.figures.loss_panels import loss_panels_figure
from passerby.figures.training_curves import TrainingHistory, save_loss_curves
from passerby.files import atomic_write, file_lock
from passerby.inference.load import load
from passerby.recipes.conditions import conditions, format_setting, value_of
from passerby.recipes.plan import Plan, make_plans
from passerby.recipes.progress import Progress
from passerby.recipes.table_report import Cell, Choice, Condition, Outcome, ReportRow, State, TableReport
from passerby.recipes.tables import COUNTED, RERANKED, Column
from passerby.training.config import TrainConfig, read_config
from passerby.training.loop import train
from passerby.training.run import RunFolder
from passerby.training.unstated import MARK, unstated
from passerby.types import Protocol


def reproduce(
    paper: str,
    table: str,
    *,
    data: str | Sequence[str] | None = None,
    rows: Sequence[str] | None = None,
    epochs: int | None = None,
    settings: Mapping[str, Any] | None = None,
    init: Mapping[str, str] | None = None,
    output: str | Path = "runs",
    show_progress: bool = True,
    log: Callable[[str], object] = lambda _: None,
) -> TableReport:
    """Run rows of a table and write the report into ``OUTPUT/PAPER-TABLE``; it is renewed after every row.

    Args:
        data: ``NAME:PATH`` or a path; several for several columns of the table; not needed for a table whose metrics
            are counted.
        rows: the names of rows; ``None``: all that can be run, and of which ``init`` names the backbone.
        epochs: the number of epochs instead of the paper's; the schedule scales with it.
        settings: changes to every row, by dotted names.
        init: the initial weights by name of the backbone, for a table of several; rows of other backbones are shown
            as earlier calls ran them, from whichever weights.
        log: called with one line per row.

    Raises:
        UnknownNameError: for an unknown paper, table, row or setting.
        ConfigError: if none of the rows can be run, or a row was trained before with other settings.
        DatasetLayoutError: if the data cannot be trained on, or evaluated.
        OutputError: if the report cannot be written, or another call is running one of the rows.
    """
    places = [data] if isinstance(data, str) else list(data or ())
    plans = make_plans(
        paper, table, data=places, rows=rows, epochs=epochs, settings=settings or {}, init=init or {}, output=output
    )
    _make_folder(plans[0].folder)
    with ExitStack() as locks:
        for plan in plans:
            locks.enter_context(_locked(plan))
        return _run(plans, show_progress=show_progress, log=log)


Failures = dict[tuple[str, str], str]
"""The errors of rows that failed, by dataset and row."""


def _run(plans: Sequence[Plan], *, show_progress: bool, log: Callable[[str], object]) -> TableReport:
    failures: Failures = {}
    report: TableReport | None = None
    todo = [(each, row) for each in plans if each.table.trained for row in each.selected]
    for plan, name in todo:
        label = name if len(plans) == 1 else f"{name} on {plan.column.title}"
        state = plan.progress(name)
        log(f"{label}: {_describe_state(plan, name, state)}")
        if state == "finished" and plan.metrics(name).is_file():
            continue
        try:
            if state != "finished":
                _train(plan.run(name), plan.configs[name], state, show_progress=show_progress)
            if plan.table.row(name).evaluates:
                _evaluate_again(plan, name)
        except (PasserbyError, OSError, RuntimeError) as error:  # torch raises RuntimeError where memory ends
            why = failures[plan.column.title, name] = " ".join(str(error).split()) or type(error).__name__
            log(f"{label}: failed: {why}")
        try:
            report = _write_report(plans, failures)
        except OutputError as error:  # a full disk, perhaps: the other rows still run, and the last report decides
            report = None
            log(f"{label}: {error}")
    return report or _write_report(plans, failures)


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
            locks.enter_context(file_lock(plan.folder / f".{plan.run(name).path.name}.lock", otherwise=busy))
        yield


_DESCRIPTIONS: dict[Progress, str] = {
    "absent": "training",
    "begun": "training again: it has no checkpoint to resume from",
    "unfinished": "resuming from its newest checkpoint",
    "finished": "already finished",
}


def _describe_state(plan: Plan, name: str, state: Progress) -> str:
    row = plan.table.row(name)
    if not row.evaluates or plan.metrics(name).is_file():
        return _DESCRIPTIONS[state]
    what = f"re-ranking {row.reranks}" if row.reranks else f"reading the branch {row.branch} of {row.reads}"
    return what if state == "finished" else f"needs {row.evaluates}: {_DESCRIPTIONS[state]}"


def _evaluate_again(plan: Plan, name: str) -> None:
    """Evaluate a finished run with re-ranking, or by one branch."""
    assert plan.test is not None
    row, model = plan.table.row(name), load(plan.run(name).path)
    protocol = model.protocol_for(plan.test)
    protocol = replace(protocol, rerank=RERANKED) if row.reranks else replace(protocol, branch=row.branch)
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


def _write_report(plans: Sequence[Plan], failures: Failures) -> TableReport:
    report = make_report(plans, failures)
    report = replace(report, curves=tuple(_draw_curves(plan, number, report) for number, plan in enumerate(plans)))
    report.write(plans[0].folder)
    return report


def _draw_curves(plan: Plan, number: int, report: TableReport) -> str:
    """Draw the loss curves that the paper draws of the table's rows; return the name of the file, or nothing."""
    runs = {row.name: row.outcomes[number].run for row in report.rows}
    panels = {
        panel: {name: TrainingHistory.from_run(run) for name, row in curves.items() if (run := runs[row]) is not None}
        for panel, curves in plan.table.curves.items()
    }
    if not any(panels.values()):
        return ""
    where = f" on {plan.column.title}" if number else ""
    figure = loss_panels_figure(panels, title=f"{report.title}: training losses{where}")
    name = f"losses{plan.suffix}.png"
    with atomic_write(plan.folder / name) as partial:
        figure.savefig(partial, format="png", dpi=130)
    return name


def make_report(plans: Sequence[Plan], failures: Failures) -> TableReport:
    """Return the report of the rows that are finished on disk."""
    first = plans[0]
    rows = tuple(_row_report(plans, name, failures) for name in first.table.rows)
    protocols = {
        _protocol(plan.metrics(row.name))
        for row in rows
        for plan, outcome in zip(plans, row.outcomes, strict=True)
        if outcome.run is not None
    }
    return TableReport(
        paper=first.paper,
        name=first.name,
        table=first.table,
        data="; ".join(plan.data for plan in plans),
        protocol="; ".join(sorted(protocols)),
        conditions=_all_conditions(plans, rows),
        rows=rows,
        choices=_choices(first, rows) if first.table.trained else (),
    )


def _all_conditions(plans: Sequence[Plan], rows: Sequence[ReportRow]) -> tuple[Condition, ...]:
    """Return the conditions of all datasets; one that is not equal on all names its dataset."""
    open_settings = unstated(plans[0].table.recipe)
    found: dict[Condition, list[str]] = {}
    for number, plan in enumerate(plans):
        others = {**plan.conditions, **_initial_weights(plan, [row.outcomes[number] for row in rows])}
        for condition in conditions(plan.table, plan.column, {n: plan.configs[n] for n in plan.selected}, others):
            what = f"{condition.what} {MARK}" if condition.what in open_settings else condition.what
            found.setdefault(replace(condition, what=what), []).append(plan.column.title)
    return tuple(
        condition if len(titles) == len(plans) else replace(condition, what=f"{condition.what}, {', '.join(titles)}")
        for condition, titles in found.items()
    )


def _choices(plan: Plan, rows: Sequence[ReportRow]) -> tuple[Choice, ...]:
    """Return the settings that the paper does not print, with their values in the rows of this call."""
    configs = [row.config for row in rows if row.name in plan.selected and row.config is not None]
    found = []
    for key, why in unstated(plan.table.recipe).items():
        values = dict.fromkeys(format_setting(value_of(config, key), "none") for config in configs)
        found.append(Choice(what=key, here=" or ".join(values), paper=why))
    return tuple(found)


def _initial_weights(plan: Plan, outcomes: Sequence[Outcome]) -> dict[str, tuple[str, str]]:
    """Return from which weights the rows of this call, and those shown, started."""
    if not plan.table.trained:
        return {}
    of: dict[str, dict[str, None]] = {}
    for name, outcome in zip(plan.table.rows, outcomes, strict=True):
        config = outcome.config
        if config is not None and (outcome.run is not None or name in plan.selected):
            of.setdefault(plan.backbone(name), {})[config.model.backbone_weights or "random"] = None
    files = list(dict.fromkeys(file for several in of.values() for file in several))
    here = files[0] if len(files) == 1 else "; ".join(f"{name}: {' or '.join(of[name])}" for name in of)
    return {"initial weights": (plan.table.weights, here or "random")}


def _row_report(plans: Sequence[Plan], name: str, failures: Failures) -> ReportRow:
    row = plans[0].table.row(name)
    outcomes = tuple(_outcome(plan, name, failures) for plan in plans)
    cells: list[Cell] = []
    for plan, outcome in zip(plans, outcomes, strict=True):
        run = None if outcome.run is None else RunFolder(outcome.run)
        columns = (plan.column,) if plan.table.trained else plan.table.columns
        cells += [_cell(plan, name, column, metric, run) for column in columns for metric in plan.table.metrics]
    return ReportRow(name=name, title=row.title, note=row.note, cells=tuple(cells), outcomes=outcomes)


def _outcome(plan: Plan, name: str, failures: Failures) -> Outcome:
    state, why = _state(plan, name, failures.get((plan.column.title, name), ""))
    run = plan.run(name) if state == "measured" else None
    return Outcome(
        dataset=plan.column.title if plan.table.trained else "",
        state=state,
        why=why,
        run=None if run is None else run.path,
        config=read_config(run.config) if run else plan.configs.get(name),
    )


def _state(plan: Plan, name: str, failure: str) -> tuple[State, str]:
    if name not in plan.configs:
        return "cannot be run", plan.table.reason(name)
    if failure:
        return "failed", failure
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
