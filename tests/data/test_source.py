"""Sources: the same names and bytes from a directory, a zip and a tar; and what is none of them."""

from __future__ import annotations

import os
import pickle
import shutil
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from passerby.data.source import Source, is_image, open_source
from passerby.errors import DatasetLayoutError

FILES = {"b/2.jpg": b"two", "a/1.jpg": b"one", "a/10.jpg": b"", "top.txt": b"text"}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    (root / "hollow").mkdir()
    return root


@pytest.fixture(params=["directory", "zip", "tar", "gztar"])
def source(request: pytest.FixtureRequest, tree: Path, tmp_path: Path) -> Source:
    if request.param == "directory":
        return open_source(tree)
    return open_source(shutil.make_archive(str(tmp_path / "archive"), request.param, tree))


def test_names_are_sorted_relative_files(source: Source) -> None:
    assert source.names() == ("a/1.jpg", "a/10.jpg", "b/2.jpg", "top.txt")


def test_bytes_are_those_of_the_file(source: Source) -> None:
    assert {name: source.read(name) for name in source.names()} == FILES


def test_a_file_that_is_not_there(source: Source) -> None:
    with pytest.raises(DatasetLayoutError, match=r"has no file 'a/3\.jpg'"):
        source.read("a/3.jpg")


def test_read_before_names(source: Source) -> None:
    assert source.read("b/2.jpg") == b"two"


def test_a_used_source_travels_to_another_process(source: Source) -> None:
    source.read("a/1.jpg")
    other = pickle.loads(pickle.dumps(source))
    assert other.read("a/1.jpg") == b"one"
    assert other.names() == source.names()


def test_its_place_opens_it_from_anywhere(source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    name = source.root.name
    places = {open_source(spec).place for spec in (name, f"./{name}", f"~/{name}", source.root)}
    assert places == {str(source.root)}
    monkeypatch.chdir("/")
    assert open_source(places.pop()).names() == source.names()


def test_threads_share_a_source(tmp_path: Path) -> None:
    contents = {f"{i:03d}.bin": bytes([i]) * 5_000 for i in range(50)}
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    source = open_source(tmp_path / "many.zip")
    names = sorted(contents) * 8
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(source.read, names)) == [contents[name] for name in names]


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(DatasetLayoutError, match="does not exist"):
        open_source(tmp_path / "nowhere")


def test_a_file_that_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "photo.zip").write_bytes(b"no zip")
    with pytest.raises(DatasetLayoutError, match=r"neither a directory nor a zip or tar archive\. Fix: give"):
        open_source(tmp_path / "photo.zip")


def test_a_zip_without_its_end_is_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "cut.zip", "w") as archive:
        archive.writestr("a.jpg", b"x" * 1000)
    (tmp_path / "cut.zip").write_bytes((tmp_path / "cut.zip").read_bytes()[:600])
    with pytest.raises(DatasetLayoutError, match=r"a zip without its end: it is damaged or incomplete\. Fix: give"):
        open_source(tmp_path / "cut.zip")


def test_a_damaged_member_is_named(tmp_path: Path) -> None:
    path = tmp_path / "damaged.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("image.jpg", b"some bytes of an image")
    content = path.read_bytes()
    path.write_bytes(content.replace(b"some bytes", b"same bytes"))
    with pytest.raises(DatasetLayoutError, match=r"'image\.jpg' is damaged"):
        open_source(path).read("image.jpg")


@pytest.mark.parametrize("name", ["a.jpg", "a/b.JPG", "a.jpeg", "a.png", "a.jpg.jpg", "a.webp", "a.BMP"])
def test_image_names(name: str) -> None:
    assert is_image(name)


@pytest.mark.parametrize("name", ["Thumbs.db", "a.txt", "a/.a.jpg", "a/._b.jpg", "__MACOSX/a/b.jpg", "jpg", "a.jpg/b"])
def test_other_names(name: str) -> None:
    assert not is_image(name)


def test_has_says_what_names_lists(source: Source) -> None:
    assert all(source.has(name) for name in FILES)
    assert not source.has("a/2.jpg")
    assert not source.has("hollow")


@pytest.mark.parametrize("kind", ["directory", "tar"])
def test_names_that_are_not_utf8_are_refused_before_work(tmp_path: Path, kind: str) -> None:
    tree = tmp_path / "tree"
    folder = os.fsencode(tree) + b"/\xd5\xc5\xc8\xfd"
    Path(os.fsdecode(folder)).mkdir(parents=True)
    Path(os.fsdecode(folder + b"/readme.txt")).touch()
    assert len(open_source(tree).names()) == 1, "only images are stored by name"
    assert open_source(tree).fingerprint()
    Path(os.fsdecode(folder + b"/1.jpg")).touch()
    place = tree if kind == "directory" else Path(shutil.make_archive(str(tmp_path / "archive"), "tar", tree))
    with pytest.raises(DatasetLayoutError, match=r"1 images have names that are not UTF-8, .*\\udcd5.*Fix: rename"):
        open_source(place).names()
    with pytest.raises(DatasetLayoutError, match="is not UTF-8"):
        open_source(os.fsdecode(folder))
