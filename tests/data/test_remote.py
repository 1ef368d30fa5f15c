"""Files below an address, in memory and on disk: the same names, contents and labels as those of a folder."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from passerby.data.images.open import QueryImage, list_images
from passerby.data.registry import absolute_spec, is_named, open_place
from passerby.data.remote import RemoteSource, is_address
from passerby.data.source import open_source
from passerby.errors import DatasetLayoutError
from passerby.synthetic.export import write_pedestrians
from passerby.synthetic.settings import Settings


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("remote") / "people"
    write_pedestrians(root, Settings(people=2, images=1, size=(32, 16)))
    (root / ".hidden").mkdir()
    (root / ".hidden" / "a.jpg").write_bytes(b"x")
    return root


@pytest.fixture
def memory(folder: Path) -> Iterator[str]:
    files = fsspec.filesystem("memory")
    files.put(str(folder), "/bucket/people", recursive=True)
    yield "memory://bucket/people"
    files.rm("/bucket", recursive=True)


@pytest.fixture(params=["memory", "file"])
def address(request: pytest.FixtureRequest, folder: Path) -> str:
    return f"file://{folder}/" if request.param == "file" else request.getfixturevalue("memory")


def test_names_and_contents_are_those_of_the_folder(address: str, folder: Path) -> None:
    remote, local = open_place(address), open_source(folder)
    assert remote.names() == local.names()
    assert remote.fingerprint() == local.fingerprint()
    assert remote.is_synthetic
    name = remote.names()[0]
    assert remote.has(name)
    assert not remote.has("none.jpg")


def test_images_have_the_labels_of_the_dataset(address: str, folder: Path) -> None:
    assert list_images(address, "all")[1] == list_images(folder, "all")[1]
    name = list_images(folder, "all")[1][0].path
    assert QueryImage.of(f"{address.rstrip('/')}::{name}").content == (folder / name).read_bytes()


def test_the_place_opens_it_again_and_travels_to_another_process(memory: str) -> None:
    source = open_place(f"{memory}/")
    assert source.place == memory == absolute_spec(memory)
    again = pickle.loads(pickle.dumps(source))
    assert again.names() == source.names()
    assert not is_named(memory)


def test_a_stray_image_is_no_synthetic_person(memory: str) -> None:
    fsspec.filesystem("memory").pipe("/bucket/people/photo.jpg", b"x")
    assert not open_place(memory).is_synthetic


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("memory://nowhere", "no files below memory://nowhere"),
        ("nothing://a/b", "no storage has addresses nothing://"),
        ("s3://key:secret@bucket/people", "without user, password and query"),
        ("s3://key:sec/secret@bucket/people", "without user, password and query"),
        ("s3://key:sec?secret@bucket/people", "without user, password and query"),
        ("memory://bucket/people?key=secret", "without user, password and query"),
        ("memory://bucket/people#secret", "without user, password and query"),
        ("dropbox://people", "package that is not installed"),
    ],
)
def test_an_address_without_files_is_told(address: str, message: str) -> None:
    with pytest.raises(DatasetLayoutError, match=message) as error:
        open_place(address).names()
    assert "Fix: " in str(error.value)
    assert "secret" not in str(error.value)


def test_a_file_is_no_folder(memory: str) -> None:
    name = open_place(memory).names()[0]
    with pytest.raises(DatasetLayoutError, match="is a file"):
        open_place(f"{memory}/{name}").names()


def test_missing_and_unreadable_files_are_errors(memory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = RemoteSource(memory)
    with pytest.raises(DatasetLayoutError, match=r"has no file 'none.jpg'"):
        source.read("none.jpg")

    def refused(*_: object, **__: object) -> bytes:
        raise PermissionError("403 Forbidden")

    monkeypatch.setattr(type(source._files), "cat_file", refused)
    with pytest.raises(DatasetLayoutError, match="403 Forbidden"):
        source.read(source.names()[0])


def test_paths_are_no_addresses() -> None:
    assert not any(map(is_address, ("C:\\people", "people/x", "market1501:s3://b/market", "a:b=c:/x", Path("s3://x"))))
