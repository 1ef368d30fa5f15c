"""The plan of a reproduction: every check that needs no training is done while it is made."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from passerby.compat import current_key
from passerby.config import read_tree, with_overrides
from passerby.data.attributes.labels import read_attributes
from passerby.data.attributes.schema import Schema
from passerby.data.dataset import Dataset, people
from passerby.data.digest import dataset_digest
from passerby.data.keypoints.origin import AUTO
from passerby.data.registry import load as load_dataset
from passerby.errors import ConfigError, UnknownNameError
from passerby.evaluation.evaluate import check_distance, check_evaluable
from passerby.inference.keypoint_source import describe_keypoints
from passerby.models.registry import MODELS, model_card, option_value
from passerby.recipes.conditions import shorten
from passerby.recipes.progress import WEIGHTS, Inputs, Progress, progress
from passerby.recipes.sizes import count
from passerby.recipes.tables import COUNTED, Column, Table, load_table
from passerby.training.attributes import GIVE_ATTRIBUTES
from passerby.training.config import TrainConfig
from passerby.training.inputs import INPUTS, digests
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
    suffix: str
    """The end of the names of run folders: other datasets than that of the table's first column have one."""
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
    former: frozenset[str] = frozenset()
    """The rows that an earlier version ran on these data into a folder without the suffix."""

    def run(self, row: str) -> RunFolder:
        """Return the run folder of a row, or of the row that it evaluates in another way."""
        name = self.table.run(row)
        return RunFolder(self.folder / f"{name}{'' if name in self.former else self.suffix}")

    def backbone(self, row: str) -> str:
        """Return the name of a row's backbone."""
        return backbone_name(self.configs[row])

    def has_weights_of_its_own(self, row: str) -> bool:
        """Return whether a row may have started from any weights: its backbone is not one that this call is about."""
        return self.backbone(row) not in {self.backbone(name) for name in self.selected}

    def metrics(self, row: str) -> Path:
        """Return the file of a row's numbers."""
        found = self.table.row(row)
        read = f"branch-{found.branch}.json" if found.reads else "metrics.json"
        return self.run(row).path / (RERANKED_METRICS if found.reranks else read)

    def progress(self, row: str) -> Progress:
        """Return the progress of a row; raises as :func:`~passerby.recipes.progress.progress` does."""
        queries = len(self.test.query) if self.test else 0
        return progress(
            self.run(row),
            self.configs[row],
            inputs=self._inputs,
            queries=queries,
            any_weights=self.has_weights_of_its_own(row),
        )

    def _inputs(self, config: TrainConfig) -> Inputs:
        return digests(config, self.training, self.test) if self.training else {}


def make_plans(
    paper: str,
    table: str,
    *,
    data: Sequence[str],
    rows: Sequence[str] | None,
    epochs: int | None,
    settings: Mapping[str, Any],
    init: Mapping[str, str],
    output: str | Path,
) -> tuple[Plan, ...]:
    """Return a plan for each dataset; the arguments are those of :func:`~passerby.recipes.reproduce.reproduce`."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError("tables are reproduced by one process. Fix: train a row by several with `passerby train`")
    found = load_table(paper, table)
    settings = {current_key(key): value for key, value in settings.items()}
    if len(data) > 1 and settings.get("data.test"):
        raise ConfigError(
            "data.test would be the test data of several datasets. Fix: give one --data, or leave data.test out"
        )
    places: Sequence[str | None] = data if data and found.trained else [None]
    make = partial(_make_plan, paper, table, rows=rows, epochs=epochs, settings=settings, init=init, output=output)
    plans = tuple(make(data=place) for place in places)
    columns = [plan.column.title for plan in plans]
    if twice := [title for title in dict.fromkeys(columns) if columns.count(title) > 1]:
        raise ConfigError(
            f"several of --data would be compared with the paper's {', '.join(twice)}: "
            f"{', '.join(plan.test.name for plan in plans if plan.test)}. Fix: name one dataset for each column of the "
            "table, or give each another --output"
        )
    return plans


def _make_plan(
    paper: str,
    table: str,
    *,
    data: str | None,
    rows: Sequence[str] | None,
    epochs: int | None,
    settings: Mapping[str, Any],
    init: Mapping[str, str],
    output: str | Path,
) -> Plan:
    found = load_table(paper, table)
    selected = _with_weights(found, _select_rows(found, rows), init, settings, named=rows is not None)
    paths = {key: settings.get(key) for key in ("data.train", "data.test", "data.attributes", "data.test_attributes")}
    paths["data.train"] = data or paths["data.train"]
    training, test = _datasets(found, paths)
    own = test.name if test else ""
    column = found.column(own)
    changes = {**settings, **({"data.train": paths["data.train"]} if training else {})}
    configs = {
        name: _started_from(init, with_overrides(shorten(found.config(name, own), epochs), changes))
        for name in found.rows
        if not found.reason(name)
    }
    folder = Path(output).expanduser() / f"{paper}-{table}"
    suffix = _suffix(column) if found.trained and found.columns.index(column) else ""
    plan = Plan(
        paper=paper,
        name=table,
        table=found,
        folder=folder,
        selected=selected,
        column=column,
        suffix=suffix,
        former=_former_runs(found, folder, suffix, training),
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


def backbone_name(config: TrainConfig) -> str:
    """Return the name of a config's backbone; of a model that is one itself, the model's name.

    >>> from passerby.recipes.registry import load_recipe
    >>> backbone_name(load_recipe("aap_reid")), backbone_name(load_recipe("attention_driven"))
    ('resnet50', 'attention_driven')
    """
    return str(option_value(MODELS[config.model.name], config.model.options, "backbone") or config.model.name)


def _started_from(init: Mapping[str, str], config: TrainConfig) -> TrainConfig:
    file = init.get(backbone_name(config))
    return config if file is None else with_overrides(config, {WEIGHTS: file})


def _with_weights(
    table: Table, selected: tuple[str, ...], init: Mapping[str, str], settings: Mapping[str, Any], *, named: bool
) -> tuple[str, ...]:
    """Return the rows to run of those selected: where initial weights are given by backbone, those that have some.

    Args:
        named: whether the rows were asked for by name, so that none may be left out.
    """
    if not init:
        return selected
    if settings.get(WEIGHTS):
        raise ConfigError(f"--init and --set {WEIGHTS} both name initial weights. Fix: leave one of them out")
    backbone = settings.get("model.options.backbone")
    of = {
        row: str(backbone) if backbone else backbone_name(table.config(row))
        for row in table.rows
        if not table.reason(row)
    }
    for name, file in init.items():
        if name not in of.values():
            raise UnknownNameError(f"backbone of {table.recipe}'s {table.name}", name, dict.fromkeys(of.values()))
        if not file.startswith("hf:") and not Path(file).expanduser().exists():
            raise ConfigError(
                f"--init {name}: there is no file '{file}'. Fix: name a checkpoint, a run folder, or hf:OWNER/NAME"
            )
    without = [row for row in selected if of[row] not in init]
    if named and without:
        lacking = ", ".join(dict.fromkeys(of[row] for row in without))
        raise ConfigError(
            f"{', '.join(without)} would start from random weights: --init names none of {lacking}. "
            f"Fix: add --init {of[without[0]]}=FILE, or leave these rows out"
        )
    return tuple(row for row in selected if of[row] in init)


def _suffix(column: Column) -> str:
    return "-" + re.sub(r"[^a-z0-9]+", "-", column.title.lower())


def _former_runs(table: Table, folder: Path, suffix: str, training: Dataset | None) -> frozenset[str]:
    """Return the rows that an earlier version ran on these data into a folder without the suffix."""
    if not suffix or training is None:
        return frozenset()
    digest = dataset_digest(training, "train")
    names = {row for row in map(table.run, table.rows) if not (folder / f"{row}{suffix}").exists()}
    inputs = {row: folder / row / INPUTS for row in names}
    return frozenset(
        row for row, file in inputs.items() if file.is_file() and read_tree(file).get("data.train") == digest
    )


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
        fix = "name other rows" if len(reasons) == len(names) else "leave them out"
        raise ConfigError(f"{', '.join(reasons)} of {table.recipe}'s {table.name} cannot be run: {why}. Fix: {fix}")
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
    return found


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
