"""Folders of classes: what is read, in which order, and which layouts are refused."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from passerby.data.classes import read_classes
from passerby.errors import DatasetLayoutError

Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """``write("dog/1.jpg", …)``: a folder with these images."""

    def make(*names: str, root: str = "images") -> str:
        for name in names:
            file = tmp_path / root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8)).save(file)
        return str(tmp_path / root)

    return make


def test_a_folder_is_a_class_whatever_it_is_called(write: Write) -> None:
    """Names that are no people's (cameras, dates, objects) are classes; folders may be deep, and endings large."""
    place = write("dog/1.JPEG", "cam1/a/b/2.png", "2024-01-05/3.jpg", "dog/far/4.jpg")
    found = read_classes(place)
    assert found.names == ("2024-01-05", "cam1", "dog")
    assert [(s.path, s.pid) for s in found.dataset.train] == [
        ("2024-01-05/3.jpg", 0), ("cam1/a/b/2.png", 1), ("dog/1.JPEG", 2), ("dog/far/4.jpg", 2),
    ]  # fmt: skip
    assert not found.dataset.query
    assert not found.dataset.gallery


def test_an_archive_is_read_too(write: Write, tmp_path: Path) -> None:
    root = Path(write("a/1.jpg", "b/1.jpg"))
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for file in sorted(root.rglob("*.jpg")):
            archive.write(file, file.relative_to(root))
    assert read_classes(str(tmp_path / "images.zip")).names == ("a", "b")


def test_validation_images_have_the_numbers_of_the_training_classes(write: Write) -> None:
    known = read_classes(write("a/1.jpg", "b/1.jpg", "c/1.jpg")).names
    found = read_classes(write("a/1.jpg", "c/9.jpg", root="validation"), known)
    assert [(s.path, s.pid) for s in found.dataset.train] == [("a/1.jpg", 0), ("c/9.jpg", 2)]
    with pytest.raises(
        DatasetLayoutError, match=r"1 classes that the training images lack \(z\).*Fix: name the folders"
    ):
        read_classes(write("a/1.jpg", "z/9.jpg", root="others"), known)


def test_a_class_may_be_called_train(write: Write) -> None:
    assert read_classes(write("car/1.jpg", "train/1.jpg")).names == ("car", "train")


@pytest.mark.parametrize("names", [("train/a/1.jpg", "val/a/1.jpg"), ("train/1.jpg", "test/1.jpg"), ("train/a/1.jpg",)])
def test_splits_are_no_classes(names: tuple[str, ...], write: Write) -> None:
    with pytest.raises(DatasetLayoutError, match=r"are splits, not classes \(.*Fix: give the folder 't"):
        read_classes(write(*names))


def test_a_split_beside_other_folders_is_no_class(write: Write) -> None:
    with pytest.raises(DatasetLayoutError, match=r"are splits, not classes \(train\)"):
        read_classes(write("train/a/1.jpg", "train/b/1.jpg", "extra/1.jpg"))


def test_one_class_is_nothing_to_tell_apart(write: Write) -> None:
    with pytest.raises(DatasetLayoutError, match=r"has the class 'dog' alone, expected at least 2.*Fix:"):
        read_classes(write("dog/1.jpg", "dog/2.jpg"))


def test_images_outside_of_folders_are_named(write: Write) -> None:
    with pytest.raises(DatasetLayoutError, match=r"1 images in no class's folder \(loose\.jpg\).*Fix:"):
        read_classes(write("a/1.jpg", "b/1.jpg", "loose.jpg"))


def test_a_folder_without_images_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "images" / "a").mkdir(parents=True)
    (tmp_path / "images" / "a" / "notes.txt").write_text("nothing")
    with pytest.raises(DatasetLayoutError, match=r"has no images.*Fix: give ROOT/CLASS/IMAGE"):
        read_classes(str(tmp_path / "images"))
