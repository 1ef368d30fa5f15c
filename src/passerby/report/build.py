"""From run folders, or files of embeddings, to one HTML file."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from pathlib import Path

from passerby.errors import PasserbyError
from passerby.files import atomic_write
from passerby.inference.options import InferenceOptions
from passerby.report.figure import size_budget
from passerby.report.inputs.evaluated_features import read_features
from passerby.report.inputs.evaluated_run import Progress, evaluate_run, own_test_data, silent
from passerby.report.inputs.evaluation import Missing
from passerby.report.inputs.record import Record, read_records
from passerby.report.inputs.run import Run
from passerby.report.page import page
from passerby.report.registry import sections

_LOG = logging.getLogger(__name__)


def write_report(
    runs: Sequence[str | Path],
    path: str | Path,
    *,
    data: str | None = None,
    options: InferenceOptions | None = None,
    progress: Progress = silent,
) -> tuple[Run, ...]:
    """Write the report of some runs to ``path``, whole or not at all; ``Run.missing`` lists what it could not show.

    Args:
        data: the data to evaluate on; ``None``: each run's own test data, or no evaluation where they cannot be opened.
        options: how to embed the images; its ``blur`` says whether heads are blurred.

    Raises:
        ConfigError: if a folder is not a run folder.
        PasserbyError: if ``data`` cannot be evaluated on.
        OutputError: if the file cannot be written.
    """
    found = tuple(read_run(record, data, options=options, progress=progress) for record in read_records(runs))
    _write(found, path)
    return found


def write_features_report(files: Sequence[str | Path], path: str | Path) -> tuple[Run, ...]:
    """Write the report of some files of precomputed embeddings to ``path``, whole or not at all.

    Sections that need a run folder, a model or images are left out.

    Raises:
        ConfigError: if a file is given twice.
        PasserbyError: if a file cannot be read, or lacks what an evaluation needs.
        OutputError: if the report cannot be written.
    """
    found = read_features(files)
    _write(found, path)
    return found


def _write(runs: Sequence[Run], path: str | Path) -> None:
    content = render_report(runs)
    with atomic_write(path) as partial:
        partial.write_text(content, encoding="utf-8")


def read_run(
    record: Record,
    data: str | None = None,
    *,
    options: InferenceOptions | None = None,
    progress: Progress = silent,
) -> Run:
    """Evaluate a run for a report. Data given as ``data`` must open; the run's own test data may be gone."""
    missing = tuple(_missing(record))
    if not record.model:
        return Run(record, None, missing)
    try:
        evaluation = evaluate_run(record, data, options=options, progress=progress)
    except PasserbyError as error:
        if data is not None:
            raise
        _LOG.warning("%s is not evaluated for the report: %s", record.label, error)
        return Run(record, None, (*missing, _not_evaluated(record, error)))
    return Run(record, evaluation, (*missing, *evaluation.missing))


def _not_evaluated(record: Record, error: PasserbyError) -> Missing:
    place = own_test_data(record)
    why = f"{error}" if place is None else f"its test data ({place}) cannot be evaluated on: {error}"
    what = "retrieval curves, ranked lists, maps, subgroups and new metrics"
    return Missing(what, why.rstrip("."), f"Name test data: passerby report {record.path} --data DATA.")


def _missing(record: Record) -> Iterable[Missing]:
    """Yield what the run's folder lacks."""
    if not record.model:
        remedy = f"Finish it: passerby train --resume {record.path}."
        yield Missing("a finished model", "the training was interrupted or failed (no model.json)", remedy)
    if record.config and not record.log:
        remedy = "Training with passerby writes one."
        yield Missing("training curves", "the folder has no metrics.jsonl", remedy)


def render_report(runs: Sequence[Run], *, created: datetime | None = None) -> str:
    """Return the HTML of the report of some runs."""
    when = (created or datetime.now(timezone.utc)).strftime("%Y-%m-%d %H:%M UTC")
    with size_budget(len(runs)):
        content = [build(runs) for build in sections()]
    return page(runs, content, created=when)
