"""Where it was made, with what, and how to make it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from typing import Any

from passerby.report.components import Content, Html, code, element, paragraph, table
from passerby.report.inputs.record import Record
from passerby.report.inputs.run import Run, Section

_NAMES = {
    "time": "begun (UTC)",
    "commit": "passerby's commit (+: with changes)",
    "python": "Python",
    "platform": "system",
    "cpus": "processor cores",
    "threads": "threads",
    "cuda": "GPU",
}


def environment(runs: Sequence[Run]) -> Section:
    content: list[Content] = [paragraph("Each run's command, as it was typed:")]
    for run in runs:
        content += _repeat(run)
    known = [run.record for run in runs if run.record.environment]
    if known:
        content.append(_table(known))
    return Section("environment", "Environment, and how to repeat it", tuple(content))


def _repeat(run: Run) -> Iterable[Content]:
    record = run.record
    command = record.environment.get("command")
    yield element("h3", f"Repeat {record.label}")
    if isinstance(command, str):
        yield _command(command)
        if not command.startswith("passerby "):
            yield paragraph(
                "Another program trained it through passerby; its settings, above, are all that decided it."
            )
    else:
        yield paragraph("The folder does not say how it was made (no ", code("environment.json"), ").")
    if run.tested:
        yield paragraph("The numbers of this report:")
        yield _command(evaluation(run))


def evaluation(run: Run) -> str:
    """The command that gives a run's numbers."""
    assert run.tested is not None
    record = run.record
    words = ["passerby", "evaluate", str(record.path), "--data", run.tested.spec, "--open-set"]
    if run.tested.result.attributes:
        place = run.tested.own and (record.setting("data.test_attributes") or record.setting("data.attributes"))
        words += ["--attributes", place or "own"]
    if run.tested.slices:
        words += ["--slices", ",".join(dict.fromkeys(some.dimension for some in run.tested.slices))]
    return shlex.join([*words, "--json"])


def _command(command: str) -> Html:
    return element("pre", code(command))


def _table(records: Sequence[Record]) -> Html:
    rows: list[tuple[Content, ...]] = [
        (name, *(_plain(record.environment.get(key)) for record in records)) for key, name in _NAMES.items()
    ]
    packages = [record.environment.get("packages") or {} for record in records]
    names = dict.fromkeys(name for each in packages for name in each)
    rows += [(code(package), *(_plain(each.get(package)) for each in packages)) for package in names]
    return table("Where the runs were trained", ("what", *(record.label for record in records)), rows)


def _plain(value: Any) -> str:
    return "–" if value is None else str(value)
