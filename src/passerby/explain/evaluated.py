"""Query and gallery embeddings of one model with their evaluation: the input of curves and matrices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from passerby.data.attributes.schema import Schema
from passerby.data.dataset import Dataset
from passerby.evaluation.copies import check_no_copied_embeddings
from passerby.evaluation.evaluate import check_distance, check_evaluable
from passerby.evaluation.open_set import evaluated_digest
from passerby.evaluation.per_query import check_no_draws
from passerby.inference.embeddings_file import Origin, read_embeddings
from passerby.inference.model import Model
from passerby.metrics.calibration import Calibration
from passerby.metrics.camera_confusion import CameraConfusion, camera_confusion
from passerby.metrics.functional import precision_recall
from passerby.metrics.open_set import Pairs
from passerby.metrics.pairs import pair_distances
from passerby.metrics.protocol import evaluate_embeddings
from passerby.metrics.subgroups import Subgroup, camera_subgroups
from passerby.retrieval.ranking import positive_ranks
from passerby.types import Distance, Embeddings, EvalResult, Protocol, Rerank


@dataclass(frozen=True, eq=False)
class EvaluatedEmbeddings:
    """The embeddings of one run; every measure of them is computed on first use."""

    name: str
    """The name of the run in legends."""
    query: Embeddings
    gallery: Embeddings
    protocol: Protocol
    calibration: Calibration | None = None
    fitted_on_these: bool = False
    """Tell whether the calibration was fitted on these same images, so that it looks better than it is."""
    schema: Schema | None = None
    """The schema of the attributes that the run predicts."""
    origin: Origin | None = None
    """The model and the images of a file of embeddings, if the file names them."""

    @classmethod
    def from_model(
        cls,
        model: Model,
        dataset: Dataset,
        name: str,
        *,
        draws: int | None = None,
        distance: Distance | None = None,
        rerank: Rerank | None = None,
        junk: bool = False,
        progress: Callable[[int], object] | None = None,
    ) -> EvaluatedEmbeddings:
        """Embed the query and gallery of a data set, to compare them as ``passerby evaluate`` does.

        Args:
            draws: number of random galleries with one image per person; 0: the whole gallery; ``None``: the default
                of the run or data set.
            distance: what images are ranked by; ``None``: as the run says.
            junk: embed the gallery's junk too, which no number counts, to show it in ranked lists.

        Raises:
            DatasetLayoutError: if query or gallery is empty.
            ProtocolError: if identities or cameras are unknown, no query has a match, or the model lacks the distance.
        """
        how = replace(model.protocol_for(dataset, draws=draws), rerank=rerank)
        how = replace(how, distance=distance or how.distance)
        check_distance(model.card, how.distance)
        check_evaluable(dataset, how)
        embed = partial(model.embed_samples, dataset.source, progress=progress)
        sides = dataset.counted("query"), dataset.split("gallery") if junk else dataset.counted("gallery")
        query, gallery = (embed(side, with_local=how.distance != "global") for side in sides)
        calibration = model.calibration_for(how)
        fitted = calibration is not None and calibration.content == evaluated_digest(dataset)
        return cls(name, query, gallery, how, calibration, fitted, model.schema)

    @classmethod
    def from_file(
        cls,
        file: str | Path,
        name: str | None = None,
        *,
        normalize: bool | None = None,
        distance: Distance | None = None,
        rerank: Rerank | None = None,
    ) -> EvaluatedEmbeddings:
        """Read stored or precomputed embeddings (:mod:`passerby.inference.embeddings_file`).

        Args:
            normalize: L2-normalize them before they are compared; ``None``: as the file says, else yes.
            distance: what images are ranked by; ``None``: as the file says, else by their embeddings.
        """
        stored = read_embeddings(file)
        how = replace(stored.protocol, distance=distance or stored.protocol.distance, rerank=rerank)
        how = how if normalize is None else replace(how, normalize=normalize)
        sides = stored.query_gallery()
        check_no_copied_embeddings(stored, sides, how)
        return cls(name or Path(file).stem, *sides, how, origin=stored.origin)

    @cached_property
    def result(self) -> EvalResult:
        """The result of the evaluation."""
        return evaluate_embeddings(self.query, self.gallery, self.protocol)

    @cached_property
    def precision_recall(self) -> tuple[Float[Tensor, " k"], Float[Tensor, " k"]]:
        """The recalls, and the interpolated precision at each (:func:`~passerby.metrics.functional.precision_recall`).

        Raises:
            ProtocolError: if the protocol draws galleries.
        """
        check_no_draws(self.protocol)
        found = positive_ranks(self.query, self.gallery, self.protocol)
        return precision_recall(found.ranks, found.counts)

    @cached_property
    def pairs(self) -> Pairs:
        """The distances of pairs of one person (by another camera, if the protocol says so), and of different people.

        Raises:
            ProtocolError: if the protocol re-ranks.
        """
        return pair_distances(self.query, self.gallery, self.protocol)

    @cached_property
    def camera_pairs(self) -> tuple[Subgroup, ...]:
        """The evaluation of each pair of cameras on its own."""
        return camera_subgroups(self.query, self.gallery, self.protocol)

    @cached_property
    def confusion(self) -> CameraConfusion:
        """The cameras of false matches."""
        return camera_confusion(self.query, self.gallery, self.protocol)

    @property
    def combined(self) -> Embeddings:
        """The embeddings of query and gallery in one table, queries first, with the columns that both have."""
        sides = self.query, self.gallery
        columns = {
            column: torch.cat([getattr(side, column) for side in sides])
            for column in ("pids", "camids", "roles")
            if all(getattr(side, column) is not None for side in sides)
        }
        features = torch.cat([side.embedding for side in sides])
        return Embeddings(features, self.query.paths + self.gallery.paths, **columns)
