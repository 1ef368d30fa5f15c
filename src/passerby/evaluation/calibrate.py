"""The calibration of a model: images of known people → what its distances mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from passerby.data.dataset import Dataset
from passerby.evaluation.evaluate import check_distance, check_evaluable
from passerby.evaluation.open_set import evaluated_digest
from passerby.inference.model import Model
from passerby.metrics.calibration import Calibration
from passerby.metrics.held_out import calibrate_embeddings
from passerby.metrics.probability import Method
from passerby.types import Protocol


def calibrate(
    model: Model,
    dataset: Dataset,
    *,
    method: Method = "isotonic",
    distance: Literal["global", "local", "global_local"] = "global",
    across_cameras: bool = True,
    margin: float = 0.0,
    seed: int = 0,
    progress: Callable[[int], object] | None = None,
) -> Calibration:
    """Embed query and gallery and fit P(same person); a fit on half of the people is tested on the other half.

    Args:
        across_cameras: leave out pairs of one person that one camera saw.
        margin: the distance by which verdicts are to be stricter, for images unlike these.
        seed: random seed of the halves.

    Raises:
        ProtocolError: if people or cameras are unknown, or too few.
    """
    how = Protocol(
        ignore_same_camera=across_cameras,
        distance=distance,
        normalize=model.protocol.normalize,
        flip_tta=model.protocol.flip_tta,
    )
    check_distance(model.card, distance)
    check_evaluable(dataset, how)
    query, gallery = (
        model.embed_samples(
            dataset.source,
            dataset.counted(split),
            with_local=distance != "global",
            progress=progress,
        )
        for split in ("query", "gallery")
    )
    place = dataset.source.place
    fitted = calibrate_embeddings(
        query,
        gallery,
        how,
        method=method,
        seed=seed,
        fingerprint=model.fingerprint,
        data=place if place.startswith(f"{dataset.name}:") else f"{dataset.name}:{place}",
        content=evaluated_digest(dataset),
    )
    return replace(fitted, margin=margin)
