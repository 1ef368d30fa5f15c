"""The evaluation of a run's model on test data: embedded once, for every figure and every number of a report."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from passerby.data.attributes.labels import Attributes, read_attributes
from passerby.data.dataset import Dataset
from passerby.data.digest import dataset_digest
from passerby.data.registry import load as load_dataset
from passerby.errors import ConfigError, PasserbyError
from passerby.evaluation.evaluate import evaluated_samples
from passerby.evaluation.subgroups import Grouping
from passerby.explain.attention.capture import attention_kinds
from passerby.explain.images import ImageSet
from passerby.inference.load import load as load_model
from passerby.inference.model import Model
from passerby.inference.options import InferenceOptions
from passerby.metrics.subgroups import Dimension
from passerby.report.inputs.evaluation import Missing, ModelEvaluation
from passerby.report.inputs.record import Record
from passerby.training.attributes import evaluation_attributes
from passerby.training.config import read_config

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], object]]]
"""A function of a task and its number of images that returns a context; the context's value is called per batch."""


def silent(what: str, total: int) -> AbstractContextManager[Callable[[int], object]]:  # noqa: ARG001
    """Show no progress."""
    return nullcontext(lambda images: images)


def own_test_data(record: Record) -> str | None:
    """Return the data that the run was tested on, or would have been; ``None`` where its folder names no people."""
    if record.setting("data.labels") == "folders":
        return None
    return record.setting("data.test") or record.setting("data.train") or None


def evaluate_run(
    record: Record,
    data: str | None = None,
    *,
    options: InferenceOptions | None = None,
    progress: Progress = silent,
) -> ModelEvaluation:
    """Evaluate a run on its own test data, or on ``data``, as ``passerby evaluate --open-set --slices …`` does.

    Raises:
        PasserbyError: if there is no model, or the data cannot be opened, or lack what an evaluation needs.
    """
    spec = data or own_test_data(record)
    if spec is None:
        raise ConfigError("the run does not name its test data. Fix: add --data DATA")
    model = load_model(record.path, options)
    dataset = load_dataset(spec)
    own = spec == own_test_data(record)
    protocol = model.protocol_for(dataset)
    grouping, missing = _grouping(dataset, draws=protocol.draws)
    labels = _attributes(record, model, dataset, own=own)
    with progress(f"embedding for {record.label}", len(evaluated_samples(dataset, protocol))) as advance:
        result = model.evaluate(
            dataset,
            protocol=protocol,
            attributes=labels,
            open_set=True,
            progress=advance,
        )
    assert result.embeddings is not None
    query, gallery = result.embeddings
    return ModelEvaluation(
        model=model,
        spec=spec,
        own=own,
        dataset=dataset,
        images=ImageSet(dataset.source, blur=model.options.blur),
        query=query,
        gallery=gallery,
        result=result,
        attributes=labels,
        subgroups=grouping.subgroups(query, gallery, result) if grouping.dimensions else (),
        missing=(*missing, *_attention(model)),
        same_content=_same_content(record, dataset) if own else None,
    )


def _attention(model: Model) -> tuple[Missing, ...]:
    """Return that the report has no attention maps, for a model without attention modules."""
    if attention_kinds(model.network):
        return ()
    why = "the model has no attention modules"
    return (Missing("attention maps", why, "See the section Saliency, which needs none."),)


def _attributes(record: Record, model: Model, dataset: Dataset, *, own: bool) -> Attributes | None:
    """Return the attribute labels of a dataset for a model that predicts attributes, where there are any."""
    if model.schema is None:
        return None
    if own and record.config:
        config = read_config(record.path / "config.json")
        training = dataset if config.data.train == own_test_data(record) else load_dataset(config.data.train)
        return evaluation_attributes(config, model.network, training, dataset)
    try:
        known = read_attributes(dataset.source, model.schema)
    except PasserbyError:  # the data have no labels, or labels of another schema than the model's
        return None
    return known if any(known.of(sample) is not None for sample in dataset.gallery) else None


def _grouping(dataset: Dataset, *, draws: int) -> tuple[Grouping, tuple[Missing, ...]]:
    """Return the subgroups that the data can be divided into, and those that are missing."""
    if draws:
        why = f"the protocol is a mean over {draws} random galleries, which has no values of single queries"
        return Grouping(()), (Missing("subgroup metrics", why, "Evaluate on other data with --data."),)
    found: list[Grouping] = []
    missing: list[Missing] = []
    dimensions: tuple[Dimension, ...] = ("cameras", "attributes", "visibility")
    for dimension in dimensions:
        try:
            found.append(_grouping_by(dimension, dataset))
        except PasserbyError as error:  # noqa: PERF203 - each may be unknown
            why = str(error).partition(" Fix:")[0].rstrip(".")
            missing.append(Missing(f"subgroups by {dimension}", why, "Add the labels (docs/data.md)."))
    names = tuple(dimension for each in found for dimension in each.dimensions)
    return Grouping(names, tuple(labels for each in found for labels in each.labels)), tuple(missing)


def _grouping_by(dimension: Dimension, dataset: Dataset) -> Grouping:
    if dimension == "cameras" and any(s.camid is None for s in (*dataset.query, *dataset.gallery)):
        raise ConfigError("some images have no camera ID")
    labels = read_attributes(dataset.source) if dimension == "attributes" else None
    return Grouping.of_dataset((dimension,), dataset, attributes=labels)


def _same_content(record: Record, dataset: Dataset) -> bool | None:
    digest = record.inputs.get("data.test")
    return None if digest is None else digest == dataset_digest(dataset, "query", "gallery")
