"""How alike images are: cosine similarity of embeddings, and P(same person) where a run is calibrated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from passerby.errors import ConfigError, ShapeError
from passerby.metrics.calibration import Calibration
from passerby.retrieval.distance.compare import compare
from passerby.retrieval.distance.euclidean import l2_normalize
from passerby.types import Embeddings, Verdict


@dataclass(frozen=True, slots=True)
class Similarity:
    """The similarity of two images; ``float(similarity)`` is the cosine."""

    cosine: float
    """The cosine of the angle between both embeddings, in [−1, 1]; larger is more alike."""
    probability: float | None = None
    """The probability of the same person by the run's calibration, in [0, 1]; ``None`` without one."""
    verdict: Verdict | None = None
    """The calibration's name for the pair: ``possible``, ``unsure`` or ``no evidence``; ``None`` without one."""

    def __float__(self) -> float:
        return self.cosine

    def __str__(self) -> str:
        if self.probability is None:
            return f"cosine {self.cosine:.4f}"
        return f"cosine {self.cosine:.4f}, same person with probability {self.probability:.4f} ({self.verdict})"


class SimilarityMatrix(NamedTuple):
    """The similarities of every row of one set with every row of another."""

    cosine: Float[Tensor, "a b"]
    """The cosines, in [−1, 1]; larger is more alike."""
    probability: Float[Tensor, "a b"] | None
    """The probabilities of the same person by the run's calibration; ``None`` without one."""


def similarity_matrix(
    a: Embeddings, b: Embeddings, *, normalize: bool, calibration: Calibration | None = None
) -> SimilarityMatrix:
    """Return how alike every row of ``a`` is to every row of ``b``.

    Args:
        normalize: L2-normalize embeddings for the distance that the calibration is asked for; cosines always are of
            normalized embeddings.

    Raises:
        ConfigError: if ``a`` or ``b`` are no embeddings: paths of images, for example.
        ShapeError: if the embeddings have different dimensions.
    """
    _check_embeddings(a, b)
    comparison = compare(a, b, "global", normalize=normalize)  # raises for embeddings that cannot be compared
    cosine = (l2_normalize(a.embedding) @ l2_normalize(b.embedding).T).clamp(-1, 1)
    if calibration is None:
        return SimilarityMatrix(cosine, None)
    return SimilarityMatrix(cosine, calibration.probability(comparison.block(torch.arange(len(a)))))


def pair_similarity(
    a: Embeddings, b: Embeddings, *, normalize: bool, calibration: Calibration | None = None
) -> Similarity:
    """Return how alike two images are.

    Raises:
        ConfigError: if ``a`` or ``b`` are no embeddings: paths of images, for example.
        ShapeError: if ``a`` or ``b`` is not the embedding of exactly one image, or their dimensions differ.
    """
    _check_embeddings(a, b)
    if len(a) != 1 or len(b) != 1:
        raise ShapeError(
            f"similarity compares two images: got {len(a)} and {len(b)} embeddings, expected 1 and 1. "
            "Fix: model.similarity_matrix(a, b)"
        )
    cosine = similarity_matrix(a, b, normalize=normalize).cosine.item()
    if calibration is None:
        return Similarity(cosine)
    return Similarity(cosine, *calibration.verdict(_distances(a, b, normalize=normalize).item()))


def _check_embeddings(*compared: object) -> None:
    for each in compared:
        if not isinstance(each, Embeddings):
            raise ConfigError(
                f"similarity compares embeddings: got {type(each).__name__}, expected Embeddings. "
                "Fix: embed the images first, model.embed(IMAGE)"
            )


def _distances(a: Embeddings, b: Embeddings, *, normalize: bool) -> Float[Tensor, "a b"]:
    """Return the squared Euclidean distances that a search ranks by."""
    return compare(a, b, "global", normalize=normalize).block(torch.arange(len(a)))
