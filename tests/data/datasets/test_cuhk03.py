"""CUHK03: one .mat, two ways to unpack it, two protocols, two kinds of boxes; all say the same people."""

from __future__ import annotations

import io
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from passerby.data.checks import check
from passerby.data.dataset import people
from passerby.data.datasets.cuhk03_release.names import PAIRS
from passerby.data.datasets.cuhk03_release.release import ReleaseSource
from passerby.data.images.decode import read_image
from passerby.data.registry import DATASETS, load, open_place, recognize
from passerby.data.source import open_source
from passerby.errors import ConfigError, DatasetLayoutError, UnknownNameError

# Camera pair → for each person the images that she has, of 10.
PEOPLE = {1: [(1, 2, 6), (1, 6, 7), (3, 6, 8)], 2: [(1, 6), (2, 9)], 3: [(4, 5, 10)], 4: [], 5: [(1, 6)]}
TESTSETS = [[(1, 1), (2, 2)], [(1, 3), (5, 1)]]
NAMES = sorted(
    f"{pair}_{person:03d}_{1 if number <= 5 else 2}_{number:02d}.png"
    for pair, rows in PEOPLE.items()
    for person, numbers in enumerate(rows, start=1)
    for number in numbers
)
EXTRA = "2_002_2_10.png"
"""An image that the detector alone has."""
HEIGHT, WIDTH = 6, 4


def pixels(boxes: str, name: str) -> np.ndarray[Any, Any]:
    """An image of its own for each name."""
    seed = list(f"{boxes}/{name}".encode())
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def write_release(path: Path) -> Path:
    """As MATLAB 7.3 writes it: cells are references, axes are turned around, empty cells are two zeros."""
    with h5py.File(path, "w") as file:
        cells = file.create_group("#refs#")

        def cell(value: Any) -> h5py.Reference:
            return cells.create_dataset(str(len(cells)), data=value).ref

        def cell_array(grid: list[list[h5py.Reference]]) -> Any:
            return np.array(grid, dtype=h5py.ref_dtype).T

        for boxes in ("labeled", "detected"):
            pairs = []
            for pair, rows in PEOPLE.items():
                grid = []
                for person, numbers in enumerate(rows, start=1):
                    row = []
                    for number in range(1, 11):
                        name = f"{pair}_{person:03d}_{1 if number <= 5 else 2}_{number:02d}.png"
                        there = number in numbers or (name == EXTRA and boxes == "detected")
                        row.append(cell(pixels(boxes, name).T if there else np.zeros(2, np.uint64)))
                    grid.append(row)
                empty = np.zeros((10, 0), dtype=h5py.ref_dtype)
                pairs.append(cells.create_dataset(f"{boxes}{pair}", data=cell_array(grid) if grid else empty).ref)
            file.create_dataset(boxes, data=np.array([pairs], dtype=h5py.ref_dtype))
        tests = [cell(np.array(test, np.float64).T) for test in TESTSETS]
        file.create_dataset("testsets", data=np.array([tests], dtype=h5py.ref_dtype))
    return path


def write_config(folder: Path, boxes: str) -> None:
    """The new protocol's file: pair 1 is trained on; of the others the first image of a camera is a query."""
    names = NAMES if boxes == "labeled" else sorted([*NAMES, EXTRA])
    train = [i for i, name in enumerate(names, start=1) if name.startswith("1_")]
    test = [i for i in range(1, len(names) + 1) if i not in train]
    query = [i for i in test if names[i - 1][:7] != names[i - 2][:7]]
    filelist = np.array([[name] for name in names], dtype=object)
    savemat(
        folder / f"cuhk03_new_protocol_config_{boxes}.mat",
        {
            "filelist": filelist,
            "labels": np.ones((len(names), 1)),
            "camId": np.ones((len(names), 1)),
            "train_idx": np.array([train]).T.astype(float),
            "query_idx": np.array([query]).T.astype(float),
            "gallery_idx": np.array([[i for i in test if i not in query]]).T.astype(float),
        },
    )


def write_pictures(folder: Path) -> None:
    for boxes in ("labeled", "detected"):
        (folder / f"images_{boxes}").mkdir(parents=True)
        for name in NAMES if boxes == "labeled" else [*NAMES, EXTRA]:
            Image.fromarray(pixels(boxes, name)).save(folder / f"images_{boxes}" / name)


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """The .mat as torchreid's instructions place it: one folder below the new protocol's files."""
    folder = tmp_path / "cuhk03"
    (folder / "cuhk03_release").mkdir(parents=True)
    for boxes in ("labeled", "detected"):
        write_config(folder, boxes)
    return write_release(folder / "cuhk03_release" / "cuhk-03.mat")


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """Folders of images, the new protocol's files and torchreid's splits of the old one."""
    folder = tmp_path / "unpacked"
    write_pictures(folder)
    for boxes in ("labeled", "detected"):
        write_config(folder, boxes)
        splits = [
            {"query": [[f"/home/me/data\\{n}", 3, 0] for n in NAMES if (int(n[0]), int(n[2:5])) in test]}
            for test in TESTSETS
        ]
        (folder / f"splits_classic_{boxes}.json").write_text(json.dumps(splits))
    return folder


@pytest.fixture(params=["mat", "folder of the mat", "unpacked", "zip", "unpacked beside the mat"])
def anyhow(request: pytest.FixtureRequest, release: Path, unpacked: Path, tmp_path: Path) -> Path:
    if request.param == "unpacked beside the mat":
        for name in ("splits_classic_labeled.json", "splits_classic_detected.json"):
            (unpacked / name).unlink()
        shutil.copy(release, unpacked)
    return {
        "mat": lambda: release,
        "folder of the mat": lambda: release.parent.parent,
        "zip": lambda: Path(shutil.make_archive(str(tmp_path / "packed"), "zip", unpacked)),
    }.get(request.param, lambda: unpacked)()


def names_of(samples: tuple[Any, ...]) -> list[str]:
    return [sample.path.rsplit("/", 1)[-1] for sample in samples]


def test_the_new_protocol(anyhow: Path) -> None:
    dataset = load(f"cuhk03:{anyhow}")
    assert dataset.name == "cuhk03:protocol=new,images=detected"
    assert names_of(dataset.train) == [name for name in NAMES if name.startswith("1_")]
    assert names_of(dataset.query) == [
        *("2_001_1_01.png", "2_001_2_06.png", "2_002_1_02.png", "2_002_2_09.png"),
        *("3_001_1_04.png", "3_001_2_10.png", "5_001_1_01.png", "5_001_2_06.png"),
    ]
    assert names_of(dataset.gallery) == [EXTRA, "3_001_1_05.png"]
    assert [s.camid for s in dataset.query] == [1, 2] * 4
    assert {s.path.split("/")[-2] for s in dataset.train + dataset.query} == {"images_detected"}


def test_labeled_boxes_are_other_images(anyhow: Path) -> None:
    for spelling in ("labelled", "labeled"):
        dataset = load(f"cuhk03:images={spelling}:{anyhow}")
        assert dataset.name == "cuhk03:protocol=new,images=labeled"
        assert {s.path.split("/")[-2] for s in dataset.train + dataset.query} == {"images_labeled"}
        assert names_of(dataset.gallery) == ["3_001_1_05.png"]


@pytest.mark.parametrize("split", [0, 1])
def test_the_old_protocol(anyhow: Path, split: int) -> None:
    dataset = load("cuhk03", anyhow, protocol="old", split=split)
    assert dataset.name == f"cuhk03:protocol=old,images=detected,split={split}"
    tested = ([1, 843 + 2], [3, sum(PAIRS[:4]) + 1])[split]
    assert people(dataset.query) == people(dataset.gallery) == tested
    assert dataset.query == dataset.gallery, "all images of the tested are both"
    assert dataset.single_shot
    assert not load("cuhk03", anyhow).single_shot
    assert sorted(names_of(dataset.train + dataset.query)) == sorted([*NAMES, EXTRA])
    assert len(people(dataset.train)) == 7 - 2


def test_people_are_numbered_through_the_pairs(release: Path) -> None:
    dataset = load(f"cuhk03:{release}")
    assert people(dataset.train) == [1, 2, 3]
    assert people(dataset.query) == [844, 845, 843 + 440 + 1, 1467 - 49 + 1]
    assert sum(PAIRS) == 1467


def test_split_0_is_the_default(release: Path) -> None:
    assert load(f"cuhk03:protocol=old:{release}").name.endswith("split=0")


def test_images_are_those_of_the_mat(release: Path) -> None:
    dataset = load(f"cuhk03:{release}")
    for sample in dataset.train[:2] + dataset.query[-1:]:
        content = Image.open(io.BytesIO(dataset.source.read(sample.path)))
        assert np.array_equal(np.asarray(content), pixels("detected", sample.path.split("/")[-1]))
    assert read_image(dataset.source, dataset.train[0], (12, 4)).shape[-2:] == (12, 4)
    assert check(dataset).counts[0].images == 9


def test_the_mat_as_a_source(release: Path) -> None:
    source = ReleaseSource(release)
    assert list(source.names()) == sorted(source.names())
    assert len(source.names()) == 2 * len(NAMES) + 1
    again = pickle.loads(pickle.dumps(source))
    assert again.read("images_detected/1_001_1_01.png") == source.read("images_detected/1_001_1_01.png")
    with pytest.raises(DatasetLayoutError, match=r"has no file 'images_labeled/2_002_2_10\.png'"):
        source.read(f"images_labeled/{EXTRA}")


def test_images_are_found_again_by_their_place(release: Path) -> None:
    for spec in (release.parent.parent, f"cuhk03:protocol=old:{release}"):
        source = load(spec).source
        assert open_place(source.place).names() == source.names()


def test_it_is_recognised(release: Path, unpacked: Path) -> None:
    assert recognize(open_source(release.parent.parent)).name == "cuhk03:protocol=new,images=detected"
    assert recognize(open_source(unpacked)).name == "cuhk03:protocol=new,images=detected"
    assert not DATASETS["cuhk03"].recognizes(("images_people/1.png", "bounding_box_train/0001_c1s1_000451_03.jpg"))


NP = (
    "bounding_box_train/0001_c1_1.png",
    "bounding_box_train/0001_c2_7.png",
    "query/0768_c1_00001.png",
    "bounding_box_test/0768_c2_1.png",
)


@pytest.mark.parametrize("root", ["", "cuhk03-np/"])
def test_cuhk03_np(tree: Callable[..., Any], root: str) -> None:
    source = tree([f"{root}{boxes}/{name}" for boxes in ("labeled", "detected") for name in NP])
    dataset = recognize(source)
    assert dataset.name == "cuhk03:protocol=new,images=detected"
    assert [(s.pid, s.camid) for s in dataset.train] == [(1, 1), (1, 2)]
    assert [s.path for s in dataset.query] == [f"{root}detected/query/0768_c1_00001.png"]
    labelled = load(f"cuhk03:images=labelled:{source.root}")
    assert [s.path for s in labelled.gallery] == [f"{root}labeled/bounding_box_test/0768_c2_1.png"]
    with pytest.raises(
        DatasetLayoutError, match=r"is CUHK03-NP, made for the new protocol\. Fix: .* give cuhk-03\.mat"
    ):
        load(f"cuhk03:protocol=old:{source.root}")


def test_settings_that_cannot_be(release: Path) -> None:
    for text, words in (
        ("protocol=newer", "protocol of cuhk03 cannot be 'newer'; it is one of new, old"),
        ("images=both", "it is one of detected, labeled"),
        ("protocol=old,split=20", "split of cuhk03 cannot be '20'; it is one of 0 to 19"),
        ("split=3", "split=3 is of the old protocol, .* set protocol=old"),
    ):
        with pytest.raises(ConfigError, match=words):
            load(f"cuhk03:{text}:{release}")
    with pytest.raises(UnknownNameError, match="Did you mean protocol"):
        load(f"cuhk03:protocal=old:{release}")
    with pytest.raises(ConfigError, match="Fix: to read it as cuhk03, say so, cuhk03:PATH"):
        load(release.parent, protocol="old")
    with pytest.raises(DatasetLayoutError, match="has 2 splits of the old protocol, got split=2"):
        load(f"cuhk03:protocol=old,split=2:{release}")


def test_the_new_protocol_needs_its_file(release: Path, unpacked: Path) -> None:
    name = "cuhk03_new_protocol_config_detected.mat"
    for folder, spec, where in (
        (release.parent.parent, release, "put it beside it or one folder up, or set protocol=old"),
        (unpacked, unpacked, "put it anywhere in it, or set protocol=old"),
    ):
        (folder / name).unlink()
        with pytest.raises(DatasetLayoutError, match=rf"comes without {name}.*{where}"):
            load(f"cuhk03:{spec}")
        savemat(folder / name, {"filelist": np.array([["a"]], object), "train_idx": [[2.0]]})
        with pytest.raises(DatasetLayoutError, match="is not the new protocol's"):
            load(f"cuhk03:{spec}")


def test_the_old_protocol_needs_its_splits(unpacked: Path) -> None:
    (unpacked / "splits_classic_detected.json").write_text('[{"train": []}]')
    with pytest.raises(DatasetLayoutError, match=r"splits_classic_detected\.json is not as torchreid writes it"):
        load(f"cuhk03:protocol=old:{unpacked}")
    (unpacked / "splits_classic_detected.json").unlink()
    with pytest.raises(DatasetLayoutError, match=r"neither cuhk-03\.mat nor splits_classic_detected\.json"):
        load(f"cuhk03:protocol=old:{unpacked}")


def test_missing_images_are_named(unpacked: Path) -> None:
    (unpacked / "images_detected" / "1_002_2_07.png").unlink()
    with pytest.raises(DatasetLayoutError, match=r"lacks 1 detected images of the new protocol: 1_002_2_07\.png"):
        load(f"cuhk03:{unpacked}")
    for file in (unpacked / "images_detected").glob("2_002_*"):
        file.unlink()
    with pytest.raises(DatasetLayoutError, match="no images of 1 people of split 0, such as person 2 of pair 2"):
        load(f"cuhk03:protocol=old:{unpacked}")
    (unpacked / "images_detected" / "5_050_1_01.png").touch()
    with pytest.raises(DatasetLayoutError, match=r"5_050_1_01\.png' is of person 50, but pair 5 has 49"):
        load(f"cuhk03:{unpacked}")


def test_what_is_no_cuhk03(release: Path, tmp_path: Path, directory: Callable[..., Any]) -> None:
    other = tmp_path / "other.mat"
    other.write_bytes(b"MATLAB 5.0 MAT-file")
    with pytest.raises(DatasetLayoutError, match=r"is not HDF5 as cuhk-03\.mat is"):
        load(f"cuhk03:{other}")
    with h5py.File(other, "w") as file:
        file["pp"] = np.zeros((3, 28))
    with pytest.raises(DatasetLayoutError, match="expected the cells labeled, detected and testsets"):
        load(f"cuhk03:{other}")
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", release.parent)
    for spec in (packed, f"cuhk03:{packed}"):
        with pytest.raises(DatasetLayoutError, match=r"cuhk-03\.mat cannot be read inside an archive\. Fix: unpack it"):
            load(spec)
    with pytest.raises(DatasetLayoutError, match="has no detected images of CUHK03; expected"):
        load(f"cuhk03:{directory(['images_labeled/1_001_1_01.png']).root}")
    with pytest.raises(DatasetLayoutError, match="does not exist"):
        load(f"cuhk03:{tmp_path}/nowhere")


def test_two_mats_are_errors(release: Path) -> None:
    shutil.copy(release, release.parent.parent)
    with pytest.raises(DatasetLayoutError, match="more than one"):
        load(f"cuhk03:{release.parent.parent}")


@pytest.mark.parametrize(("images", "counts"), [("labeled", "7,368 1,400 5,328"), ("detected", "7,365 1,400 5,332")])
def test_the_published_counts(real: Callable[[str], Path], images: str, counts: str) -> None:
    train, query, gallery = counts.split()
    assert load(f"cuhk03:images={images}:{real('cuhk03')}").summary() == (
        f"train {train} images of 767 people, query {query} images of 700 people, "
        f"gallery {gallery} images of 700 people"
    )
    for split in range(20):
        old = load(f"cuhk03:protocol=old,images={images},split={split}:{real('cuhk03')}")
        assert (len(people(old.train)), len(people(old.query))) == (1367, 100)
        assert len(old.train + old.query) == {"labeled": 14_096, "detected": 14_097}[images]
