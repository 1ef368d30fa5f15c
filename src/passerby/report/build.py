"""Runs → one HTML file that says what they are, how good, for whom, and why."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timezone
from pathlib import Path

from passerby.errors import PasserbyError
from passerby.explain.images import ImageSet
from passerby.files import atomic_write
from passerby.report.figure import sized
from passerby.report.inputs.evaluated_run import Missing, Progress, evaluated, own_data, silent
from passerby.report.inputs.record import Record, read_records
from passerby.report.inputs.run import Run, Section
from passerby.report.page import missing, page
from passerby.report.sections.attention import looks
from passerby.report.sections.calibration import calibration
from passerby.report.sections.curves import curves
from passerby.report.sections.data import data as data_section
from passerby.report.sections.embedding_map import embedding
from passerby.report.sections.environment import environment
from passerby.report.sections.matches import why
from passerby.report.sections.metrics import numbers
from passerby.report.sections.ranked_lists import ranked
from passerby.report.sections.retrieval import retrieval
from passerby.report.sections.subgroups import attributes, slices
from passerby.report.sections.training import training

_LOG = logging.getLogger(__name__)


def write_report(
    runs: Sequence[str | Path],
    path: str | Path,
    *,
    data: str | None = None,
    blur: bool | None = None,
    device: str = "cpu",
    keypoints: str | None = None,
    batch_size: int = 64,
    progress: Progress = silent,
) -> tuple[Run, ...]:
    """Write the report of some runs to ``path``, whole or not at all; what it could not have is in ``Run.missing``.

    Args:
        data: evaluate on these; ``None``: each run on its own test data where they open, and else on none.
        blur: blur heads; ``None``: unless nobody in the pictures exists.

    Raises:
        ConfigError: if a folder is no run's.
        PasserbyError: if ``data`` cannot be evaluated on.
        OutputError: if the file cannot be written.
    """
    records = read_records(runs)
    found = tuple(
        read_run(record, data, blur=blur, device=device, keypoints=keypoints, batch_size=batch_size, progress=progress)
        for record in records
    )
    content = report(found)
    with atomic_write(path) as partial:
        partial.write_text(content, encoding="utf-8")
    return found


def read_run(
    record: Record,
    data: str | None = None,
    *,
    blur: bool | None = None,
    device: str = "cpu",
    keypoints: str | None = None,
    batch_size: int = 64,
    progress: Progress = silent,
) -> Run:
    """A run with what it comes to on test data; data that were asked for must do, the run's own may be gone."""
    lacking = tuple(_lacking(record))
    if not record.model:
        return Run(record, None, None, lacking)
    try:
        tested = evaluated(record, data, device=device, keypoints=keypoints, batch_size=batch_size, progress=progress)
    except PasserbyError as error:
        if data is not None:
            raise
        _LOG.warning("%s is not evaluated for the report: %s", record.label, error)
        return Run(record, None, None, (*lacking, _unevaluated(record, error)))
    album = ImageSet(tested.dataset.source, blur=blur)
    return Run(record, tested, album, (*lacking, *tested.unsliced))


def _unevaluated(record: Record, error: PasserbyError) -> Missing:
    place = own_data(record)
    why = f"{error}" if place is None else f"its test data ({place}) cannot be evaluated on: {error}"
    what = "figures of retrieval, ranked lists, maps, slices and new numbers"
    return Missing(what, why.rstrip("."), f"Say where there are some: passerby report {record.path} --data DATA.")


def _lacking(record: Record) -> Iterable[Missing]:
    """Of the folder itself."""
    if not record.model:
        how = f"Finish it: passerby train --resume {record.path}."
        yield Missing("a finished model", "the training did not end, or not well (no model.json)", how)
    if record.config and not record.log:
        yield Missing("training curves", "the folder has no metrics.jsonl", "A run that passerby trains has one.")


_SECTIONS: tuple[Callable[[Sequence[Run]], Section], ...] = (
    numbers, training, data_section, curves, retrieval, ranked, why, looks, embedding, slices, attributes, calibration,
    environment, missing,
)  # fmt: skip


def report(runs: Sequence[Run], *, made: datetime | None = None) -> str:
    """The page."""
    when = (made or datetime.now(timezone.utc)).strftime("%Y-%m-%d %H:%M UTC")
    with sized(len(runs)):
        sections = [make(runs) for make in _SECTIONS]
    return page(runs, sections, made=when)
