"""The parts of ``passerby evaluate``: from options and inputs to a result, and its subgroups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from passerby.cli.options import Distance
from passerby.cli.results import progress_bar
from passerby.errors import ConfigError, ProtocolError

if TYPE_CHECKING:
    from passerby.data.attributes.labels import Attributes
    from passerby.data.dataset import Dataset
    from passerby.evaluation.subgroups import Grouping
    from passerby.inference.model import Model
    from passerby.inference.options import InferenceOptions
    from passerby.metrics.subgroups import Dimension, Subgroup
    from passerby.types import EvalResult, Protocol, Rerank

OWN = "own"
"""The word for the attribute labels that come with the dataset."""
GIVE_LABELS = "name the .mat or .csv of this data's people with --attribute-labels FILE"
"""The advice where there are no attribute labels."""


@dataclass(frozen=True, kw_only=True)
class ProtocolOptions:
    """The options that change the protocol of an evaluation."""

    distance: Distance | None
    """The distance; ``None``: as in the run or the file."""
    average_precision: Literal["step", "trapezoid"]
    multi_query: Literal["mean", "max"] | None
    rerank: Rerank | None
    draws: int | None
    seed: int | None
    all_cameras: bool = False
    branch: str | None = None
    """The branch of a model to compare alone."""

    def apply(self, protocol: Protocol) -> Protocol:
        """Return ``protocol`` with these options, but for draws and seed, which a model resolves."""
        from passerby.evaluation.multi_query import MULTI_QUERY

        protocol = replace(
            protocol,
            average_precision=self.average_precision,
            distance=self.distance or protocol.distance,
            rerank=self.rerank,
            ignore_same_camera=protocol.ignore_same_camera and not self.all_cameras,
            branch=self.branch,
        )
        return replace(protocol, name=MULTI_QUERY, multi_query=self.multi_query) if self.multi_query else protocol

    def for_model(self, model: Model, dataset: Dataset) -> Protocol:
        """Return the protocol of a model on a dataset."""
        known = any(s.camid is not None for s in (*dataset.query, *dataset.gallery))
        how = self.apply(model.protocol_for(dataset, draws=self.draws, seed=self.seed))
        return how if known else _of_all_cameras(how, f"{dataset.name} at {dataset.source.root}")

    def for_features(self, stored: Protocol, *, normalize: bool | None) -> Protocol:
        """Return the protocol of stored embeddings.

        Args:
            stored: how they are compared unless options say otherwise.

        Raises:
            ProtocolError: if there is a seed, but no draws.
        """
        from passerby.metrics.single_shot import SINGLE_SHOT

        if self.seed is not None and not self.draws:
            raise ProtocolError(f"--seed {self.seed} has no effect without random galleries. Fix: add --draws N")
        protocol = self.apply(stored if normalize is None else replace(stored, normalize=normalize))
        return replace(protocol, name=SINGLE_SHOT, draws=self.draws, seed=self.seed or 0) if self.draws else protocol


def _of_all_cameras(protocol: Protocol, place: str) -> Protocol:
    """Return the protocol by which images can be evaluated of which no camera is known, after a line that says so."""
    if not protocol.ignore_same_camera or protocol.draws or protocol.multi_query:
        return protocol
    typer.echo(
        f"passerby: no camera of {place} is known, so the matches of all cameras count (--all-cameras)", err=True
    )
    return replace(protocol, ignore_same_camera=False)


def rerank_options(enabled: bool, settings: Mapping[str, Any]) -> Rerank | None:
    """Return the re-ranking that the options ask for.

    Raises:
        ProtocolError: if there are settings of the re-ranking, but nothing is re-ranked.
    """
    from passerby.types import Rerank

    given = {name: value for name, value in settings.items() if value is not None and value is not False}
    if given and not enabled:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise ProtocolError(f"{names} has no effect without re-ranking. Fix: add --rerank")
    return Rerank(**given) if enabled else None


def subgroup_dimensions(slices: str | None, figure: Path | None) -> tuple[Dimension, ...]:
    """Return the dimensions that ``--slices`` names, none if it is not given.

    Raises:
        UnknownNameError: for an unknown dimension.
        ConfigError: if there is a figure, but no dimension.
    """
    from passerby.evaluation.subgroups import parse_dimensions

    if slices is None and figure is not None:
        raise ConfigError("--slices-figure has no effect without subgroups. Fix: add --slices cameras")
    return () if slices is None else parse_dimensions(slices)


def evaluate_features(
    file: Path,
    protocol: ProtocolOptions,
    dimensions: Sequence[Dimension],
    *,
    normalize: bool | None,
    open_set: bool,
) -> tuple[EvalResult, Grouping | None]:
    """Evaluate precomputed embeddings, of which only subgroups by camera are known.

    Raises:
        ConfigError: if other subgroups are asked for.
    """
    from passerby.evaluation.copies import check_no_copied_embeddings, check_not_alike
    from passerby.evaluation.open_set import with_open_set
    from passerby.evaluation.subgroups import Grouping
    from passerby.inference.embeddings_file import read_embeddings
    from passerby.metrics.protocol import evaluate_embeddings

    if others := [name for name in dimensions if name != "cameras"]:
        raise ConfigError(
            f"--slices {','.join(others)}: --features have no such labels, only cameras. "
            "Fix: --slices cameras, or evaluate RUN and --data"
        )
    stored = read_embeddings(file)
    how = protocol.for_features(stored.protocol, normalize=normalize)
    if stored.embeddings.camids is None:
        how = _of_all_cameras(how, str(file))
    sides = stored.query_gallery(cameras=how.ignore_same_camera)
    check_not_alike(sides)
    check_no_copied_embeddings(stored, sides, how)
    result = replace(evaluate_embeddings(*sides, how), embeddings=sides)
    grouping = Grouping(tuple(dimensions)) if dimensions else None
    return (with_open_set(result, *sides) if open_set else result), grouping


def evaluate_run(
    run: Path,
    data: str,
    options: InferenceOptions,
    protocol: ProtocolOptions,
    dimensions: Sequence[Dimension],
    *,
    labels: str | None,
    open_set: bool,
    per_query: bool,
    save_features: Path | None,
) -> tuple[EvalResult, Grouping | None]:
    """Evaluate a run on a dataset.

    Args:
        labels: the attribute labels: a file, or :data:`OWN`.
        per_query: whether results per query are needed.
        save_features: the file of embeddings to write.

    Raises:
        PasserbyError: for inputs that do not fit, mostly before any image is embedded.
    """
    from passerby.data.registry import load as load_dataset
    from passerby.evaluation.evaluate import evaluated_samples
    from passerby.evaluation.per_query import check_no_draws
    from passerby.inference.embeddings_file import check_embeddings_path, write_query_gallery
    from passerby.inference.load import load

    if save_features:
        check_embeddings_path(save_features)
        if protocol.branch:
            raise ConfigError(
                f"--save-features '{save_features}' would hold branch '{protocol.branch}' alone, which no search or "
                "report can use. Fix: leave --branch or --save-features out"
            )
    dataset, model = load_dataset(data), load(run, options)
    how = protocol.for_model(model, dataset)
    if per_query or dimensions:
        check_no_draws(how)
    truth = _true_attributes(labels, dataset, model, optional="attributes" in dimensions)
    grouping = _grouping(dimensions, dataset, labels) if dimensions else None
    with progress_bar("embedding", len(evaluated_samples(dataset, how))) as more:
        result = model.evaluate(dataset, protocol=how, attributes=truth, open_set=open_set, progress=more)
    if save_features:
        assert result.embeddings is not None
        write_query_gallery(save_features, *result.embeddings, model.origin(dataset.source))
    return result, grouping


def _true_attributes(labels: str | None, dataset: Dataset, model: Model, *, optional: bool) -> Attributes | None:
    """Return the labels that predicted attributes are compared with.

    Args:
        optional: whether the labels are of use (for subgroups) even if the model predicts no attributes.
    """
    from passerby.data.attributes.labels import read_attributes
    from passerby.inference.attributes import schema_of

    if not labels or (optional and model.schema is None):
        return None
    return read_attributes(dataset.source if labels == OWN else labels, schema_of(model), fix=GIVE_LABELS)


def _grouping(dimensions: Sequence[Dimension], dataset: Dataset, labels: str | None) -> Grouping:
    """Return how to divide the queries, by default with the dataset's own attribute labels.

    Raises:
        DatasetLayoutError: if the dataset lacks the labels of a dimension.
    """
    from passerby.data.attributes.labels import read_attributes
    from passerby.evaluation.subgroups import Grouping

    attributes = None
    if "attributes" in dimensions:
        attributes = read_attributes(dataset.source if labels in (None, OWN) else labels, fix=GIVE_LABELS)
    return Grouping.of_dataset(dimensions, dataset, attributes=attributes)


def save_subgroup_figure(path: Path, subgroups: Sequence[Subgroup], result: EvalResult, *, title: str) -> None:
    """Write the figure of the subgroups; ``title`` names model and data."""
    from passerby.figures.save import save_figure
    from passerby.figures.subgroups import subgroup_figure

    figure = subgroup_figure(subgroups, mean_ap=result.mean_ap, title=f"{title}: {result.protocol}")
    save_figure(figure, path)


def print_subgroups(subgroups: Sequence[Subgroup]) -> None:
    """Print a table of the subgroups, the lowest mAP of each dimension first."""
    from rich.console import Console
    from rich.table import Table

    from passerby.metrics.subgroups import FEW, worst_first

    if not subgroups:
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("subgroup")
    for name in ("queries", "people", "rank-1", "95 %", "mAP", "95 %"):
        table.add_column(name, justify="right", no_wrap=True)
    previous: str | None = None
    for each in worst_first(subgroups):
        if previous not in (None, each.dimension):
            table.add_row()
        previous = each.dimension
        counts = f"{each.queries:,}{'*' if each.few else ' '}", f"{each.people:,}"
        rank1, mean_ap = f"{100 * each.rank1:.1f}", f"{100 * each.mean_ap:.1f}"
        ends = _interval(each.rank1_interval), _interval(each.mean_ap_interval)
        table.add_row(_name(each), *counts, rank1, ends[0], mean_ap, ends[1])
    typer.echo("Subgroups, the lowest mAP of each dimension first; 95 % intervals by bootstrap over their queries.")
    Console().print(table)
    if any(each.few for each in subgroups):
        typer.echo(f"* fewer than {FEW} queries.")
    if any(each.dimension == "cameras" for each in subgroups):
        typer.echo("Cameras: query camera → gallery camera; the gallery is only that camera's images.")


def _name(each: Subgroup) -> str:
    return f"camera {each.group} → {each.value}" if each.dimension == "cameras" else f"{each.group}: {each.value}"


def _interval(interval: tuple[float, float]) -> str:
    return "–".join(f"{100 * end:.1f}" for end in interval)
