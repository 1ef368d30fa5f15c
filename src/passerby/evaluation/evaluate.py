"""Model + dataset → numbers."""

from __future__ import annotations

from collections.abc import Callable

from passerby.data.dataset import Dataset
from passerby.evaluation.embed import embed
from passerby.metrics.protocol import evaluate_embeddings
from passerby.models.card import ReidModel
from passerby.types import EvalResult, Protocol


def evaluate(
    model: ReidModel,
    dataset: Dataset,
    *,
    size: tuple[int, int],
    protocol: Protocol | None = None,
    batch_size: int = 64,
    threads: int = 2,
    progress: Callable[[int], object] | None = None,
) -> EvalResult:
    """Embed the dataset's query and gallery and evaluate them under ``protocol`` (default: Market-1501's)."""
    protocol = protocol or Protocol()
    with_local = protocol.distance != "global"
    query, gallery = (
        embed(
            model,
            dataset.source,
            dataset.split(split),
            size=size,
            batch_size=batch_size,
            threads=threads,
            with_local=with_local,
            progress=progress,
        )
        for split in ("query", "gallery")
    )
    return evaluate_embeddings(query, gallery, protocol)
