"""Checks of an evaluation before it embeds the first image."""

from __future__ import annotations

from pathlib import Path

import pytest

from passerby.data.dataset import Dataset
from passerby.data.source import DirectorySource
from passerby.errors import DatasetLayoutError, ProtocolError
from passerby.evaluation.evaluate import evaluate
from passerby.models.registry import create_model
from passerby.types import Protocol, Sample

NOWHERE = DirectorySource(Path("nowhere"))  # reading an image would be another error
KNOWN = (Sample("g", 1, 2),)


@pytest.mark.parametrize(
    ("query", "gallery", "error", "message"),
    [
        ((), KNOWN, DatasetLayoutError, "no query images"),
        ((Sample("q", None, 1),), KNOWN, ProtocolError, "does not give the person of every image"),
        ((Sample("q", 1, None),), KNOWN, ProtocolError, "does not name every camera"),
        ((Sample("q", 1, 2),), KNOWN, ProtocolError, "none of the 1 queries has a valid match"),
    ],
)
def test_data_that_cannot_be_evaluated(
    query: tuple[Sample, ...], gallery: tuple[Sample, ...], error: type[Exception], message: str
) -> None:
    model = create_model("aligned_reid", num_classes=2, backbone="resnet18")
    with pytest.raises(error, match=message):
        evaluate(model, Dataset("mine", NOWHERE, query=query, gallery=gallery), size=(32, 16))


def test_a_distance_the_model_does_not_have() -> None:
    model = create_model("osnet_x0_25", num_classes=2)
    dataset = Dataset("mine", NOWHERE, query=(Sample("q", 1, 1),), gallery=KNOWN)
    with pytest.raises(ProtocolError, match="osnet_x0_25 has no local distance; it has global"):
        evaluate(model, dataset, size=(32, 16), protocol=Protocol(distance="local"))
