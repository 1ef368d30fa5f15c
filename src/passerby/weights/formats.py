"""What a file that is no checkpoint is, told by its first bytes: its name says little."""

from __future__ import annotations

import zipfile
from pathlib import Path

_UNPACK = "unpack it, and give the file inside"
_CONVERT = "export its weights as .safetensors with the program that made it"
_AGAIN = "fetch the checkpoint itself again; a browser may have to confirm the download"
_STARTS: tuple[tuple[bytes, str, str], ...] = (
    (b"version https://git-lfs", "a Git LFS pointer, which stands for the file", "fetch the file with `git lfs pull`"),
    (b"\x1f\x8b", "compressed by gzip", _UNPACK),
    (b"BZh", "compressed by bzip2", _UNPACK),
    (b"\xfd7zXZ\x00", "compressed by xz", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "compressed by Zstandard", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"Rar!", "a RAR archive", _UNPACK),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras)", _CONVERT),
    (b"\x93NUMPY", "a NumPy array", "save a state_dict of PyTorch"),
    (b"GGUF", "a GGUF file", _CONVERT),
    (b"%PDF", "a PDF document", _AGAIN),
)
_PEEK = 1024
TORCHSCRIPT = "a TorchScript program"


def is_safetensors(path: Path) -> bool:
    """Return whether the content is that of a safetensors file, whatever its name: a length, then a JSON object."""
    with path.open("rb") as file:
        start = file.read(9)
    length = int.from_bytes(start[:8], "little")
    return start[8:] == b"{" and 2 <= length <= path.stat().st_size - 8


def foreign_format(path: Path) -> tuple[str, str] | None:
    """Return what a file is that holds no weights this package reads, and what to do; ``None`` for any other file."""
    with path.open("rb") as file:
        start = file.read(_PEEK)
    if not start:
        return "empty", _AGAIN
    if known := next(((what, fix) for begin, what, fix in _STARTS if start.startswith(begin)), None):
        return known
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(b"<"):
        is_page = text.startswith((b"<!doctype", b"<html", b"<head", b"<!--"))
        return ("a web page (HTML)" if is_page else "an XML document"), _AGAIN
    if start[4:8] == b"TFL3":
        return "a TensorFlow Lite model", _CONVERT
    if start[257:262] == b"ustar":
        return "a tar archive", _UNPACK
    if is_onnx(start):
        return "an ONNX model", "give the PyTorch checkpoint that it was exported from"
    return _zip_format(path) if start.startswith(b"PK") else _text_format(start)


def is_onnx_file(path: Path) -> bool:
    """Return whether the content is that of an ONNX file, whatever its name."""
    with path.open("rb") as file:
        return is_onnx(file.read(4))


def is_onnx(start: bytes) -> bool:
    """Return whether the bytes begin an ONNX ModelProto: its version (field 1), then its producer or graph."""
    return len(start) > 3 and start[0] == 0x08 and 1 <= start[1] <= 0x20 and start[2] in (0x12, 0x1A, 0x22, 0x3A, 0x42)


def _zip_format(path: Path) -> tuple[str, str] | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, UnicodeError):
        return "a zip archive that is cut short or damaged", "fetch it again"
    ends = {name.rpartition("/")[2] for name in names}
    if "constants.pkl" in ends:
        return TORCHSCRIPT, "load it with torch.jit.load, and save its state_dict() alone"
    if "data.pkl" in ends:
        return None  # PyTorch's own
    if names and all(name.endswith(".npy") for name in names):
        return "a NumPy archive (.npz)", "save a state_dict of PyTorch"
    inside = ", ".join(names[:3]) or "nothing"
    return f"a zip archive that holds {inside}{', …' if len(names) > 3 else ''}", _UNPACK


def _text_format(start: bytes) -> tuple[str, str] | None:
    """Return that it is text if it is: a pickle of before 1996 would be, and no checkpoint is so old."""
    try:
        start.decode("ascii")
    except UnicodeDecodeError:
        return None
    printable = all(byte >= 0x20 or byte in b"\t\r\n\f" for byte in start)
    return ("a text file", _AGAIN) if printable else None
