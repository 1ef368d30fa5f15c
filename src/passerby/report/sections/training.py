"""The training: models, settings, training data by name and digest, and the settings in which runs differ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from markupsafe import Markup

from passerby.report.components import DASH, code, count, details, paragraph, table
from passerby.report.inputs.record import Record
from passerby.report.inputs.run import Run
from passerby.report.registry import section
from passerby.report.templates import format_html, join_html
from passerby.training.unstated import MARK, unstated

_SIZE, _BATCH = "image size, height × width", "batch: people × images"
_ROWS = (
    ("recipe", "recipe"),
    ("backbone weights", "model.backbone_weights"),
    ("training data", "data.train"),
    ("test data", "data.test"),
    (_SIZE, ""),
    ("loss", "loss.name"),
    ("optimizer", "optimizer.name"),
    ("learning rate", "optimizer.lr"),
    ("schedule", "schedule.name"),
    ("epochs", "epochs"),
    (_BATCH, ""),
    ("random seed", "seed"),
)
"""The rows of the summary and the setting of each; empty where the row joins two settings."""
_DIGEST = 12
"""The characters of a digest that are shown."""


@section("training", "Training data and settings", order=20, needs="folder")
def training(runs: Sequence[Run]) -> Iterator[str]:
    """Yield the models and their training, the settings in which they differ, and all settings."""
    records = [run.record for run in runs]
    yield _summary(records)
    for record in records:
        yield from _unknown(record)
    if len(records) > 1:
        yield _differing(records)
    for record in records:
        if record.config:
            yield details(f"All settings of {record.label}", _settings(record))


def _summary(records: Sequence[Record]) -> Markup:
    head = ("setting", *(record.label for record in records))
    rows: list[tuple[str, ...]] = [("model", *(format_html("<b>{}</b>", record.name) for record in records))]
    rows.append(("model options", *(_options(record) for record in records)))
    rows += [(name, *(_setting(record, name, key) for record in records)) for name, key in _ROWS]
    rows.append(("training identities", *(_number(record.model.get("num_classes")) for record in records)))
    rows.append(("embedding size", *(_number(record.model.get("embedding_size")) for record in records)))
    rows.append(("training steps", *(_number(len(record.log) or None) for record in records)))
    return table("Models and training", head, rows)


def _options(record: Record) -> str:
    found: dict[str, Any] = record.model.get("options") or record.setting("model.options") or {}
    if not found:
        return "default (the paper's final model)"
    return Markup(" ").join(code(f"{name}={_plain(value)}") for name, value in found.items())


def _setting(record: Record, name: str, key: str) -> str:
    if name == _SIZE:
        sides = record.model.get("size") or [record.setting("data.height"), record.setting("data.width")]
        return " × ".join(map(_plain, sides))
    if name == _BATCH:
        return " × ".join(_plain(record.setting(f"sampler.{side}")) for side in "pk")
    if key == "data.test" and record.config and record.setting(key) is None:
        return join_html("query and gallery of the training data", _digest(record, key))
    value = record.setting(key)
    shown = code(value) if isinstance(value, str) and value else _plain(value)
    return join_html(shown, _digest(record, key))


def _digest(record: Record, key: str) -> Markup | None:
    """Return the digest of the data that a setting names, where the run recorded it."""
    found = record.inputs.get(key)
    if not isinstance(found, str):
        return None
    short = found[:_DIGEST]
    return format_html(' <span class="digest">digest <code title="{}">{}</code></span>', found, short)


def _plain(value: Any) -> str:
    if value is None:
        return DASH
    return value if isinstance(value, str) else json.dumps(value)


def _number(value: int | None) -> str:
    return DASH if value is None else count(value)


def _unknown(record: Record) -> Iterator[Markup]:
    """Yield what a run's folder does not record of its training."""
    if not record.config:
        yield paragraph(
            format_html(
                "<b>{}</b> was imported: its folder holds weights, but no record of how they were trained.",
                record.label,
            )
        )
    elif not record.inputs:
        yield paragraph(
            format_html(
                "<b>{}</b> has no digests of its data (no {}): only the settings name them.",
                record.label,
                code("inputs.json"),
            )
        )


def _differing(records: Sequence[Record]) -> Markup:
    settings = [record.settings for record in records]
    names = list(dict.fromkeys(name for each in settings for name in each))
    rows = [
        (_named(records[0], name), *(code(_plain(each.get(name))) for each in settings))
        for name in names
        if len({json.dumps(each.get(name), sort_keys=True) for each in settings}) > 1
    ]
    if not rows:
        return paragraph("All settings of these runs are equal.")
    return table("Settings in which the runs differ", ("setting", *(record.label for record in records)), rows)


def _named(record: Record, name: str) -> Markup:
    """Return the name of a setting, marked if the recipe's paper does not print it."""
    recipe = record.setting("recipe")
    marked = isinstance(recipe, str) and name in unstated(recipe)
    return join_html(code(name), format_html("{}", MARK)) if marked else code(name)


def _settings(record: Record) -> Markup:
    rows = [
        (_named(record, name), join_html(code(_plain(value)), _digest(record, name)))
        for name, value in record.settings.items()
    ]
    return table(f"{record.label}: config.json; {MARK}: not in the recipe's paper", ("setting", "value"), rows)
