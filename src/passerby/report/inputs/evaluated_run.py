"""A run's model on test data, embedded once: every figure and every number of a report are of these embeddings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple

from passerby.data.attributes.labels import Attributes, read_attributes
from passerby.data.dataset import Dataset
from passerby.data.digest import digest_of
from passerby.data.registry import load as load_dataset
from passerby.errors import ConfigError, PasserbyError
from passerby.evaluation.subgroups import Grouping
from passerby.inference.load import load as load_model
from passerby.inference.model import Model
from passerby.metrics.subgroups import Dimension, Subgroup
from passerby.report.inputs.record import Record
from passerby.training.attributes import evaluation_attributes
from passerby.training.config import read_config
from passerby.types import Embeddings, EvalResult

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], object]]]
"""What is done and of how many pictures → whom to tell of each some."""


def silent(what: str, total: int) -> AbstractContextManager[Callable[[int], object]]:  # noqa: ARG001
    """No progress."""
    return nullcontext(lambda images: images)


class Missing(NamedTuple):
    """Something that a report lacks."""

    what: str
    why: str
    remedy: str


@dataclass(frozen=True, eq=False)
class Tested:
    """One run's model on one data set."""

    model: Model
    spec: str
    """What opens the data again."""
    own: bool
    """Whether these are the data that the run says it was tested on."""
    dataset: Dataset
    query: Embeddings
    gallery: Embeddings
    result: EvalResult
    attributes: Attributes | None
    """What the people wear, where the model predicts it and somebody says it."""
    slices: tuple[Subgroup, ...]
    unsliced: tuple[Missing, ...]
    same_content: bool | None
    """Whether the pictures are those of the training's end; ``None`` where the run does not say."""

    @property
    def about(self) -> str:
        """Which data, for captions."""
        return f"{self.dataset.name} ({self.spec})"


def own_data(record: Record) -> str | None:
    """What the run was tested on, or would have been."""
    return record.setting("data.test") or record.setting("data.train") or None


def evaluated(
    record: Record,
    data: str | None = None,
    *,
    device: str = "cpu",
    keypoints: str | None = None,
    batch_size: int = 64,
    progress: Progress = silent,
) -> Tested:
    """Embed the run's own test data, or ``data``, and evaluate as ``passerby evaluate --open-set --slices …`` does.

    Raises:
        PasserbyError: if there is no model, or the data do not open, or say too little to be evaluated.
    """
    spec = data or own_data(record)
    if spec is None:
        raise ConfigError("the run does not say what it was tested on")
    model = load_model(record.path, device=device, keypoints=keypoints)
    dataset = load_dataset(spec)
    own = spec == own_data(record)
    protocol = model.protocol_for(dataset)
    slicing, unsliced = _slicing(dataset, draws=protocol.draws)
    worn = _attributes(record, model, dataset, own=own)
    kept: list[Embeddings] = []
    with progress(f"embedding for {record.label}", len(dataset.split("query")) + len(dataset.split("gallery"))) as tell:
        result = model.evaluate(
            dataset,
            protocol=protocol,
            attributes=worn,
            batch_size=batch_size,
            embedded=lambda query, gallery: kept.extend((query, gallery)),
            open_set=True,
            progress=tell,
        )
    query, gallery = kept
    slices = slicing.subgroups(query, gallery, result) if slicing.dimensions else ()
    same = _same_content(record, dataset) if own else None
    return Tested(model, spec, own, dataset, query, gallery, result, worn, slices, unsliced, same)


def _attributes(record: Record, model: Model, dataset: Dataset, *, own: bool) -> Attributes | None:
    """What the people wear, for a model that predicts it, where somebody says it."""
    if model.network.schema is None:
        return None
    if own and record.config:
        config = read_config(record.path / "config.json")
        training = dataset if config.data.train == own_data(record) else load_dataset(config.data.train)
        return evaluation_attributes(config, model.network, training, dataset)
    try:
        known = read_attributes(dataset.source, model.network.schema)
    except PasserbyError:  # nobody says it, or in other words than the model's
        return None
    return known if any(known.of(sample) is not None for sample in dataset.gallery) else None


def _slicing(dataset: Dataset, *, draws: int) -> tuple[Grouping, tuple[Missing, ...]]:
    """By all that is known of the queries; and what is not."""
    if draws:
        why = f"its protocol is a mean over {draws} drawn galleries, which says nothing of each query"
        return Grouping(()), (Missing("slices", why, "Ask for other data with --data."),)
    found: list[Grouping] = []
    missing: list[Missing] = []
    dimensions: tuple[Dimension, ...] = ("cameras", "attributes", "visibility")
    for dimension in dimensions:
        try:
            found.append(_slicing_by(dimension, dataset))
        except PasserbyError as error:  # noqa: PERF203 - each may be unknown
            missing.append(Missing(f"slices by {dimension}", str(error), "Describe the data (docs/data.md)."))
    names = tuple(dimension for each in found for dimension in each.dimensions)
    return Grouping(names, tuple(labels for each in found for labels in each.labels)), tuple(missing)


def _slicing_by(dimension: Dimension, dataset: Dataset) -> Grouping:
    if dimension == "cameras" and any(s.camid is None for s in (*dataset.query, *dataset.gallery)):
        raise ConfigError("the data do not name every camera")
    worn = read_attributes(dataset.source) if dimension == "attributes" else None
    return Grouping.of_dataset((dimension,), dataset, attributes=worn)


def _same_content(record: Record, dataset: Dataset) -> bool | None:
    said = record.inputs.get("data.test")
    return None if said is None else said == digest_of(dataset, "query", "gallery")


def comparable(tested: Sequence[Tested | None]) -> bool:
    """Whether the same queries were answered from the same gallery, so that differences are paired."""
    asked = {
        (each.spec, each.gallery.paths, each.result.per_query.paths)
        if each is not None and each.result.per_query is not None
        else None
        for each in tested
    }
    return len(asked) == 1 and None not in asked
