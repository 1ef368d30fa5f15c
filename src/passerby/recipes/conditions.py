"""The conditions in which a run differs from the paper: changed settings, data, initial weights."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from passerby.config import with_overrides
from passerby.models.registry import MODELS, model_card, option_value
from passerby.recipes.table_report import Condition
from passerby.recipes.tables import Column, Table
from passerby.training.config import TrainConfig

NEUTRAL_SETTINGS = {"data.cache", "data.threads", "checkpoint_every", "evaluate_every"}
"""The settings that do not change any number of a run, to the last bit."""
_REPORTED_SEPARATELY = {"data.train", "data.test", "model.backbone_weights", "parts.keypoints"}
_UNSET = {
    "data.attributes": "beside the training images",
    "data.test_attributes": "with the training data's",
    "evaluation.draws": "as in the dataset's protocol",
}
"""The meaning of ``None`` for settings; for others the model decides."""


def shorten(config: TrainConfig, epochs: int | None) -> TrainConfig:
    """Return the same training in ``epochs`` epochs; milestones and warm-up scale with them."""
    if epochs is None:
        return config
    share = epochs / config.epochs
    schedule = config.schedule
    return with_overrides(
        config,
        {
            "epochs": epochs,
            "schedule.milestones": tuple(round(share * m, 4) for m in schedule.milestones),
            "schedule.warmup_epochs": round(share * schedule.warmup_epochs, 4),
        },
    )


def differences(one: TrainConfig, other: TrainConfig) -> dict[str, tuple[Any, Any]]:
    """Return the settings that differ, by dotted name, with both values."""
    return unequal(flatten(one), flatten(other))


def unequal(left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the values that differ, by name; a missing one counts as ``None``."""
    names = dict.fromkeys([*left, *right])
    return {n: (left.get(n), right.get(n)) for n in names if left.get(n) != right.get(n)}


def flatten(config: TrainConfig) -> dict[str, Any]:
    """Return plain values by dotted names."""
    return _flat(config.model_dump(mode="json"))


def value_of(config: TrainConfig, name: str) -> Any:
    """Return what stands at an unstated name: a setting, the default of a model's option, or a Python object."""
    if name.startswith("passerby."):
        module, _, attribute = name.rpartition(".")
        return getattr(importlib.import_module(module), attribute)
    option = name.removeprefix("model.options.")
    if option != name:
        return option_value(MODELS[config.model.name], config.model.options, option)
    if name == "evaluation.normalize" and config.evaluation.normalize is None:
        return model_card(config.model.name).normalize
    return flatten(config)[name]


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in tree.items():
        found |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return found


def conditions(
    table: Table, column: Column, configs: Mapping[str, TrainConfig], others: Mapping[str, tuple[str, str]]
) -> tuple[Condition, ...]:
    """Return what differs: ``others`` first, then epochs. Where rows differ from each other, all values are named."""
    changed: dict[str, tuple[list[str], list[str]]] = {}
    for name, config in configs.items():
        for key, values in differences(table.config(name, column.data), config).items():
            if key not in _REPORTED_SEPARATELY | NEUTRAL_SETTINGS:
                for seen, value in zip(changed.setdefault(key, ([], [])), values, strict=True):
                    seen.extend({format_setting(value, _UNSET.get(key, "the model's default"))} - set(seen))
    order = sorted(changed, key=lambda key: key != "epochs")
    settings = {key: (" or ".join(changed[key][0]), " or ".join(changed[key][1])) for key in order}
    return tuple(Condition(what=key, paper=paper, here=here) for key, (paper, here) in {**others, **settings}.items())


def format_setting(value: Any, unset: str = "the model's default") -> str:
    """Return the value of a setting in words."""
    if isinstance(value, list):
        return ", ".join(format_setting(part, unset) for part in value) or "none"
    if isinstance(value, float):
        return f"{value:g}"
    return unset if value is None else str(value)
