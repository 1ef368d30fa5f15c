"""In what a run differs from the paper: settings that were changed, data, initial weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from passerby.config import with_overrides
from passerby.recipes.table_report import Condition
from passerby.recipes.tables import Column, Table
from passerby.training.config import TrainConfig

DECIDES_NOTHING = {"data.cache", "data.threads", "checkpoint_every", "evaluate_every"}
"""Settings with which a run comes to the same numbers, to the last bit, whatever they are."""
_SAID_APART = {"data.train", "data.test", "model.backbone_weights", "parts.keypoints"}
_UNSET = {
    "data.attributes": "beside the training pictures",
    "data.test_attributes": "with the training data's",
    "evaluation.draws": "as the data set's protocol has it",
}
"""What it means that nothing is named; else the model decides."""


def shortened(config: TrainConfig, epochs: int | None) -> TrainConfig:
    """The same training in ``epochs`` epochs: milestones and warm-up move with them, so that its course is kept."""
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
    """Settings by dotted names that are not equal, with both values."""
    return unequal(flat(one), flat(other))


def unequal(left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Values that are not equal, by name; what one lacks counts as ``None``."""
    names = dict.fromkeys([*left, *right])
    return {n: (left.get(n), right.get(n)) for n in names if left.get(n) != right.get(n)}


def flat(config: TrainConfig) -> dict[str, Any]:
    """Plain values by dotted names."""
    return _flat(config.model_dump(mode="json"))


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in tree.items():
        found |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return found


def conditions(
    table: Table, column: Column, configs: Mapping[str, TrainConfig], others: Mapping[str, tuple[str, str]]
) -> tuple[Condition, ...]:
    """What differs, ``others`` first, then epochs. Where rows differ among themselves, all their values are named."""
    changed: dict[str, tuple[list[str], list[str]]] = {}
    for name, config in configs.items():
        for key, values in differences(table.config(name, column.data), config).items():
            if key not in _SAID_APART | DECIDES_NOTHING:
                for seen, value in zip(changed.setdefault(key, ([], [])), values, strict=True):
                    seen.extend({_said(value, _UNSET.get(key, "the model's default"))} - set(seen))
    order = sorted(changed, key=lambda key: key != "epochs")
    settings = {key: (" or ".join(changed[key][0]), " or ".join(changed[key][1])) for key in order}
    return tuple(Condition(what=key, paper=paper, here=here) for key, (paper, here) in {**others, **settings}.items())


def _said(value: Any, unset: str) -> str:
    if isinstance(value, list):
        return ", ".join(_said(part, unset) for part in value) or "none"
    if isinstance(value, float):
        return f"{value:g}"
    return unset if value is None else str(value)
