"""What was trained on what: the settings, the data by their content, how it went."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from passerby.report.components import Content, Html, code, element, folded, paragraph, table
from passerby.report.inputs.record import Record
from passerby.report.inputs.run import Run, Section, count

_ROWS = (
    ("recipe", "recipe"),
    ("backbone weights", "model.backbone_weights"),
    ("trained on", "data.train"),
    ("tested on", "data.test"),
    ("picture, height × width", ""),
    ("loss", "loss.name"),
    ("optimizer", "optimizer.name"),
    ("learning rate", "optimizer.lr"),
    ("schedule", "schedule.name"),
    ("epochs", "epochs"),
    ("batch: people × pictures", ""),
    ("seed", "seed"),
)
"""What people ask first, and the setting that answers; empty where two do."""
_FEW = 12
"""Characters of a digest that tell contents apart at a glance."""


def training(runs: Sequence[Run]) -> Section:
    records = [run.record for run in runs]
    content: list[Content] = [_table(records), *_untrained(records)]
    if len(records) > 1:
        content.append(_differing(records))
    content += [folded(f"All settings of {record.label}", _settings(record)) for record in records if record.config]
    return Section("training", "What was trained on what", tuple(content))


def _table(records: Sequence[Record]) -> Html:
    head = ("setting", *(record.label for record in records))
    rows: list[tuple[Content, ...]] = [("model", *(element("b", record.name) for record in records))]
    rows.append(("its options", *(_shown(_options(record)) for record in records)))
    rows += [(name, *(_setting(record, name, key) for record in records)) for name, key in _ROWS]
    rows.append(("people it learned to tell apart", *(_number(record.model.get("num_classes")) for record in records)))
    rows.append(("numbers of an embedding", *(_number(record.model.get("embedding_size")) for record in records)))
    rows.append(("steps", *(_number(len(record.log) or None) for record in records)))
    return table("The models and their training", head, rows)


def _options(record: Record) -> dict[str, Any]:
    found: dict[str, Any] = record.model.get("options") or record.setting("model.options") or {}
    return found


def _setting(record: Record, name: str, key: str) -> Content:
    if name.startswith("picture"):
        sides = record.model.get("size") or [record.setting("data.height"), record.setting("data.width")]
        return " × ".join(map(_plain, sides))
    if name.startswith("batch"):
        return " × ".join(_plain(record.setting(f"sampler.{side}")) for side in "pk")
    if key == "data.test" and record.config and record.setting(key) is None:
        return ["the same data's query and gallery", _digest(record, key)]
    return [_shown(record.setting(key)), _digest(record, key)]


def _digest(record: Record, key: str) -> Html | None:
    """Of what the setting names, where the run wrote it down."""
    found = record.inputs.get(key)
    if not isinstance(found, str):
        return None
    return element("span", " content ", element("code", found[:_FEW], title=found), class_="digest")


def _shown(value: Any) -> Content:
    if isinstance(value, dict):
        return [[code(f"{name}={_plain(each)}"), " "] for name, each in value.items()] or "as the paper's final model"
    return code(_plain(value)) if isinstance(value, str) and value else _plain(value)


def _plain(value: Any) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else json.dumps(value)


def _number(value: int | None) -> str:
    return "–" if value is None else count(value)


def _untrained(records: Sequence[Record]) -> Iterable[Content]:
    for record in records:
        if not record.config:
            yield paragraph(
                element("b", record.label),
                " was imported: its folder holds weights, and says nothing of how they were trained.",
            )
        elif not record.inputs:
            why = [" does not say what the data held (no ", code("inputs.json"), "): the settings alone name them."]
            yield paragraph(element("b", record.label), why)


def _differing(records: Sequence[Record]) -> Html:
    """The settings in which the runs are not alike."""
    settings = [record.settings for record in records]
    names = list(dict.fromkeys(name for each in settings for name in each))
    rows = [
        (code(name), *(code(_plain(each.get(name))) for each in settings))
        for name in names
        if len({json.dumps(each.get(name), sort_keys=True) for each in settings}) > 1
    ]
    if not rows:
        return paragraph("All settings of these runs are the same.")
    return table("Settings in which the runs differ", ("setting", *(record.label for record in records)), rows)


def _settings(record: Record) -> Html:
    rows = [(code(name), [code(_plain(value)), _digest(record, name)]) for name, value in record.settings.items()]
    return table(f"{record.label}: config.json", ("setting", "value"), rows)
