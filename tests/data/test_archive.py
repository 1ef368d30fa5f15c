"""Archives that are damaged, cut short or out of proportion are one error, never a part of their files."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import struct
import tarfile
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from passerby.data import archive
from passerby.data.source import open_source
from passerby.errors import DatasetLayoutError

NAMES = ("a.jpg", "b.jpg", "c.jpg")
PACK = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
LEVELS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


def content(name: str) -> bytes:
    return name.encode() * 300


def tar(*, end: bool = True) -> bytes:
    """Return a tar of three files, each of a block of header and two of data."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as packed:
        for name in NAMES:
            info = tarfile.TarInfo(name)
            info.size = len(content(name))
            packed.addfile(info, io.BytesIO(content(name)))
    place = 3 * 4 * 512
    assert file.getvalue()[place:] == bytes(len(file.getvalue()) - place)
    return file.getvalue() if end else file.getvalue()[:place]


def read_all(path: Path) -> dict[str, bytes]:
    source = open_source(path)
    return {name: source.read(name) for name in source.names()}


@pytest.fixture
def put(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(packed: bytes, name: str = "packed") -> Path:
        (tmp_path / name).write_bytes(packed)
        return tmp_path / name

    return write


@pytest.mark.parametrize("kind", PACK)
def test_a_whole_tar(put, kind: str) -> None:
    assert read_all(put(PACK[kind](tar()))) == {name: content(name) for name in NAMES}


@pytest.mark.parametrize("blocks", [1, 2, 19])
def test_padding_after_the_end_marker_may_be_any(put, blocks: int) -> None:
    assert len(read_all(put(tar(end=False) + bytes(512 * blocks)))) == 3


@pytest.mark.parametrize("kind", PACK)
@pytest.mark.parametrize("blocks", range(1, 12))
def test_a_tar_cut_at_a_block(put, kind: str, blocks: int) -> None:
    with pytest.raises(DatasetLayoutError, match=r"packed is damaged \(.*Fix: fetch it again"):
        read_all(put(PACK[kind](tar(end=False)[: blocks * 512])))


def test_a_tar_cut_at_a_border_says_what_is_missing(put) -> None:
    with pytest.raises(DatasetLayoutError, match="without an end marker: part of it is missing"):
        open_source(put(tar(end=False)[: 8 * 512])).names()


@pytest.mark.parametrize("kind", PACK)
@pytest.mark.parametrize("place", [4 * 512 + 3, 4 * 512 + 130, 8 * 512 + 150])
def test_a_damaged_header_is_not_the_end(put, kind: str, place: int) -> None:
    broken = bytearray(tar())
    broken[place] ^= 0x15
    with pytest.raises(DatasetLayoutError, match="packed is damaged"):
        open_source(put(PACK[kind](bytes(broken)))).names()


def test_a_wrong_checksum_of_a_gzip(put) -> None:
    packed = bytearray(gzip.compress(tar()))
    packed[-8] ^= 1
    with pytest.raises(DatasetLayoutError, match=r"packed is damaged \(CRC check failed"):
        open_source(put(bytes(packed))).names()


@pytest.mark.parametrize("kind", [".gz", ".bz2", ".xz"])
def test_a_compressed_tar_damaged_anywhere(put, kind: str) -> None:
    whole = PACK[kind](tar())
    expected = {name: content(name) for name in NAMES}
    for place in range(0, len(whole), 7):
        broken = bytearray(whole)
        broken[place] ^= 0x55
        try:
            assert read_all(put(bytes(broken))) == expected, place
        except DatasetLayoutError as error:
            assert "\n" not in str(error)  # noqa: PT017 - either is right


def test_two_tars_joined(put) -> None:
    with pytest.raises(DatasetLayoutError, match="more files follow its end marker"):
        open_source(put(tar() + tar())).names()


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.type = kind
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    block[124:136] = b"\x80" + size.to_bytes(11, "big") if size >= 0 else (size % 2**96).to_bytes(12, "big")
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@pytest.mark.parametrize("size", [-512, -1024, 2**40, 2**62, 2**80])
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_sizes_that_lie(put, size: int, kind: bytes) -> None:
    with pytest.raises(DatasetLayoutError, match="packed is damaged"):
        read_all(put(tar(end=False) + header("x.jpg", size, kind) + bytes(4096)))


def test_a_sparse_file_is_refused(put) -> None:
    block = bytearray(header("x.jpg", 0, tarfile.GNUTYPE_SPARSE))
    block[483:495] = b"%011o\0" % 2**30
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    path = put(bytes(block) + bytes(1024))
    start = time.process_time()
    with pytest.raises(DatasetLayoutError, match=r"x\.jpg.* (unpacks to 1,073,741,824 bytes|is packed as a sparse)"):
        read_all(path)
    assert time.process_time() - start < 1


def test_a_tar_that_unpacks_without_end(put, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_UNPACKED", 2**20)
    whole = tar(end=False) + header("x.jpg", 2**24) + bytes(2**24 + 1024)
    with pytest.raises(DatasetLayoutError, match="and unpack to more than 3,"):
        open_source(put(gzip.compress(whole))).names()
    assert len(open_source(put(whole)).names()) == 4


def test_a_tar_of_more_files_than_it_can_hold(put, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_EMPTY", 100)
    whole = b"".join(header("x.jpg", 0) for _ in range(500)) + bytes(1024)
    with pytest.raises(DatasetLayoutError, match="bytes hold more than "):
        open_source(put(gzip.compress(whole))).names()
    assert open_source(put(whole)).names() == ("x.jpg",)


def test_large_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_BYTES", 1000)
    tree = tmp_path / "tree"
    tree.mkdir()
    for name, size in (("a.jpg", 1000), ("b.jpg", 1001)):
        (tree / name).write_bytes(bytes(size))
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for file in tree.iterdir():
            packed.write(file, file.name)
    with tarfile.open(tmp_path / "a.tar", "w") as tarred:
        tarred.add(tree, ".")
    for place in (tree, tmp_path / "a.zip", tmp_path / "a.tar"):
        source = open_source(place)
        assert source.read("a.jpg") == bytes(1000)
        with pytest.raises(DatasetLayoutError, match=r"b\.jpg.* 1,001 bytes, expected at most 1,000"):
            source.read("b.jpg")


def zipped(level: int, name: str = "a.jpg") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", level) as packed:
        packed.writestr(name, np.random.default_rng(0).integers(0, 8, 3000, np.uint8).tobytes())
    return file.getvalue()


@pytest.mark.parametrize("level", LEVELS)
def test_a_zip_damaged_anywhere(put, level: int) -> None:
    whole = zipped(level)
    expected = read_all(put(whole))
    generator = np.random.default_rng(level)
    for place in [*range(0, len(whole), 41), *range(len(whole) - 75, len(whole)), *range(40)]:
        broken = bytearray(whole)
        broken[place] ^= int(generator.integers(1, 256))
        try:
            found = read_all(put(bytes(broken)))
            assert list(found.values()) in (list(expected.values()), []), place  # the name may be another
        except DatasetLayoutError as error:
            assert "\n" not in str(error)  # noqa: PT017 - either is right


@pytest.mark.parametrize("size", [0, 1, 2999, 3001, 2**31])
@pytest.mark.parametrize("level", LEVELS)
def test_a_zip_whose_sizes_lie(put, level: int, size: int) -> None:
    whole = bytearray(zipped(level))
    directory = whole.index(b"PK\x01\x02")
    whole[directory + 24 : directory + 28] = struct.pack("<I", size)
    with pytest.raises(DatasetLayoutError, match=r"'a\.jpg' (is damaged|unpacks to 2,147,483,648 bytes)"):
        read_all(put(bytes(whole)))


def test_a_pipe_is_no_archive(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DatasetLayoutError, match="neither a directory nor a zip or tar"):
        open_source(tmp_path / "pipe")
    with pytest.raises(DatasetLayoutError, match="a pipe or a device"):
        open_source(tmp_path).read("pipe")


def test_many_extended_headers_in_a_row(put) -> None:
    whole = b"".join(header("x", 0, tarfile.XHDTYPE) for _ in range(3000)) + tar()
    with pytest.raises(DatasetLayoutError, match="packed is damaged"):
        open_source(put(whole)).names()


@pytest.mark.parametrize("level", LEVELS[1:])
def test_a_small_size_that_lies_unpacks_little(put, level: int) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", level) as packed:
        packed.writestr("a.jpg", bytes(50_000_000))
    whole = bytearray(file.getvalue())
    directory = whole.index(b"PK\x01\x02")
    whole[directory + 24 : directory + 28] = struct.pack("<I", 1000)
    source = open_source(put(bytes(whole)))
    tracemalloc.start()
    with pytest.raises(DatasetLayoutError, match=r"'a\.jpg' is damaged"):
        source.read("a.jpg")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40_000_000
