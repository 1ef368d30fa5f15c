"""What a source cannot read is a DatasetLayoutError that names the file."""

from __future__ import annotations

import gc
import shutil
import warnings
import zipfile
from pathlib import Path

import pytest

from passerby.data.source import open_source
from passerby.errors import DatasetLayoutError


def packed(path: Path, compression: int) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("image.jpg", bytes(range(256)) * 40)
    return path


def test_a_damaged_deflated_member(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", zipfile.ZIP_DEFLATED)
    content = bytearray(path.read_bytes())
    content[41:60] = b"\xff" * 19
    path.write_bytes(content)
    with pytest.raises(DatasetLayoutError, match=r"'image\.jpg' is damaged"):
        open_source(path).read("image.jpg")


def test_an_encrypted_member(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    content[6] |= 1  # the encryption flag, in the local header and in the directory
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(DatasetLayoutError, match=r"'image\.jpg' cannot be unpacked .*encrypted"):
        open_source(path).read("image.jpg")


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(DatasetLayoutError, match=r"/a' is a directory"):
        open_source(tmp_path).read("a")


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(DatasetLayoutError, match="has no file 'a/b'"):
        open_source(tmp_path).read("a/b")


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(path: Path, _: str) -> bytes:  # root may read everything, so modes prove nothing here
        raise PermissionError(path)

    (tmp_path / "a").touch()
    monkeypatch.setattr(Path, "open", deny)
    with pytest.raises(DatasetLayoutError, match="'a' may not be read"):
        open_source(tmp_path).read("a")


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar"])
def test_a_source_closes_its_archive(tmp_path: Path, kind: str) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "a").touch()
    source = open_source(shutil.make_archive(str(tmp_path / "packed"), kind, tmp_path / "tree"))
    source.read("a")
    file = source._archive.fp if kind == "zip" else source._archive.fileobj
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del source
        gc.collect()
    assert file.closed


def test_a_compressed_tar_cut_short(tmp_path: Path) -> None:
    import os

    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "a").write_bytes(os.urandom(200_000))
    path = Path(shutil.make_archive(str(tmp_path / "packed"), "gztar", tmp_path / "tree"))
    source = open_source(path)
    source.names()
    path.write_bytes(path.read_bytes()[:50_000])  # after the index was read
    with pytest.raises(DatasetLayoutError, match="'a' is damaged"):
        source.read("a")
