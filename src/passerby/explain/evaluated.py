"""A query and a gallery that one model embedded, compared under a protocol: what curves and matrices are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from passerby.data.attributes.schema import Schema
from passerby.data.dataset import Dataset
from passerby.evaluation.evaluate import check_distance, check_evaluable
from passerby.evaluation.open_set import evaluated_digest
from passerby.evaluation.per_query import check_no_draws
from passerby.inference.features import read_features
from passerby.inference.model import Model
from passerby.metrics.calibration import Calibration
from passerby.metrics.camera_confusion import CameraConfusion, camera_confusion
from passerby.metrics.functional import precision_recall
from passerby.metrics.open_set import Pairs
from passerby.metrics.pairs import pair_distances
from passerby.metrics.protocol import evaluate_embeddings
from passerby.metrics.subgroups import Subgroup, camera_subgroups
from passerby.retrieval.ranking import positive_ranks
from passerby.types import Embeddings, EvalResult, Protocol, Rerank

Distance = Literal["global", "local", "global_local"]
"""What a protocol compares."""


@dataclass(frozen=True, eq=False)
class EvaluatedEmbeddings:
    """One run's embeddings; what is made of them is made when it is first asked for."""

    name: str
    """Of the run, in legends."""
    query: Embeddings
    gallery: Embeddings
    protocol: Protocol
    calibration: Calibration | None = None
    fitted_on_these: bool = False
    """Whether the calibration was fitted on these very pictures, so that it flatters itself."""
    schema: Schema | None = None
    """Of the attributes that the run predicts."""

    @classmethod
    def from_model(
        cls,
        model: Model,
        dataset: Dataset,
        name: str,
        *,
        draws: int | None = None,
        distance: Distance = "global",
        rerank: Rerank | None = None,
        batch_size: int = 64,
        progress: Callable[[int], object] | None = None,
    ) -> EvaluatedEmbeddings:
        """Embed a data set's query and gallery, to be compared as ``passerby evaluate`` does.

        Args:
            draws: of galleries with one picture a person; 0: the whole gallery; ``None``: as the run or data has it.

        Raises:
            DatasetLayoutError: if query or gallery is empty.
            ProtocolError: if people or cameras are unknown, no query has a match, or the model lacks the distance.
        """
        check_distance(model.network, distance)
        how = replace(model.protocol_for(dataset, draws=draws), distance=distance, rerank=rerank)
        check_evaluable(dataset, how)
        embed = partial(model.embed_samples, dataset.source, batch_size=batch_size, progress=progress)
        query, gallery = (embed(dataset.split(side), with_local=distance != "global") for side in ("query", "gallery"))
        calibration = model.calibration_for(how)
        fitted = calibration is not None and calibration.content == evaluated_digest(dataset)
        return cls(name, query, gallery, how, calibration, fitted, model.network.schema)

    @classmethod
    def from_file(
        cls,
        file: str | Path,
        name: str | None = None,
        *,
        normalize: bool = True,
        distance: Distance = "global",
        rerank: Rerank | None = None,
    ) -> EvaluatedEmbeddings:
        """Of anybody's embeddings (:mod:`passerby.inference.features`)."""
        how = Protocol(normalize=normalize, distance=distance, rerank=rerank)
        return cls(name or Path(file).stem, *read_features(file), how)

    @cached_property
    def result(self) -> EvalResult:
        return evaluate_embeddings(self.query, self.gallery, self.protocol)

    @cached_property
    def precision_recall(self) -> tuple[Float[Tensor, " k"], Float[Tensor, " k"]]:
        """Recalls, and the interpolated precision at each (:func:`~passerby.metrics.functional.precision_recall`).

        Raises:
            ProtocolError: if galleries are drawn.
        """
        check_no_draws(self.protocol)
        found = positive_ranks(self.query, self.gallery, self.protocol)
        return precision_recall(found.ranks, found.counts)

    @cached_property
    def pairs(self) -> Pairs:
        """Of the same person by another camera (unless the protocol says by any), and of different people.

        Raises:
            ProtocolError: if it re-ranks.
        """
        return pair_distances(self.query, self.gallery, self.protocol)

    @cached_property
    def camera_pairs(self) -> tuple[Subgroup, ...]:
        """Each pair of cameras as an evaluation of its own."""
        return camera_subgroups(self.query, self.gallery, self.protocol)

    @cached_property
    def confusion(self) -> CameraConfusion:
        """By which cameras wrong answers are."""
        return camera_confusion(self.query, self.gallery, self.protocol)

    @property
    def combined(self) -> Embeddings:
        """Both sides, queries first, with what is known of both."""
        sides = self.query, self.gallery
        columns = {
            column: torch.cat([getattr(side, column) for side in sides])
            for column in ("pids", "camids", "roles")
            if all(getattr(side, column) is not None for side in sides)
        }
        features = torch.cat([side.embedding for side in sides])
        return Embeddings(features, self.query.paths + self.gallery.paths, **columns)
