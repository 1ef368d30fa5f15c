"""Which files a source has: through links, without hidden folders, at any depth, each name once."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from passerby.data import walk as walking
from passerby.data.source import Source, is_image, open_source
from passerby.data.walk import follow_links, walk
from passerby.errors import DatasetLayoutError

LINKS = {"people/dan": "../disk/dan", "people/ann/2.jpg": "1.jpg", "people/ann/up": "..", "people/gone.jpg": "nowhere"}
FILES = ("people/ann/1.jpg", "disk/dan/x/7.jpg", ".new.set.partial/query/1.jpg", "people/@eaDir/1.jpg")
NAMES = ("disk/dan/x/7.jpg", "people/ann/1.jpg", "people/ann/2.jpg", "people/dan/x/7.jpg")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for name in FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    for name, target in LINKS.items():
        (root / name).symlink_to(target)
    return root


def zipped(tree: Path, path: Path) -> Path:
    """Pack a tree with its links as ``zip --symlinks`` does."""
    with zipfile.ZipFile(path, "w") as archive:
        for name in FILES:
            archive.write(tree / name, name)
        for name, target in LINKS.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(member, target)
    return path


def tarred(tree: Path, path: Path) -> Path:
    with tarfile.open(path, "w") as archive:
        archive.add(tree, ".")
    return path


@pytest.fixture(params=["directory", "zip", "tar"])
def linked(request: pytest.FixtureRequest, tree: Path, tmp_path: Path) -> Source:
    packed = {"zip": zipped, "tar": tarred}
    return open_source(packed[request.param](tree, tmp_path / "t") if request.param in packed else tree)


def test_links_are_followed_and_hidden_folders_skipped(linked: Source) -> None:
    assert linked.names() == NAMES
    assert linked.read("people/dan/x/7.jpg") == b"disk/dan/x/7.jpg"
    assert linked.read("people/ann/2.jpg") == b"people/ann/1.jpg"
    assert linked.links() == (("people/dan",), ("people/gone.jpg",))


def test_hard_links_of_a_tar_are_files(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    (root / "a.jpg").write_bytes(b"once")
    os.link(root / "a.jpg", root / "b.jpg")
    source = open_source(tarred(root, tmp_path / "t.tar"))
    assert source.names() == ("a.jpg", "b.jpg")
    assert source.read("b.jpg") == source.read("a.jpg") == b"once"


def test_a_link_to_the_whole_disk_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("/")
    (tmp_path / "b").symlink_to(tmp_path.parent)
    (tmp_path / "c").symlink_to("c")
    assert walk(tmp_path) == ((), (), ("c",))


def test_links_that_multiply_are_an_error(tmp_path: Path) -> None:
    for level in range(8):
        folder = tmp_path / f"store/{level}"
        folder.mkdir(parents=True)
        for k in range(2):
            (folder / f"{k}").symlink_to(f"../{level + 1}")
    (tmp_path / "store/8").mkdir()
    with pytest.raises(DatasetLayoutError, match="more than 16 links lead to one folder"):
        walk(tmp_path / "store/0")


def test_links_of_an_archive_that_multiply_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "MOST_LINKED", 20)
    links = {f"{level}/{k}": f"{level + 1}" for level in range(8) for k in range(2)}
    with pytest.raises(DatasetLayoutError, match="lead to more than 20 files"):
        follow_links({"8/a.jpg": 0}, links)


def test_links_of_an_archive_wait_for_one_another() -> None:
    links = {"a": "b", "b": "c", "c/2.jpg": "d/1.jpg", "e": "f", "f": "e", "g/h": "g"}
    found, folders, lost = follow_links({"d/1.jpg": 7}, links)
    assert found == dict.fromkeys(("d/1.jpg", "c/2.jpg", "b/2.jpg", "a/2.jpg"), 7)
    assert (folders, lost) == (("a", "b"), ("e", "f"))


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """A thousand folders, each in the other, made and removed one by one: their path is too long for one call."""
    before = Path.cwd()
    os.chdir(tmp_path)
    for _ in range(1_000):
        Path("d").mkdir()
        os.chdir("d")
    Path("a.jpg").touch()
    os.chdir(before)
    yield tmp_path
    os.chdir(tmp_path)
    for _ in range(1_000):
        os.chdir("d")
    Path("a.jpg").unlink()
    for _ in range(1_000):
        os.chdir("..")
        Path("d").rmdir()
    os.chdir(before)


def test_a_thousand_folders_within_each_other(deep: Path) -> None:
    assert [len(name) for name in open_source(deep).names()] == [2_005]


def test_a_folder_that_cannot_be_listed_is_an_error(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def scandir(path: Path, real=os.scandir):
        if path.name == "disk":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(walking.os, "scandir", scandir)
    with pytest.raises(DatasetLayoutError, match=r"folder 'disk/' cannot be listed \(Permission denied\)\. Fix"):
        open_source(tree).names()


@pytest.mark.parametrize(("second", "names"), [(b"one", ["a.jpg"]), (b"two", None)])
def test_a_zip_with_a_name_twice(tmp_path: Path, second: bytes, names: list[str] | None) -> None:
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("a.jpg", b"one")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.jpg", second)
    if names:
        assert list(open_source(tmp_path / "t.zip").names()) == names
        return
    with pytest.raises(DatasetLayoutError, match=r"two files of the name 'a\.jpg', and they differ\. Fix: pack it"):
        open_source(tmp_path / "t.zip").names()


def test_a_backslash_in_a_zip_separates_folders(tmp_path: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in ("M\\query\\", "M\\query\\1.jpg", ".\\M/2.jpg"):
            member = zipfile.ZipInfo("x")
            member.filename = name
            archive.writestr(member, name[-5:])
    (tmp_path / "t.zip").write_bytes(content.getvalue())
    source = open_source(tmp_path / "t.zip")
    assert source.names() == ("M/2.jpg", "M/query/1.jpg")
    assert source.read("M/query/1.jpg") == b"1.jpg"


@pytest.mark.parametrize("path", ["", " "])
def test_an_empty_path_is_not_the_current_folder(path: str) -> None:
    with pytest.raises(DatasetLayoutError, match="got an empty text"):
        open_source(path)


@pytest.mark.parametrize(
    ("name", "image"),
    [("a.jfif", True), ("a.JPE", True), (".Trash/a.jpg", False), ("a/@eaDir/b.jpg", False), ("./a.jpg", True)],
)
def test_what_is_an_image(name: str, image: bool) -> None:
    assert is_image(name) is image
