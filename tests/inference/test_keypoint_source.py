"""Body parts from keypoints to a model that sees them, in training and afterwards."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from passerby.config import with_overrides
from passerby.data.images.augment import Augmentation
from passerby.data.images.decode import read_all
from passerby.data.images.normalize import normalize_images, normalize_parts
from passerby.data.keypoints.crops import By, _warn_mean_pose
from passerby.data.keypoints.estimator import Keypoints, PoseEstimator
from passerby.data.keypoints.skeleton import KEYPOINT_NAMES
from passerby.data.loader import TrainLoader, class_labels
from passerby.data.registry import load as load_data
from passerby.data.sampler import PKSampler
from passerby.errors import ConfigError, DatasetLayoutError
from passerby.inference.embed import embed
from passerby.inference.keypoint_source import part_maker
from passerby.inference.load import load
from passerby.inference.session import TorchSession
from passerby.models.registry import create_model
from passerby.recipes.registry import load_recipe
from passerby.training.config import TrainConfig, read_config
from passerby.training.loop import train

PEOPLE = "pedestrians:people=8,cameras=2,images=2,size=64x32,preset=easy"
SIZE = (64, 32)


def config(**changes: object) -> TrainConfig:
    tree = {
        "model.name": "attention_driven",
        "model.options": {"width": 0.25},
        "data.train": PEOPLE,
        "data.height": SIZE[0],
        "data.width": SIZE[1],
        "sampler.p": 2,
        "sampler.k": 2,
        "augment.pad": 0,
        "loss": {"name": "branches"},
        "epochs": 1,
        "schedule.warmup_epochs": 0,
        **changes,
    }
    return with_overrides(load_recipe("strong_baseline"), tree)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parts") / "run"
    train(config(), folder, show_progress=False)
    return folder


def test_a_model_that_sees_parts_is_trained_evaluated_and_loaded(run: Path) -> None:
    log = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert {"intra", "inter"} <= set(log[0])
    result = json.loads((run / "metrics.json").read_text())
    model = load(run)
    dataset = load_data(PEOPLE)
    again = model.embed_samples(dataset.source, dataset.query)
    assert again.embedding.shape == (8, 768)
    assert result["queries"] == 8
    assert json.loads((run / "model.json").read_text())["parts"] == {
        "by": "pose",
        "overlap": 0.1,
        "head": "neck",
        "align": True,
        "keypoints": "auto",
    }


def test_parts_and_the_aligned_person_reach_the_model(run: Path) -> None:
    model, dataset = load(run), load_data(PEOPLE)
    ways: tuple[dict[str, Any], ...] = ({}, {"align": False}, {"by": "strips"}, {"by": "strips", "align": False})
    aligned, by_pose, by_strips, strips = (
        embed(
            model.session,
            dataset.source,
            dataset.query,
            size=SIZE,
            parts=part_maker(dataset.source, size=SIZE, **way),
        ).embedding
        for way in ways
    )
    assert torch.equal(by_strips, strips)
    whole, parts = slice(0, 256), slice(256, None)  # the global branch sees no parts
    assert torch.allclose(by_pose[:, whole], by_strips[:, whole], atol=1e-5)
    assert not torch.allclose(by_pose[:, parts], by_strips[:, parts], atol=1e-2)
    assert torch.allclose(aligned[:, parts], by_pose[:, parts], atol=1e-5)
    assert not torch.allclose(aligned[:, whole], by_pose[:, whole], atol=1e-2)


def test_training_sees_what_evaluation_sees() -> None:
    dataset = load_data(PEOPLE)
    maker = part_maker(dataset.source, size=SIZE)
    sampler = PKSampler(class_labels(dataset.train), p=2, k=2, seed=0)
    loader = TrainLoader(
        dataset.source, dataset.train, sampler, size=SIZE, augmentation=Augmentation(flip=0), seed=0, parts=maker
    )
    batch = next(loader.epoch(0, to=torch.device("cpu")))
    assert batch.parts is not None
    images = read_all(dataset.source, dataset.train, SIZE)
    cut = maker([sample.path for sample in dataset.train], images)
    places = [
        next(i for i in range(len(images)) if torch.equal(x, normalize_images(cut.whole[i : i + 1])[0]))
        for x in batch.images
    ]
    assert torch.equal(batch.parts, normalize_parts(cut.parts[places]))


def test_any_number_of_threads_crops_the_same() -> None:
    dataset = load_data(PEOPLE)
    maker = part_maker(dataset.source, size=SIZE)
    batches = [
        list(
            TrainLoader(
                dataset.source, dataset.train, PKSampler(class_labels(dataset.train), p=3, k=1, seed=0), size=SIZE,
                augmentation=Augmentation(flip=0.5), seed=0, threads=threads, parts=maker,
            ).epoch(1, to=torch.device("cpu"))
        )
        for threads in (1, 2, 5)
    ]  # fmt: skip
    assert len(batches[0]) > 2
    for one, *others in zip(*batches, strict=True):
        assert one.parts is not None
        for other in others:
            assert torch.equal(one.images, other.images)
            assert other.parts is not None
            assert torch.equal(one.parts, other.parts)


def test_runs_of_before_are_not_aligned(run: Path, tmp_path: Path) -> None:
    old = shutil.copytree(run, tmp_path / "old")
    about = json.loads((old / "model.json").read_text())
    del about["parts"]["align"]
    (old / "model.json").write_text(json.dumps(about))
    assert load(run).parts["align"]
    assert not load(old).parts["align"]


def test_runs_of_before_cut_the_face_without_the_neck(run: Path, tmp_path: Path) -> None:
    old = shutil.copytree(run, tmp_path / "old")
    for name in ("model.json", "config.json"):
        about = json.loads((old / name).read_text())
        about.pop("defaults", None)
        del about["parts"]["head"]
        (old / name).write_text(json.dumps(about))
    dataset = load_data(PEOPLE)
    today, former = load(run), load(old)
    assert (today.parts["head"], former.parts["head"]) == ("neck", "face")
    assert read_config(old / "config.json").parts.head == "face"  # a resumed run goes on with its crops
    images, names = read_all(dataset.source, dataset.query, SIZE), [sample.path for sample in dataset.query]
    makers = [model.part_maker(dataset.source) for model in (today, former)]
    regions = [maker.rectangles(names, images).regions for maker in makers if maker]
    for found, head in zip(regions, ("neck", "face"), strict=True):
        maker = part_maker(dataset.source, size=SIZE, head=head)  # type: ignore[arg-type]
        assert np.array_equal(found, maker.rectangles(names, images).regions)
    assert not np.array_equal(*regions)


def test_parts_are_for_models_that_take_them_only(run: Path) -> None:
    dataset = load_data(PEOPLE)
    with pytest.raises(ConfigError, match="attention_driven takes images and parts"):
        embed(TorchSession(load(run).network), dataset.source, dataset.query, size=SIZE)
    plain = create_model("strong_baseline", num_classes=2, backbone="resnet18_half")
    with pytest.raises(ConfigError, match="strong_baseline takes images"):
        embed(
            TorchSession(plain), dataset.source, dataset.query, size=SIZE, parts=part_maker(dataset.source, size=SIZE)
        )


def test_missing_keypoints_raise(tmp_path: Path) -> None:
    with pytest.raises(
        DatasetLayoutError, match=r"annotations\.json' does not exist, expected a JSON of COCO keypoints"
    ):
        part_maker(load_data(PEOPLE).source, size=SIZE, keypoints=str(tmp_path / "annotations.json"))


def picture_and_part() -> tuple[Tensor, Tensor]:
    images = torch.randint(0, 256, (6, 3, 16, 8), generator=Generator().manual_seed(0), dtype=torch.uint8)
    return images, images.unfold(2, 4, 4).permute(0, 2, 1, 4, 3)[:, :4]  # four strips of four rows


def test_images_and_parts_are_mirrored_together() -> None:
    images, parts = picture_and_part()
    assert torch.equal(torch.cat(parts.unbind(1), dim=2), images)
    whole, cut = Augmentation(flip=0.5).with_parts(images, parts, Generator().manual_seed(1))
    assert torch.equal(torch.cat(cut.unbind(1), dim=2), whole)
    mirrored = [not torch.allclose(a, b, atol=1e-5) for a, b in zip(whole, normalize_images(images), strict=True)]
    assert 0 < sum(mirrored) < len(mirrored)


def test_parts_are_normalized_like_images() -> None:
    images, parts = picture_and_part()
    assert torch.equal(torch.cat(normalize_parts(parts).unbind(1), dim=2), normalize_images(images))


@pytest.mark.parametrize("amount", [{"pad": 2}, {"degrees": 5.0}, {"translate": 0.1}])
def test_augmentation_that_would_move_an_image_from_its_parts_raises(amount: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="away from its parts"):
        Augmentation(**amount).with_parts(*picture_and_part(), Generator())  # type: ignore[arg-type]


@pytest.mark.parametrize("by", ["pose", "strips"])
def test_flip_mirrors_the_parts_with_the_person(run: Path, by: By) -> None:
    """The pose estimator of mirrored images."""
    model, dataset = load(run), load_data(PEOPLE)
    plain, mirrored = (
        replace(maker, estimator=_Sure(maker.estimator, mirror=mirror) if maker.estimator else None)
        for maker in [part_maker(dataset.source, size=SIZE, by=by)]
        for mirror in (False, True)
    )
    images = read_all(dataset.source, dataset.query, SIZE)
    names = [sample.path for sample in dataset.query]
    with torch.inference_mode():
        seen, reversed_ = (
            model.network(normalize_images(cut.whole), normalize_parts(cut.parts)).embedding
            for cut in (plain(names, images), mirrored(names, images.flip(-1)))
        )
    both = embed(
        TorchSession(model.network), dataset.source, dataset.query, size=SIZE, parts=plain, flip_tta=True
    ).embedding
    assert not torch.allclose(seen, reversed_, atol=1e-2)
    assert torch.allclose(both, (seen + reversed_) / 2, atol=2e-3)


def test_images_cut_by_the_mean_pose_are_counted_in_one_warning(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    _warn_mean_pose.cache_clear()
    model, dataset = load(run), load_data(PEOPLE)
    unseen = {dataset.query[1].path, dataset.query[6].path}
    maker = part_maker(dataset.source, size=SIZE)
    assert maker.estimator is not None
    maker = replace(maker, estimator=_Blind(maker.estimator, frozenset(unseen)))
    for _ in range(2):  # as after every epoch
        embed(TorchSession(model.network), dataset.source, dataset.query, size=SIZE, batch_size=3, parts=maker)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING  # which Python prints by itself
    said = f"{dataset.source.root}: 2 of 8 images were cropped by the mean pose"
    assert record.getMessage().startswith(said)
    assert all(name in record.getMessage() for name in unseen)
    embed(TorchSession(model.network), dataset.source, dataset.query[2:6], size=SIZE, parts=maker)
    assert len(caplog.records) == 1, "there is nothing to say"
    embed(TorchSession(model.network), dataset.source, dataset.query[6:], size=SIZE, parts=maker)
    assert "1 of 2 images" in caplog.records[1].getMessage()


@pytest.mark.parametrize("rank", [0, 1])
def test_training_warns_before_the_first_epoch_in_one_process(rank: int, caplog: pytest.LogCaptureFixture) -> None:
    _warn_mean_pose.cache_clear()
    dataset = load_data(PEOPLE)
    maker = part_maker(dataset.source, size=SIZE)
    assert maker.estimator is not None
    maker = replace(maker, estimator=_Blind(maker.estimator, frozenset(s.path for s in dataset.train[:3])))
    sampler = PKSampler(class_labels(dataset.train), p=2, k=2, seed=0, rank=rank, world=2)
    loader = TrainLoader(
        dataset.source, dataset.train, sampler, size=SIZE, augmentation=Augmentation(), seed=0, parts=maker
    )
    loader.find_parts()
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1 - rank
    assert all(f"3 of {len(dataset.train)} images were cropped by the mean pose" in line for line in said)


@dataclass(frozen=True)
class _Blind:
    """A pose estimator that finds nothing in some images."""

    estimator: PoseEstimator
    unseen: frozenset[str]

    def __call__(self, names: Sequence[str], images: Tensor) -> Keypoints:
        keypoints, confidence = self.estimator(names, images)
        seen = np.array([name not in self.unseen for name in names])
        return Keypoints(keypoints, np.where(seen[:, None], confidence, 0).astype(np.float32))


@dataclass(frozen=True)
class _Sure:
    """A pose estimator that is sure of every keypoint; in mirrored images left is right and right is left."""

    estimator: PoseEstimator
    mirror: bool

    def __call__(self, names: Sequence[str], images: Tensor) -> Keypoints:
        keypoints = self.estimator(names, images).xy
        if self.mirror:
            swapped = [
                name.replace("left", "?").replace("right", "left").replace("?", "right") for name in KEYPOINT_NAMES
            ]
            keypoints = keypoints[:, [KEYPOINT_NAMES.index(name) for name in swapped]] * np.array([-1, 1]) + np.array(
                [1, 0]
            )
        return Keypoints(keypoints.astype(np.float32), np.ones(keypoints.shape[:2], np.float32))
