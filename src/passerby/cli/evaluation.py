"""What ``passerby evaluate`` does: of a run and data, or of embeddings, the numbers and what else was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from passerby.cli.options import check_unused_with_features
from passerby.cli.progress import progress_bar
from passerby.cli.subgroups import asked_dimensions, draw_slices, slicing_of_features, slicing_of_run

if TYPE_CHECKING:
    from passerby.data.attributes.labels import Attributes
    from passerby.data.dataset import Dataset
    from passerby.evaluation.subgroups import Grouping
    from passerby.inference.model import Model
    from passerby.metrics.subgroups import Subgroup
    from passerby.types import EvalResult, Protocol, Rerank


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The command's options, by their names."""

    run: Path | None
    data: str | None
    features: Path | None
    distance: Literal["global", "local", "global_local"]
    ap: Literal["step", "trapezoid"]
    attributes: str | None
    device: str
    poses: str | None
    draws: int | None
    seed: int | None
    flip: bool | None
    normalize: bool | None
    multi_query: Literal["mean", "max"] | None
    rerank: bool
    k1: int | None
    k2: int | None
    lam: float | None
    torchreid_compat: bool
    open_set: bool
    batch_size: int
    save_features: Path | None
    per_query: Path | None
    slices: str | None
    slices_figure: Path | None

    @property
    def title(self) -> str:
        """Of figures."""
        return str(self.features or f"{self.run} on {self.data}")


def evaluated(asked: Asked) -> tuple[EvalResult, Sequence[Subgroup] | None]:
    """The numbers, and slices if asked for; files that were asked for are written.

    Raises:
        PasserbyError: for what cannot be, most of it before any work.
    """
    from passerby.evaluation.per_query import write_per_query
    from passerby.inference.features import write_features

    result, slicing = (_of_features if asked.features else _of_run)(asked)
    assert result.embeddings is not None
    query, gallery = result.embeddings
    if asked.save_features:
        write_features(asked.save_features, query, gallery)
    if asked.per_query:
        write_per_query(asked.per_query, result)
    if slicing is None:
        return result, None
    found = slicing.subgroups(query, gallery, result)
    if asked.slices_figure:
        draw_slices(asked.slices_figure, found, result, what=asked.title)
    return result, found


def _of_features(asked: Asked) -> tuple[EvalResult, Grouping | None]:
    from passerby.evaluation.open_set import with_open_set
    from passerby.inference.features import read_features
    from passerby.metrics.protocol import evaluate_embeddings
    from passerby.types import QueryGallery

    _refuse_beside_features(asked)
    assert asked.features is not None
    slicing = slicing_of_features(asked_dimensions(asked.slices, asked.slices_figure))
    protocol = _protocol_of_features(asked)
    query, gallery = read_features(asked.features)
    result = replace(evaluate_embeddings(query, gallery, protocol), embeddings=QueryGallery(query, gallery))
    return (with_open_set(result, query, gallery) if asked.open_set else result), slicing


def _refuse_beside_features(asked: Asked) -> None:
    others = {
        "RUN": asked.run,
        "--data": asked.data,
        "--attributes": asked.attributes,
        "--keypoints": asked.poses,
        "--flip-tta": asked.flip,
        "--save-features": asked.save_features,
        "--multi-query": asked.multi_query,
    }
    check_unused_with_features(others)


def _protocol_of_features(asked: Asked) -> Protocol:
    from passerby.errors import ProtocolError
    from passerby.metrics.single_shot import SINGLE_SHOT
    from passerby.types import Protocol

    if asked.seed is not None and not asked.draws:
        raise ProtocolError(f"seed {asked.seed} would decide which galleries are drawn: ask for draws (--draws N)")
    protocol = _as_asked(Protocol(normalize=asked.normalize is not False), asked)
    return replace(protocol, name=SINGLE_SHOT, draws=asked.draws, seed=asked.seed or 0) if asked.draws else protocol


def _of_run(asked: Asked) -> tuple[EvalResult, Grouping | None]:
    from passerby.data.registry import load as load_dataset
    from passerby.errors import ConfigError
    from passerby.evaluation.per_query import check_no_draws
    from passerby.inference.load import load
    from passerby.inference.options import InferenceOptions

    if asked.run is None or asked.data is None:
        raise ConfigError("nothing to evaluate: give RUN and --data, or --features FILE")
    dimensions = asked_dimensions(asked.slices, asked.slices_figure)
    dataset = load_dataset(asked.data)
    options = InferenceOptions(
        device=asked.device,
        batch_size=asked.batch_size,
        flip_tta=asked.flip,
        normalize=asked.normalize,
        keypoints=asked.poses,
    )
    model = load(asked.run, options)
    protocol = _as_asked(model.protocol_for(dataset, draws=asked.draws, seed=asked.seed), asked)
    if asked.per_query or dimensions:
        check_no_draws(protocol)
    known = _known_attributes(asked, dataset, model, only_slices="attributes" in dimensions)
    slicing = slicing_of_run(dimensions, dataset, asked.attributes)
    further = dataset.further if protocol.multi_query else ()
    with progress_bar("embedding", len(dataset.split("query")) + len(dataset.split("gallery")) + len(further)) as more:
        result = model.evaluate(
            dataset,
            protocol=protocol,
            attributes=known,
            open_set=asked.open_set,
            progress=more,
        )
    return result, slicing


def _known_attributes(asked: Asked, dataset: Dataset, model: Model, *, only_slices: bool) -> Attributes | None:
    """What predictions are compared with; a model that predicts none may be asked for slices by them all the same."""
    from passerby.data.attributes.labels import read_attributes
    from passerby.inference.attributes import schema_of

    if not asked.attributes or (only_slices and model.network.schema is None):
        return None
    place = dataset.source if asked.attributes == "own" else asked.attributes
    return read_attributes(place, schema_of(model.network))


def _as_asked(protocol: Protocol, asked: Asked) -> Protocol:
    from passerby.evaluation.multi_query import MULTI_QUERY

    protocol = replace(protocol, average_precision=asked.ap, distance=asked.distance, rerank=_rerank(asked))
    return replace(protocol, name=MULTI_QUERY, multi_query=asked.multi_query) if asked.multi_query else protocol


def _rerank(asked: Asked) -> Rerank | None:
    """What the options ask for.

    Raises:
        ProtocolError: if there are settings but nothing is re-ranked.
    """
    from passerby.errors import ProtocolError
    from passerby.types import Rerank

    settings = {name: getattr(asked, name) for name in ("k1", "k2", "lam", "torchreid_compat")}
    given = {name: value for name, value in settings.items() if value is not None and value is not False}
    if given and not asked.rerank:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise ProtocolError(f"{named} would decide how to re-rank, but nothing is re-ranked: add --rerank")
    return Rerank(**given) if asked.rerank else None
