"""The plan of a reproduction: every check that needs no training is done while it is made."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from passerby.compat import current_key
from passerby.config import with_overrides
from passerby.data.attributes.labels import read_attributes
from passerby.data.attributes.schema import Schema
from passerby.data.dataset import Dataset, people
from passerby.data.keypoints.origin import AUTO
from passerby.data.registry import load as load_dataset
from passerby.errors import ConfigError
from passerby.evaluation.evaluate import check_distance, check_evaluable
from passerby.inference.keypoint_source import describe_keypoints
from passerby.models.registry import model_card
from passerby.recipes.conditions import shorten
from passerby.recipes.progress import Inputs, Progress, progress
from passerby.recipes.sizes import count
from passerby.recipes.tables import COUNTED, Column, Table, load_table
from passerby.training.attributes import GIVE_ATTRIBUTES
from passerby.training.config import TrainConfig
from passerby.training.inputs import digests
from passerby.training.run import RunFolder
from passerby.types import Protocol, Role

RERANKED_METRICS = "reranked.json"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The rows to run, and their settings."""

    paper: str
    name: str
    table: Table
    folder: Path
    selected: tuple[str, ...]
    column: Column
    """The column of the paper that our numbers are compared with."""
    data: str
    """The description of the data; empty where nothing is trained."""
    training: Dataset | None
    """The dataset to train on; ``None`` where nothing is trained."""
    test: Dataset | None
    """The dataset to evaluate on; ``None`` where nothing is trained."""
    configs: Mapping[str, TrainConfig]
    """The settings of every row that can be run, selected or not."""
    counts: Mapping[tuple[str, str, str], int]
    """The counted metrics of these rows, by row, dataset and metric."""
    conditions: Mapping[str, tuple[str, str]]
    """The conditions other than settings, by name: the paper's and ours."""

    def run(self, row: str) -> RunFolder:
        """Return the run folder of a row, or of the row that it re-ranks."""
        return RunFolder(self.folder / self.table.run(row))

    def metrics(self, row: str) -> Path:
        """Return the file of a row's numbers."""
        name = RERANKED_METRICS if self.table.row(row).reranks else "metrics.json"
        return self.run(row).path / name

    def progress(self, row: str) -> Progress:
        """Return the progress of a row; raises as :func:`~passerby.recipes.progress.progress` does."""
        queries = len(self.test.query) if self.test else 0
        return progress(self.run(row), self.configs[row], inputs=self._inputs, queries=queries)

    def _inputs(self, config: TrainConfig) -> Inputs:
        return digests(config, self.training, self.test) if self.training else {}


def make_plan(
    paper: str,
    table: str,
    *,
    data: str | None,
    rows: Sequence[str] | None,
    epochs: int | None,
    settings: Mapping[str, Any],
    output: str | Path,
) -> Plan:
    """Return the plan; the arguments are those of :func:`~passerby.recipes.reproduce.reproduce`."""
    found = load_table(paper, table)
    settings = {current_key(key): value for key, value in settings.items()}
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError("tables are reproduced by one process. Fix: train a row by several with `passerby train`")
    selected = _select_rows(found, rows)  # raises before data is asked for
    paths = {key: settings.get(key) for key in ("data.train", "data.test", "data.attributes", "data.test_attributes")}
    paths["data.train"] = data or paths["data.train"]
    training, test = _datasets(found, paths)
    own = test.name if test else ""
    column = found.column(own)
    changes = {**settings, **({"data.train": paths["data.train"]} if training else {})}
    configs = {
        name: with_overrides(shorten(found.config(name, own), epochs), changes)
        for name in found.rows
        if not found.reason(name)
    }
    plan = Plan(
        paper=paper,
        name=table,
        table=found,
        folder=Path(output).expanduser() / f"{paper}-{table}",
        selected=selected,
        column=column,
        data=_describe_data(training, test),
        training=training,
        test=test,
        configs=configs,
        counts=_counts(found, configs),
        conditions=_data_conditions(found, column, training, test, changes),
    )
    for name in selected:
        count(configs[name], "parameters", classes=column.classes)  # raises where a model cannot be built
        check_distance(model_card(configs[name].model.name), configs[name].evaluation.distance)
        if found.trained:
            plan.progress(name)
    return plan


def _datasets(table: Table, paths: Mapping[str, Any]) -> tuple[Dataset | None, Dataset | None]:
    """Load the datasets to train and to test on; ``None`` where nothing is trained."""
    if not table.trained:
        return None, None
    if not paths["data.train"]:
        raise ConfigError(f"{table.name} of {table.recipe} needs training data. Fix: give --data, NAME:PATH or a path")
    training = load_dataset(paths["data.train"])
    test = load_dataset(paths["data.test"]) if paths["data.test"] else training
    training.split("train")
    check_evaluable(test, Protocol())
    if table.attributes:
        _check_described(table, table.attributes, training, test, paths)
    return training, test


def _check_described(table: Table, schema: Schema, training: Dataset, test: Dataset, paths: Mapping[str, Any]) -> None:
    """Check that the test people have attributes, which the table compares predictions with."""
    if test is not training and not paths["data.test_attributes"]:
        raise ConfigError(
            f"{table.name} of {table.recipe} needs the attributes of '{paths['data.test']}'. Fix: name a table of them "
            "with --set data.test_attributes=FILE, or leave data.test out"
        )
    place = paths["data.test_attributes"] or paths["data.attributes"] or test.source
    known = read_attributes(place, schema, fix=GIVE_ATTRIBUTES)
    known.of_all([sample for sample in test.gallery if sample.role is Role.PERSON])


def _select_rows(table: Table, rows: Sequence[str] | None) -> tuple[str, ...]:
    """Return the named rows, all of which must be runnable; without names, all that can be run."""
    if rows is not None and not (rows and all(rows)):
        raise ConfigError(
            f"a row name is empty. Fix: name some of {', '.join(table.rows)}, or none to run all that can be run"
        )
    names = tuple(dict.fromkeys(table.rows if rows is None else rows))
    for name in names:
        table.row(name)
    reasons = {name: why for name in names if (why := table.reason(name))}
    if reasons and (rows is not None or len(reasons) == len(names)):
        why = "; ".join(sorted(set(reasons.values())))
        left = "" if len(reasons) == len(names) else ". Fix: leave them out"
        raise ConfigError(f"{', '.join(reasons)} of {table.recipe}'s {table.name} cannot be run: {why}{left}")
    return tuple(name for name in names if name not in reasons)


def _describe_data(training: Dataset | None, test: Dataset | None) -> str:
    if training is None or test is None:
        return ""
    words = f"{training.name}: {training.summary()}"
    return words if test is training else f"{test.name}: {test.summary()}; trained on {words}"


def _data_conditions(
    table: Table, column: Column, training: Dataset | None, test: Dataset | None, settings: Mapping[str, Any]
) -> dict[str, tuple[str, str]]:
    if training is None or test is None:
        return {}
    found = _other_data(column, training)
    if test is not training:
        found["test data"] = (column.title, f"{test.name} at {settings['data.test']}")
    draws = settings.get("evaluation.draws")
    if (test.single_shot if draws is None else draws > 0) != column.single_shot:
        words = ("the whole gallery", "one gallery image per person")
        found["protocol"] = (words[column.single_shot], words[not column.single_shot])
    if table.keypoints:
        source = str(settings.get("parts.keypoints", AUTO))
        found["keypoints"] = (table.keypoints, describe_keypoints(source, training.source))
    weights = settings.get("model.backbone_weights")
    return {**found, "initial weights": (table.weights, str(weights) if weights else "random")}


def _other_data(column: Column, training: Dataset) -> dict[str, tuple[str, str]]:
    """Return how the data differs; datasets that share a layout are told apart by their number of people."""
    if training.name != column.data:
        return {"data": (column.title, training.name)}
    here, paper = len(people(training.train)), column.classes
    if here == paper:
        return {}
    words = "people to train on"
    return {"data": (f"{column.title}, {paper:,} {words}", f"{training.name}, {here:,} {words}")}


def _counts(table: Table, configs: Mapping[str, TrainConfig]) -> dict[tuple[str, str, str], int]:
    return {
        (name, column.data, metric): count(config, metric, classes=column.classes)
        for name, config in configs.items()
        for column in table.columns
        for metric in table.metrics
        if metric in COUNTED
    }
