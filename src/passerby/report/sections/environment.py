"""The environment of the trainings, and the commands that repeat trainings and evaluations."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from markupsafe import Markup

from passerby.report.components import DASH, code, command, heading, paragraph, table
from passerby.report.inputs.evaluation import Evaluation, FeaturesEvaluation, ModelEvaluation
from passerby.report.inputs.record import Record
from passerby.report.inputs.run import Run
from passerby.report.registry import section
from passerby.report.templates import format_html

_NAMES = {
    "time": "started (UTC)",
    "commit": "commit of passerby (+: with changes)",
    "python": "Python",
    "platform": "system",
    "cpus": "CPU cores",
    "threads": "threads",
    "cuda": "GPU",
}


@section("environment", "Environment and commands", order=130)
def environment(runs: Sequence[Run]) -> Iterator[str]:
    """Yield the commands of every run, and the table of machines and package versions."""
    for run in runs:
        yield heading(f"Commands of {run.label}")
        if run.has("folder"):
            yield from _training(run.record)
        if run.evaluation:
            yield paragraph("Evaluation for this report:")
            yield command(evaluation_command(run, run.evaluation))
    known = [run.record for run in runs if run.record.environment]
    if known:
        yield _table(known)


def _training(record: Record) -> Iterator[Markup]:
    """Yield the command that trained a run, as it was typed."""
    line = record.environment.get("command")
    if not isinstance(line, str):
        yield paragraph(format_html("The folder does not record its command (no {}).", code("environment.json")))
        return
    yield paragraph("Training, as typed:")
    yield command(line)
    if not line.startswith("passerby "):
        yield paragraph("Another program trained it with passerby; its settings, above, determine the training.")


def evaluation_command(run: Run, evaluation: Evaluation) -> str:
    """Return the command that computes the run's metrics of this report."""
    record = run.record
    words = ["passerby", "evaluate"]
    if isinstance(evaluation, FeaturesEvaluation):
        words += ["--features", str(evaluation.file), "--open-set"]
    else:
        words += [str(record.path), "--data", evaluation.spec, "--open-set"]
    if isinstance(evaluation, ModelEvaluation) and evaluation.result.attributes:
        place = evaluation.own and (record.setting("data.test_attributes") or record.setting("data.attributes"))
        words += ["--attribute-labels", place or "own"]
    if evaluation.subgroups:
        words += ["--slices", ",".join(dict.fromkeys(some.dimension for some in evaluation.subgroups))]
    return shlex.join([*words, "--json"])


def _table(records: Sequence[Record]) -> Markup:
    rows: list[tuple[str, ...]] = [
        (name, *(_plain(record.environment.get(key)) for record in records)) for key, name in _NAMES.items()
    ]
    packages = [record.environment.get("packages") or {} for record in records]
    names = dict.fromkeys(name for each in packages for name in each)
    rows += [(code(package), *(_plain(each.get(package)) for each in packages)) for package in names]
    return table("Training environment", ("item", *(record.label for record in records)), rows)


def _plain(value: Any) -> str:
    return DASH if value is None else str(value)
