"""What a reproduction is going to do, with everything refused that can be refused before any training."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from passerby.data.annotations import read_attributes
from passerby.data.attributes import Schema
from passerby.data.dataset import Dataset, people
from passerby.data.registry import load as load_dataset
from passerby.errors import ConfigError
from passerby.evaluation.evaluate import refuse_unevaluable
from passerby.evaluation.parts import AUTO, joints_in_words
from passerby.recipes.conditions import differences, shortened
from passerby.recipes.sizes import count
from passerby.recipes.tables import COUNTED, Column, Table, load_table
from passerby.training.config import TrainConfig, read_config, with_overrides
from passerby.training.run import RunFolder
from passerby.types import Protocol, Role

Progress = Literal["absent", "begun", "unfinished", "finished"]
"""Of a row on disk; what has ``begun`` has no checkpoint to go on from."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Which rows are to be run, and with what settings."""

    paper: str
    name: str
    table: Table
    folder: Path
    chosen: tuple[str, ...]
    column: Column
    """Of the paper, beside which our numbers stand."""
    data: str
    """In words; empty where nothing is trained."""
    queries: int
    """Of the test data; 0 where nothing is trained."""
    configs: Mapping[str, TrainConfig]
    """Of every row that can be run, chosen or not."""
    counts: Mapping[tuple[str, str, str], int]
    """Of these, by row, data set and metric."""
    conditions: Mapping[str, tuple[str, str]]
    """Beside settings: what, the paper's, ours."""

    def run(self, row: str) -> RunFolder:
        return RunFolder(self.folder / row)

    def progress(self, row: str) -> Progress:
        """How far a row has come (raises as :func:`progress` does)."""
        return progress(self.run(row), self.configs[row], queries=self.queries)


def plan_of(
    paper: str,
    table: str,
    *,
    data: str | None,
    rows: Sequence[str] | None,
    epochs: int | None,
    settings: Mapping[str, Any],
    out: str | Path,
) -> Plan:
    """The plan; see :func:`~passerby.recipes.reproduce.reproduce`."""
    found = load_table(paper, table)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError("rows are reproduced by one process; train a row by several with `passerby train`")
    for name in rows or ():
        found.row(name)
    _chosen(found, rows)  # what no data would help is refused before any is asked for
    place = {key: settings.get(key) for key in ("data.train", "data.test", "data.attributes", "data.test_attributes")}
    place["data.train"] = data or place["data.train"]
    trained, tested = _datasets(found, place)
    own = tested.name if tested else ""
    column = found.column(own)
    chosen = _chosen(found, rows)
    changes = {**settings, **({"data.train": place["data.train"]} if trained else {})}
    configs = {
        name: with_overrides(shortened(found.config(name, own), epochs), changes)
        for name in found.rows
        if not found.reason(name)
    }
    plan = Plan(
        paper=paper,
        name=table,
        table=found,
        folder=Path(out).expanduser() / f"{paper}-{table}",
        chosen=chosen,
        column=column,
        data=_in_words(trained, tested),
        queries=len(tested.query) if tested else 0,
        configs=configs,
        counts=_counts(found, configs),
        conditions=_data_conditions(found, column, trained, tested, changes),
    )
    for name in chosen:
        count(configs[name], "parameters", classes=column.classes)  # a model that cannot be built is refused here
        if found.trained:
            plan.progress(name)
    return plan


def _datasets(table: Table, place: Mapping[str, Any]) -> tuple[Dataset | None, Dataset | None]:
    """Those to train and to test on; none where nothing is trained."""
    if not table.trained:
        return None, None
    if not place["data.train"]:
        raise ConfigError(f"{table.name} of {table.recipe} is trained: give --data, NAME:PATH or a path")
    trained = load_dataset(place["data.train"])
    tested = load_dataset(place["data.test"]) if place["data.test"] else trained
    trained.split("train")
    refuse_unevaluable(tested, Protocol())
    if table.attributes:
        _refuse_undescribed(table, table.attributes, trained, tested, place)
    return trained, tested


def _refuse_undescribed(
    table: Table, schema: Schema, trained: Dataset, tested: Dataset, place: Mapping[str, Any]
) -> None:
    """Where predicted attributes are counted, somebody has to say those of the people to test on."""
    if tested is not trained and not place["data.test_attributes"]:
        raise ConfigError(
            f"{table.name} of {table.recipe} counts attributes, and nobody says those of {place['data.test']}; name "
            "them with --set data.test_attributes=FILE, or leave data.test out"
        )
    known = read_attributes(place["data.test_attributes"] or place["data.attributes"] or tested.source, schema)
    known.of_all([sample for sample in tested.gallery if sample.role is Role.PERSON])


def _chosen(table: Table, rows: Sequence[str] | None) -> tuple[str, ...]:
    asked = tuple(dict.fromkeys(rows or table.rows))
    reasons = {name: table.reason(name) for name in asked}
    if all(reasons.values()):
        why = "; ".join(sorted(set(reasons.values())))
        raise ConfigError(f"{', '.join(asked)} of {table.recipe}'s {table.name} cannot be run: {why}")
    return tuple(name for name in asked if not reasons[name])


def _in_words(trained: Dataset | None, tested: Dataset | None) -> str:
    if trained is None or tested is None:
        return ""
    words = f"{trained.name}: {trained.summary()}"
    return words if tested is trained else f"{tested.name}: {tested.summary()}; trained on {words}"


def _data_conditions(
    table: Table, column: Column, trained: Dataset | None, tested: Dataset | None, settings: Mapping[str, Any]
) -> dict[str, tuple[str, str]]:
    if trained is None or tested is None:
        return {}
    found = _other_data(column, trained)
    if tested.name not in (trained.name, column.data):
        found["test data"] = (column.title, tested.name)
    draws = settings.get("evaluation.draws")
    if (tested.single_shot if draws is None else draws > 0) != column.single_shot:
        words = ("the whole gallery", "one gallery picture a person")
        found["protocol"] = (words[column.single_shot], words[not column.single_shot])
    if table.joints:
        poses = str(settings.get("parts.poses", AUTO))
        found["joints"] = (table.joints, joints_in_words(poses, trained.source))
    weights = settings.get("model.trunk_weights")
    return {**found, "initial weights": (table.weights, str(weights) if weights else "random")}


def _other_data(column: Column, trained: Dataset) -> dict[str, tuple[str, str]]:
    """A data set is called after its layout, in which others come too: they are told by how many people they have."""
    if trained.name != column.data:
        return {"data": (column.title, trained.name)}
    here, paper = len(people(trained.train)), column.classes
    if here == paper:
        return {}
    words = "people to train on"
    return {"data": (f"{column.title}, {paper:,} {words}", f"{trained.name}, {here:,} {words}")}


def _counts(table: Table, configs: Mapping[str, TrainConfig]) -> dict[tuple[str, str, str], int]:
    return {
        (name, column.data, metric): count(config, metric, classes=column.classes)
        for name, config in configs.items()
        for column in table.columns
        for metric in table.metrics
        if metric in COUNTED
    }


def progress(run: RunFolder, config: TrainConfig, *, queries: int) -> Progress:
    """How far a row has come.

    Args:
        queries: of the test data: a place may hold other data than when the row was measured.

    Raises:
        ConfigError: if something else is in its folder, or it was trained with other settings, or on other data.
    """
    if not run.path.exists():
        return "absent"
    differ = differences(read_config(run.config), config)
    if differ:
        shown = "; ".join(f"{key}: {had}, wanted {wanted}" for key, (had, wanted) in list(differ.items())[:3])
        raise ConfigError(f"{run.path} was trained with other settings ({shown}); choose another --out, or delete it")
    if (run.path / "metrics.json").is_file():
        metrics = json.loads((run.path / "metrics.json").read_text())
        asked = metrics["queries"] + metrics["queries_dropped"]
        if asked != queries:
            raise ConfigError(
                f"{run.path} was measured with {asked:,} queries, the data has {queries:,}: it is other data now; "
                "choose another --out, or delete it"
            )
        return "finished"
    return "unfinished" if any(run.checkpoints.glob("epoch-*")) else "begun"
