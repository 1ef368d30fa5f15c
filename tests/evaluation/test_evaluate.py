"""Checks of an evaluation before it embeds the first image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from passerby.data.dataset import Dataset
from passerby.data.source import DirectorySource
from passerby.errors import DatasetLayoutError, ProtocolError
from passerby.evaluation.evaluate import evaluate
from passerby.metrics.camera_confusion import camera_confusion
from passerby.metrics.protocol import evaluate_embeddings
from passerby.metrics.subgroups import camera_subgroups
from passerby.models.registry import create_model
from passerby.types import Embeddings, Protocol, Rerank, Role, Sample

NOWHERE = DirectorySource(Path("nowhere"))  # reading an image would be another error
KNOWN = (Sample("g", 1, 2),)


@pytest.mark.parametrize(
    ("query", "gallery", "error", "message"),
    [
        ((), KNOWN, DatasetLayoutError, "no query images"),
        ((Sample("q", None, 1),), KNOWN, ProtocolError, "does not give the person of every image"),
        ((Sample("q", 1, None),), KNOWN, ProtocolError, "the camera of 1 of 2 .*evaluate --all-cameras"),
        ((Sample("q", 1, 2),), KNOWN, ProtocolError, "none of the 1 queries has a valid match"),
    ],
)
def test_data_that_cannot_be_evaluated(
    query: tuple[Sample, ...], gallery: tuple[Sample, ...], error: type[Exception], message: str
) -> None:
    model = create_model("aligned_reid", num_classes=2, backbone="resnet18_half")
    with pytest.raises(error, match=message):
        evaluate(model, Dataset("mine", NOWHERE, query=query, gallery=gallery), size=(32, 16))


def test_a_distance_the_model_does_not_have() -> None:
    model = create_model("osnet_x0_25", num_classes=2)
    dataset = Dataset("mine", NOWHERE, query=(Sample("q", 1, 1),), gallery=KNOWN)
    with pytest.raises(ProtocolError, match="osnet_x0_25 has no local distance; it has global"):
        evaluate(model, dataset, size=(32, 16), protocol=Protocol(distance="local"))


class CountedSource(DirectorySource):
    """A folder that counts what is read of it."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reads: list[str] = []

    def read(self, name: str) -> bytes:
        self.reads.append(name)
        return super().read(name)


def with_junk(folder: Path) -> Dataset:
    """Return a dataset of 4 people by 2 cameras whose junk cannot be decoded, and whose further images show others."""
    people = [(pid, camid) for pid in range(4) for camid in range(2)]
    names = {f"{kind}{pid}_{camid}.png": (pid, camid) for kind in ("q", "g", "f") for pid, camid in people}
    for n, name in enumerate(names):
        pixels = np.random.default_rng(n).integers(0, 256, (4, 2, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((16, 32)).save(folder / name)
    (folder / "junk.png").write_bytes(b"no image")
    junk = Sample("junk.png", -1, 1, Role.JUNK)
    sides = {kind: tuple(Sample(n, *key) for n, key in names.items() if n[0] == kind) for kind in ("q", "g", "f")}
    return Dataset("mine", CountedSource(folder), query=sides["q"][:6], gallery=(junk, *sides["g"]), further=sides["f"])


@pytest.mark.parametrize("rerank", [None, Rerank(k1=3, k2=2)])
def test_junk_is_neither_embedded_nor_a_neighbor(tmp_path: Path, rerank: Rerank | None) -> None:
    dataset = with_junk(tmp_path)
    model = create_model("osnet_x0_25", num_classes=2)
    counted: list[int] = []
    found = evaluate(model, dataset, size=(32, 16), protocol=Protocol(rerank=rerank), progress=counted.append)
    assert sum(counted) == 6 + 8
    assert isinstance(dataset.source, CountedSource)
    assert "junk.png" not in dataset.source.reads
    clean = replace(dataset, gallery=dataset.gallery[1:])
    expected = evaluate(model, clean, size=(32, 16), protocol=Protocol(rerank=rerank))
    assert (found.cmc, found.mean_ap, found.gallery) == (expected.cmc, expected.mean_ap, 8)
    assert (found.details, expected.details) == ({"gallery_junk": 1}, {"gallery_junk": 0})
    assert found.embeddings is not None
    query, gallery = found.embeddings
    stored = Embeddings.concatenate([gallery[:1], gallery])  # as a file of all rows holds it: junk with an embedding
    stored = replace(stored, roles=torch.tensor([1] + [0] * 8), pids=torch.cat([torch.tensor([-1]), gallery.pids]))
    again = evaluate_embeddings(query, stored, Protocol(rerank=rerank))
    assert (again.cmc, again.mean_ap, again.details) == (found.cmc, found.mean_ap, found.details)


def test_multi_query_embeds_the_images_that_it_pools(tmp_path: Path) -> None:
    dataset = with_junk(tmp_path)
    counted: list[int] = []
    model = create_model("osnet_x0_25", num_classes=2)
    evaluate(model, dataset, size=(32, 16), protocol=Protocol(multi_query="mean"), progress=counted.append)
    assert sum(counted) == 6 + 8 + 6


@pytest.mark.parametrize("more", [(), (Sample("junk", -1, 3, Role.JUNK),)])
def test_a_gallery_of_one_person_is_refused(more: tuple[Sample, ...]) -> None:
    model = create_model("osnet_x0_25", num_classes=2)
    dataset = Dataset("mine", NOWHERE, query=(Sample("q", 1, 1), Sample("r", 5, 1)), gallery=(*KNOWN, *more))
    with pytest.raises(ProtocolError, match=r"the gallery \(1 images\) shows one person only: .* 100 %"):
        evaluate(model, dataset, size=(32, 16))


def test_random_galleries_need_cameras_that_count() -> None:
    model = create_model("osnet_x0_25", num_classes=2)
    dataset = Dataset("mine", NOWHERE, query=(Sample("q", 1, 1),), gallery=KNOWN)
    with pytest.raises(ProtocolError, match="leave out --all-cameras"):
        evaluate(model, dataset, size=(32, 16), protocol=Protocol(draws=2, ignore_same_camera=False))


def test_random_galleries_are_not_drawn_from_unknown_cameras() -> None:
    query = Embeddings(torch.eye(2), ("a", "b"), torch.tensor([1, 2]), torch.tensor([-1, -1]))
    gallery = Embeddings(torch.eye(2), ("c", "d"), torch.tensor([1, 2]), torch.tensor([1, 2]))
    with pytest.raises(ProtocolError, match="camera IDs are unknown"):
        evaluate_embeddings(query, gallery, Protocol(draws=2))
    with pytest.raises(ProtocolError, match=r"2 of 2 queries have a camera ID below 0.*evaluate --all-cameras"):
        evaluate_embeddings(query, gallery)


@pytest.mark.parametrize("by_camera", [camera_confusion, camera_subgroups])
def test_unknown_cameras_are_no_camera_in_numbers_by_camera(by_camera) -> None:
    query = Embeddings(torch.eye(2), ("a", "b"), torch.tensor([1, 2]), torch.tensor([-1, -1]))
    with pytest.raises(ProtocolError, match="need"):
        by_camera(query, query, Protocol(ignore_same_camera=False))
