"""Keypoints that are found once: where they are kept, what makes them anew, and what survives a kill."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from passerby.data.images.augment import Augmentation
from passerby.data.keypoints.cache import CachedPoseEstimator, cached
from passerby.data.keypoints.canonical import shipped_canonical_poses
from passerby.data.keypoints.crops import PartCutter, PartMaker
from passerby.data.keypoints.estimator import AnnotatedKeypoints, Keypoints, PoseEstimator
from passerby.data.keypoints.files import own_keypoints
from passerby.data.loader import TrainLoader, class_labels
from passerby.data.registry import load as load_data
from passerby.data.sampler import PKSampler
from passerby.data.source import CACHE_FOLDER, DirectorySource, Source, open_source
from passerby.errors import OutputError
from passerby.inference.keypoint_source import part_maker
from passerby.synthetic.dataset import PedestrianSource, open_pedestrians
from passerby.types import Sample

NAMES = [f"{i}.png" for i in range(7)]


def random_images(n: int = 7) -> Tensor:
    return torch.randint(0, 256, (n, 3, 8, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


class Looks:
    """Keypoints are made of the pixels, and every image that is looked at is counted."""

    fingerprint = "0123456789abcdef0123"

    def __init__(self, *, fails_at: int | None = None) -> None:
        self.seen: list[str] = []
        self.fails_at = fails_at

    def __call__(self, names: Sequence[str], images: Tensor) -> Keypoints:
        if self.fails_at is not None and len(self.seen) + len(names) > self.fails_at:
            raise KeyboardInterrupt
        self.seen += names
        numbers = images.double().mean(dim=(1, 2, 3)).numpy() / 255
        keypoints = (numbers[:, None, None] * np.linspace(0.1, 1, 36).reshape(18, 2)).astype(np.float32)
        keypoints[:, 0] = np.nan
        return Keypoints(keypoints, np.tile(np.linspace(0, 1, 18, dtype=np.float32), (len(names), 1)))


def assert_same(a: Keypoints, b: Keypoints) -> None:
    assert np.array_equal(a.xy, b.xy, equal_nan=True)
    assert np.array_equal(a.confidence, b.confidence)
    assert a.xy.dtype == b.xy.dtype == np.float32


def test_an_image_is_processed_once(tmp_path: Path) -> None:
    looks, images = Looks(), random_images()
    keeps = CachedPoseEstimator(looks, tmp_path / "deep" / "poses.sqlite")
    first = keeps(NAMES[:4], images[:4])
    assert looks.seen == NAMES[:4]
    order = [6, 2, 5, 0]
    second = keeps([NAMES[i] for i in order], images[order])
    assert looks.seen == [*NAMES[:4], "6.png", "5.png"]
    assert_same(second, Looks()([NAMES[i] for i in order], images[order]))
    again = Looks()
    assert_same(CachedPoseEstimator(again, keeps.file)(NAMES[:4], images[:4]), first)
    assert again.seen == []
    assert keeps([], images[:0]).xy.shape == (0, 18, 2)


def test_other_pixels_are_another_image_unless_only_names_count(tmp_path: Path) -> None:
    images, other = random_images(), random_images().flip(-1)
    for by_pixels, expected in ((True, [*NAMES, *NAMES]), (False, NAMES)):
        looks = Looks()
        keeps = CachedPoseEstimator(looks, tmp_path / f"{by_pixels}.sqlite", by_pixels=by_pixels)
        for shown in (images, other):
            keeps(NAMES, shown)
        assert looks.seen == expected


def test_what_was_found_before_a_kill_is_not_sought_again(tmp_path: Path) -> None:
    file, images = tmp_path / "poses.sqlite", random_images()
    killed = CachedPoseEstimator(Looks(fails_at=4), file)
    with suppress(KeyboardInterrupt):
        for i in range(7):
            killed(NAMES[i : i + 1], images[i : i + 1])
    looks = Looks()
    CachedPoseEstimator(looks, file)(NAMES, images)
    assert looks.seen == NAMES[4:]


def test_a_file_that_was_only_begun_is_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "poses.sqlite").touch()
    looks = Looks()
    CachedPoseEstimator(looks, tmp_path / "poses.sqlite")(NAMES, random_images())
    assert looks.seen == NAMES


def test_several_may_find_at_once(tmp_path: Path) -> None:
    images = random_images()
    keeps = [CachedPoseEstimator(Looks(), tmp_path / "poses.sqlite") for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda one: one(NAMES, images), keeps))
    for keypoints in found:
        assert_same(keypoints, found[0])
    last = Looks()
    CachedPoseEstimator(last, tmp_path / "poses.sqlite")(NAMES, images)
    assert last.seen == []


@pytest.mark.parametrize("content", [b"not a database, but long enough to be read as if it were one" * 9, b"SQLite"])
def test_a_damaged_cache_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "poses.sqlite").write_bytes(content)
    with pytest.raises(OutputError, match=r"poses\.sqlite .*delete the file"):
        CachedPoseEstimator(Looks(), tmp_path / "poses.sqlite")(NAMES, random_images())


def test_a_cache_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(OutputError, match="cannot be cached"):
        CachedPoseEstimator(Looks(), tmp_path / "taken" / "poses.sqlite")(NAMES, random_images())


class _Handed(Source):
    def names(self) -> tuple[str, ...]:
        return ("query",)

    def read(self, name: str) -> bytes:
        raise AssertionError(name)


@pytest.fixture
def people(tmp_path: Path) -> Path:
    folder = tmp_path / "people"
    folder.mkdir()
    for name in NAMES:
        Image.new("RGB", (4, 8)).save(folder / name)
    return folder


def test_keypoints_lie_beside_the_data_or_in_the_cache(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "cache"
    monkeypatch.setenv("PASSERBY_CACHE", str(home))
    assert open_source(people).cache_folder() == people / CACHE_FOLDER
    archive = shutil.make_archive(str(tmp_path / "people"), "zip", people)
    elsewhere = [open_source(archive).cache_folder(), DirectorySource(Path("/")).cache_folder()]
    people.chmod(0o555)
    elsewhere.append(open_source(people).cache_folder())
    people.chmod(0o755)
    assert [folder.parent if folder else None for folder in elsewhere] == [home / "poses"] * 3
    assert len(set(elsewhere)) == 3
    generated = open_pedestrians("people=4,cameras=2,images=1")
    assert generated.cache_folder() == generated.folder
    assert open_pedestrians("people=4", cache=None).cache_folder() is None
    assert _Handed(people).cache_folder() is None


def test_only_what_is_work_is_kept(people: Path) -> None:
    source, looks = open_source(people), Looks()
    table = AnnotatedKeypoints({name: np.ones((18, 3), np.float32) for name in NAMES}, "joints.json")
    assert cached(table, source) is table
    assert cached(looks, _Handed(people)) is looks
    kept = cached(looks, source)
    assert isinstance(kept, CachedPoseEstimator)
    assert kept.by_pixels
    kept(NAMES, random_images())
    assert [p.name for p in (people / CACHE_FOLDER).iterdir()] == ["poses-0123456789abcdef.sqlite"]
    other = Looks()
    other.fingerprint = "fedcba9876543210"
    assert cached(other, source) != kept


def test_the_data_set_is_the_same_with_keypoints_beside_it(draw_people: Callable[..., Path], tmp_path: Path) -> None:
    place = draw_people(tmp_path / "people", people=4, cameras=2, images=2)
    before = load_data(place)
    cached(Looks(), before.source)(NAMES, random_images())
    after = load_data(place)
    assert (after.train, after.query, after.gallery) == (before.train, before.query, before.gallery)


def test_people_are_rendered_for_their_keypoints_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PASSERBY_CACHE", str(tmp_path))
    place = "pedestrians:people=4,cameras=2,images=1,size=32x16,preset=easy"
    dataset = load_data(place)
    names, images = [s.path for s in dataset.train], torch.zeros(4, 3, 32, 16, dtype=torch.uint8)
    first = part_maker(dataset.source, size=(32, 16))(names, images)
    expected = own_keypoints(dataset.source)(names)

    def never(*_: Any) -> None:
        raise AssertionError("rendered again")

    monkeypatch.setattr(PedestrianSource, "labels", never)
    again = part_maker(load_data(place).source, size=(64, 32))  # whatever the size of the images
    assert again.estimator is not None
    assert_same(again.estimator(names, images), expected)
    assert torch.equal(part_maker(load_data(place).source, size=(32, 16))(names, images).parts, first.parts)


@pytest.mark.parametrize("cache", [True, False])
def test_training_finds_all_parts_first_and_shows_how_far_it_is(people: Path, cache: bool) -> None:
    looks: PoseEstimator = Looks()
    samples = [_sample(name, pid) for pid, name in enumerate(NAMES)]
    maker = PartMaker(PartCutter(size=(2, 4), canonical=shipped_canonical_poses()), looks)
    loader = TrainLoader(
        open_source(people),
        samples,
        PKSampler(class_labels(samples), p=2, k=1, seed=0),
        size=(8, 4),
        augmentation=Augmentation(flip=0),
        seed=0,
        cache=cache,
        parts=maker,
    )
    told: list[int] = []
    loader.find_parts(told.append)
    assert isinstance(looks, Looks)
    assert (sum(told), looks.seen) == (7, NAMES)
    list(loader.epoch(0, to=torch.device("cpu")))
    assert looks.seen == NAMES, "nothing is left to find"


def _sample(name: str, pid: int) -> Sample:
    return Sample(name, pid=pid, camid=1)
