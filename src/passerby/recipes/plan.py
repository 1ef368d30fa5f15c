"""What a reproduction is going to do, with everything refused that can be refused before any training."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from passerby.config import with_overrides
from passerby.data.attributes.labels import read_attributes
from passerby.data.attributes.schema import Schema
from passerby.data.dataset import Dataset, people
from passerby.data.keypoints.origin import AUTO
from passerby.data.registry import load as load_dataset
from passerby.errors import ConfigError
from passerby.evaluation.evaluate import check_evaluable
from passerby.inference.keypoint_source import describe_keypoints
from passerby.recipes.conditions import shortened
from passerby.recipes.progress import Inputs, Progress, progress
from passerby.recipes.sizes import count
from passerby.recipes.tables import COUNTED, Column, Table, load_table
from passerby.training.config import TrainConfig
from passerby.training.inputs import digests
from passerby.training.run import RunFolder
from passerby.types import Protocol, Role

RERANKED_METRICS = "reranked.json"


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
    training: Dataset | None
    """``None``, as the next, where nothing is trained."""
    test: Dataset | None
    configs: Mapping[str, TrainConfig]
    """Of every row that can be run, chosen or not."""
    counts: Mapping[tuple[str, str, str], int]
    """Of these, by row, data set and metric."""
    conditions: Mapping[str, tuple[str, str]]
    """Beside settings: what, the paper's, ours."""

    def run(self, row: str) -> RunFolder:
        """Where a row is trained, or the row that it re-ranks."""
        return RunFolder(self.folder / self.table.run(row))

    def metrics(self, row: str) -> Path:
        """The file of a row's numbers."""
        name = RERANKED_METRICS if self.table.row(row).reranks else "metrics.json"
        return self.run(row).path / name

    def progress(self, row: str) -> Progress:
        """How far a row has come (raises as :func:`~passerby.recipes.progress.progress` does)."""
        queries = len(self.test.query) if self.test else 0
        return progress(self.run(row), self.configs[row], inputs=self._inputs, queries=queries)

    def _inputs(self, config: TrainConfig) -> Inputs:
        return digests(config, self.training, self.test) if self.training else {}


def plan_of(
    paper: str,
    table: str,
    *,
    data: str | None,
    rows: Sequence[str] | None,
    epochs: int | None,
    settings: Mapping[str, Any],
    output: str | Path,
) -> Plan:
    """The plan; see :func:`~passerby.recipes.reproduce.reproduce`."""
    found = load_table(paper, table)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError("rows are reproduced by one process; train a row by several with `passerby train`")
    chosen = _chosen(found, rows)  # what no data would help is refused before any is asked for
    place = {key: settings.get(key) for key in ("data.train", "data.test", "data.attributes", "data.test_attributes")}
    place["data.train"] = data or place["data.train"]
    trained, tested = _datasets(found, place)
    own = tested.name if tested else ""
    column = found.column(own)
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
        folder=Path(output).expanduser() / f"{paper}-{table}",
        chosen=chosen,
        column=column,
        data=_in_words(trained, tested),
        training=trained,
        test=tested,
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
    check_evaluable(tested, Protocol())
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
    """Rows that are named, all of which must be able to run; or else all that can be run."""
    if rows is not None and not (rows and all(rows)):
        raise ConfigError(
            f"a row without a name is asked for; name some of {', '.join(table.rows)}, or none: all that can be run"
        )
    asked = tuple(dict.fromkeys(table.rows if rows is None else rows))
    for name in asked:
        table.row(name)
    reasons = {name: why for name in asked if (why := table.reason(name))}
    if reasons and (rows is not None or len(reasons) == len(asked)):
        why = "; ".join(sorted(set(reasons.values())))
        left = "" if len(reasons) == len(asked) else "; leave them out"
        raise ConfigError(f"{', '.join(reasons)} of {table.recipe}'s {table.name} cannot be run: {why}{left}")
    return tuple(name for name in asked if name not in reasons)


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
    if tested is not trained:
        found["test data"] = (column.title, f"{tested.name} at {settings['data.test']}")
    draws = settings.get("evaluation.draws")
    if (tested.single_shot if draws is None else draws > 0) != column.single_shot:
        words = ("the whole gallery", "one gallery picture a person")
        found["protocol"] = (words[column.single_shot], words[not column.single_shot])
    if table.keypoints:
        source = str(settings.get("parts.keypoints", AUTO))
        found["keypoints"] = (table.keypoints, describe_keypoints(source, trained.source))
    weights = settings.get("model.backbone_weights")
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
