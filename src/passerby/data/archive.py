"""Open archives so that what is damaged, cut short or out of all proportion is an error, never part of the files.

A tar has no directory: Python's :mod:`tarfile` takes a damaged header, or the place where a download broke off, for the
end. Here the end marker must be there, and a compressed tar is read to its end, where its checksum stands.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import IO, Any, Literal, cast

from passerby.errors import DatasetLayoutError

MAX_BYTES = 512 * 2**20
"""The largest file that is read, 512 MiB: 64 megapixels of 16 bits and 4 channels."""
MAX_UNPACKED = 2**30
"""The bytes that any compressed tar may unpack to; a larger one to ``MAX_RATIO`` times its own size."""
MAX_RATIO = 200
MAX_HEADER = 2**20
"""The longest header of a tar's member, with all its extended headers."""
MAX_EMPTY = 100_000
"""The members that any tar may have; one of more must have :data:`_LEAST` bytes for each."""
_LEAST = 40
DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    LookupError,
    ArithmeticError,
    MemoryError,
    RuntimeError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
)
"""The errors by which Python's readers of archives fail on damaged ones."""
_COMPRESSED: dict[bytes, Any] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
    b"\x5d\0\0": lzma.open,
}
"""The readers of compressed files, by their first bytes."""
_BLOCK = tarfile.BLOCKSIZE
_CHUNK = 2**20
"""The bytes that are unpacked at once: all at once, zipfile would not stop at a file's size."""


def read_file(path: Path) -> bytes:
    """Return the content of a regular file of at most :data:`MAX_BYTES`.

    Raises:
        OSError: if it cannot be opened.
        DatasetLayoutError: if it is no regular file, or larger.
    """
    if not path.is_file():
        kind = "a directory" if stat.S_ISDIR(path.stat().st_mode) else "a pipe or a device"
        raise DatasetLayoutError(f"'{path}' is {kind}, expected a file. Fix: give a file")
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise DatasetLayoutError(
            f"'{path}' holds {path.stat().st_size:,} bytes, expected at most {MAX_BYTES:,}. Fix: remove or shrink it"
        )
    return content


@contextmanager
def explain_damage(what: str) -> Iterator[None]:
    """Turn the errors of an archive's reader into one that names what is damaged.

    Raises:
        DatasetLayoutError: in place of an error of the archive's reader.
    """
    try:
        yield
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno and error.strerror:
            raise DatasetLayoutError(
                f"{what} cannot be read ({error.strerror}). Fix: check its permissions and its disk"
            ) from None
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DatasetLayoutError(f"{what} is damaged ({reason}). Fix: fetch it again") from None


def open_zip(path: Path) -> zipfile.ZipFile:
    """Open a zip.

    Raises:
        DatasetLayoutError: if its directory is damaged.
    """
    with explain_damage(str(path)):
        return zipfile.ZipFile(path)


def read_zipped(archive: zipfile.ZipFile, member: zipfile.ZipInfo, what: str) -> bytes:
    """Return one file of a zip.

    Raises:
        DatasetLayoutError: if it is damaged, encrypted, or larger than :data:`MAX_BYTES`.
    """
    _check_size(what, max(member.file_size, member.compress_size))
    with explain_damage(what):
        try:
            content = _unpacked(archive, member) if member.compress_type in _UNPACKERS else archive.read(member)
        except RuntimeError as error:  # encrypted, or packed in a way that this Python cannot unpack
            raise DatasetLayoutError(f"{what} cannot be unpacked ({error}). Fix: pack it anew") from None
        _check_length(content, member.file_size)
        return content


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Return one file, unpacked no further than its size: zipfile unpacks all that there is, to gigabytes."""
    packed = copy(member)
    packed.compress_type, packed.file_size = zipfile.ZIP_STORED, member.compress_size
    del packed.CRC  # that of the unpacked file
    with archive.open(packed) as file:
        content = _UNPACKERS[member.compress_type](file.read(), member.file_size + 1)
    if zlib.crc32(content) != member.CRC:
        raise zipfile.BadZipFile("bad CRC-32")
    return content


def _unpack_lzma(packed: bytes, most: int) -> bytes:
    """Unpack LZMA as zips hold it: version, length of the properties (5), properties, data."""
    if packed[2:4] != b"\5\0":
        raise zipfile.BadZipFile("bad LZMA properties")
    digits, dictionary = struct.unpack_from("<BI", packed, 4)
    code = {"lc": digits % 9, "lp": digits // 9 % 5, "pb": digits // 45, "dict_size": dictionary}
    unpacker = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA1, **code}])
    return unpacker.decompress(packed[9:], most)


_UNPACKERS: dict[int, Callable[[bytes, int], bytes]] = {
    zipfile.ZIP_DEFLATED: lambda packed, most: zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, most),
    zipfile.ZIP_BZIP2: lambda packed, most: bz2.BZ2Decompressor().decompress(packed, most),
    zipfile.ZIP_LZMA: _unpack_lzma,
}
"""The functions that unpack a file of a zip, at most so many bytes, by its method."""


def read_tarred(archive: tarfile.TarFile, member: tarfile.TarInfo, what: str) -> bytes:
    """Return one file of a tar.

    Raises:
        DatasetLayoutError: if it is damaged, sparse, or larger than :data:`MAX_BYTES`.
    """
    _check_size(what, member.size)
    if member.sparse is not None:  # its map may lead tarfile round in circles
        raise DatasetLayoutError(f"{what} is packed as a sparse file. Fix: pack it anew without --sparse")
    with explain_damage(what):
        file = archive.extractfile(member)
        content = b"" if file is None else file.read()
        _check_length(content, member.size)
        return content


def _check_length(content: bytes, size: int) -> None:
    if len(content) != size:
        raise EOFError(f"{len(content):,} of {size:,} bytes")


def _check_size(what: str, size: int) -> None:
    if size > MAX_BYTES:
        raise DatasetLayoutError(
            f"{what} unpacks to {size:,} bytes, expected at most {MAX_BYTES:,}. Fix: remove or shrink it"
        )


def archive_kind(path: Path) -> Literal["zip", "tar"] | None:
    """Return the kind of archive that a file is by its content; any compressed file may be a tar."""
    if not path.is_file():  # a pipe would wait for its writer
        return None
    if zipfile.is_zipfile(path):
        return "zip"
    try:
        with path.open("rb") as file:
            start = file.read(_BLOCK)
    except OSError:
        return None
    return "tar" if _reader(start) is not None or _is_header(start) else None


def what_else(path: Path) -> str:
    """Return what a path is that is no archive: a zip that is cut off lacks the list at its end."""
    start = b""
    if path.is_file():
        try:
            with path.open("rb") as file:
                start = file.read(4)
        except OSError as error:
            return f"unreadable ({error.strerror})"
    if start == b"PK\3\4":
        return "a zip without its end: it is damaged or incomplete"
    return "neither a directory nor a zip or tar archive"


def _reader(start: bytes) -> Any:
    return next((reader for magic, reader in _COMPRESSED.items() if start.startswith(magic)), None)


def _is_header(block: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.TarError, ValueError, LookupError):
        return False
    return True


class Tar(tarfile.TarFile):
    """A tar whose end has been seen; it closes its file."""

    def close(self) -> None:
        """Close the archive and its file."""
        super().close()
        if self.fileobj is not None:
            self.fileobj.close()


def open_tar(path: Path) -> Tar:
    """Open a tar, compressed or not, and read its headers and its end.

    Raises:
        DatasetLayoutError: if it is no tar, is damaged or cut short, or is larger than its own size allows.
    """
    with explain_damage(str(path)):
        file = path.open("rb")
        try:
            reader = _reader(file.read(_BLOCK))
            file.seek(0)
            bounded = _Bounded(file, reader)
            archive = Tar(str(path), "r", cast("IO[bytes]", bounded), encoding="utf-8", errors="surrogateescape")
            _read_headers(archive, bounded)
            _check_end(archive, bounded)
        except BaseException:
            file.close()
            raise
        bounded.most = MAX_BYTES + _BLOCK
        return archive


class _Bounded:
    """The file of a tar, unpacked; reading more at once, or more in all, than its budgets allow is an error."""

    def __init__(self, file: IO[bytes], reader: Any) -> None:
        self.size = os.fstat(file.fileno()).st_size
        self._file, self._stream = file, file if reader is None else reader(file)
        self._limit = self.size if reader is None else max(MAX_UNPACKED, MAX_RATIO * self.size)
        self.most = MAX_HEADER

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= self.most:
            raise tarfile.ReadError(f"a block of {size:,} bytes, expected at most {self.most:,}")
        content: bytes = self._stream.read(size)
        self._check(self._stream.tell())
        return content

    def seek(self, place: int) -> int:
        self._check(place)
        return int(self._stream.seek(place))

    def tell(self) -> int:
        return int(self._stream.tell())

    @property
    def closed(self) -> bool:
        return self._file.closed

    def close(self) -> None:
        self._stream.close()
        self._file.close()

    def _check(self, place: int) -> None:
        if place > self._limit:
            unpacks = f" and unpack to more than {self._limit:,}" if self._limit > self.size else ""
            raise tarfile.ReadError(f"byte {place:,} is beyond the end: there are {self.size:,} bytes{unpacks}")


def _read_headers(archive: Tar, file: _Bounded) -> None:
    """Read all headers; each must lie behind the one before it, and there are no more than the file can hold."""
    place, count = -1, 0
    while archive.next() is not None:
        count += 1
        if archive.offset <= place:
            raise tarfile.ReadError(f"the header at byte {place:,} leads back")
        if count > MAX_EMPTY and count * _LEAST > file.size:
            raise tarfile.ReadError(f"its {file.size:,} bytes hold more than {count:,} files")
        place = archive.offset


def _check_end(archive: Tar, file: _Bounded) -> None:
    """Check that the headers end with the end marker, and that nothing follows; that reads the checksum, too."""
    file.seek(archive.offset)
    end = file.read(_BLOCK)
    if len(end) < _BLOCK:
        raise EOFError(f"it ends at byte {archive.offset + len(end):,} without an end marker: part of it is missing")
    if any(end):
        raise tarfile.ReadError(f"the header at byte {archive.offset:,}")
    while rest := file.read(MAX_HEADER):
        for start in range(0, len(rest) if any(rest) else 0, _BLOCK):
            if _is_header(rest[start : start + _BLOCK]):
                raise tarfile.ReadError("more files follow its end marker, as if two tars were joined")
