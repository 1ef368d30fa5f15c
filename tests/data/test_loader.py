"""Training batches are a function of seed and epoch; labels belong to people."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from passerby.data.images.augment import Augmentation
from passerby.data.images.normalize import normalize_images
from passerby.data.loader import TrainLoader, class_labels
from passerby.data.sampler import PKSampler
from passerby.data.source import open_source
from passerby.errors import DatasetLayoutError
from passerby.types import Batch, Role, Sample

SAMPLES = [Sample(f"{pid}_{shot}.png", pid, 1) for pid in (30, 10, 20) for shot in range(3)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i, sample in enumerate(SAMPLES):
        Image.new("RGB", (8, 16), (20 * i, 0, 255 - 20 * i)).save(tmp_path / sample.path)
    return tmp_path


def loader(folder: Path, *, seed: int = 0, cache: bool = True, augmentation: Augmentation | None = None) -> TrainLoader:
    sampler = PKSampler(class_labels(SAMPLES), p=2, k=2, seed=seed)
    return TrainLoader(
        open_source(folder),
        SAMPLES,
        sampler,
        size=(16, 8),
        augmentation=augmentation or Augmentation(flip=0.5, pad=2, erase=0.5),
        seed=seed,
        cache=cache,
    )


def epoch(of: TrainLoader, number: int) -> list[Batch]:
    return list(of.epoch(number, to=torch.device("cpu")))


def equal(one: list[Batch], other: list[Batch]) -> bool:
    return all(
        torch.equal(a.images, b.images) and torch.equal(a.labels, b.labels) for a, b in zip(one, other, strict=True)
    )


def test_labels_count_people_by_ascending_pid() -> None:
    assert class_labels(SAMPLES) == [2, 2, 2, 0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize(
    "unlabeled", [Sample("x", None, 1), Sample("x", -1, 1, Role.JUNK), Sample("x", 0, 1, Role.DISTRACTOR)]
)
def test_images_without_an_identity_cannot_be_trained_on(unlabeled: Sample) -> None:
    with pytest.raises(DatasetLayoutError, match=r"1 training images have no identity \(x\)"):
        class_labels([*SAMPLES, unlabeled])


def test_images_and_labels_belong_together(folder: Path) -> None:
    plain = loader(folder, augmentation=Augmentation(flip=0.0))
    known = {tuple(image[:, 0, 0].tolist()): label for image, label in zip(plain.memory, plain.labels, strict=True)}  # type: ignore[arg-type]
    for batch in epoch(plain, 0):
        for image, label in zip(batch.images, batch.labels, strict=True):
            nearest = min(
                known,
                key=lambda c: (
                    (normalize_images(torch.tensor(c)[None, :, None, None])[0, :, 0, 0] - image[:, 0, 0]).abs().sum()
                ),
            )
            assert known[nearest] == label


def test_an_epoch_is_a_function_of_seed_and_number(folder: Path) -> None:
    first = loader(folder)
    assert equal(epoch(first, 3), epoch(loader(folder), 3))
    assert not equal(epoch(first, 3), epoch(first, 4))
    assert not equal(epoch(first, 3), epoch(loader(folder, seed=1), 3))


def test_decoding_ahead_gives_the_same_batches_as_memory(folder: Path) -> None:
    assert equal(epoch(loader(folder, cache=False), 1), epoch(loader(folder), 1))
