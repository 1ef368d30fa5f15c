"""The bytes of ONNX files that passerby exported: what they say about themselves, and whether they are whole.

A file is a sequence of fields (Protocol Buffers): a number, a length and so many bytes. One of them, metadata, holds
texts by name; under :data:`KEY` stands a JSON document that describes the model. It has the SHA-256 of all other
fields, so that a file whose weights were damaged or replaced is not taken for the model that it was.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from passerby.errors import ConfigError, WeightsError, first_line

KEY = "passerby"
"""The name, in the metadata of the file, of the text that describes the model."""
CONTENT = "content"
"""The entry of the description with the SHA-256 of the rest of the file."""
_METADATA = 14
"""The number of the field of a ModelProto that holds a name and a text."""
_MAX_ABOUT = 64 << 20
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_AGAIN = "export the run again, or copy the file again"


@dataclass(frozen=True)
class OnnxFile:
    """An ONNX file of passerby, read and checked."""

    path: Path
    content: bytes
    """The whole file."""
    about: dict[str, Any]
    """The description of the model."""


def import_package(name: str) -> Any:
    """Import a package of the extra ``onnx``.

    Raises:
        ConfigError: if it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(
            f"ONNX files need the package {name.partition('.')[0]}, which cannot be imported ({first_line(error)}). "
            "Fix: pip install 'passerby[onnx]'"
        ) from None


def read_onnx(path: Path) -> OnnxFile:
    """Read an ONNX file that ``passerby export`` wrote.

    Raises:
        WeightsError: if it was not exported by passerby, is cut short or damaged, or keeps weights in other files.
        ConfigError: if the package onnx is not installed.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"'{path}' cannot be read ({error.strerror or error}). Fix: make it readable") from None
    try:
        texts = _descriptions(content)
    except ValueError as error:
        raise _damaged(path, str(error)) from None
    if not texts:
        raise WeightsError(
            f"'{path}' was not exported by passerby: it does not describe its model. "
            "Fix: passerby export RUN -o FILE.onnx"
        )
    about = _parsed(path, texts[-1])
    if about.get(CONTENT) != content_digest(content):
        raise _damaged(path, "its content is not what was exported")
    _check_no_external_data(path, content)
    return OnnxFile(path, content, about)


def with_description(content: bytes, about: dict[str, Any]) -> bytes:
    """Return an ONNX file with a description: ``about``, and the digest of its content."""
    text = json.dumps({**about, CONTENT: content_digest(content)})
    entry = _field(1, KEY.encode()) + _field(2, text.encode())
    return content + _field(_METADATA, entry)


def content_digest(content: bytes) -> str:
    """Return the SHA-256, in hex digits, of all fields of a file but its metadata.

    Raises:
        ValueError: if the bytes are not a sequence of fields.
    """
    found = hashlib.sha256()
    for number, start, _, end in _fields(content):
        if number != _METADATA:
            found.update(content[start:end])
    return found.hexdigest()


def _parsed(path: Path, text: bytes) -> dict[str, Any]:
    try:
        about = json.loads(text)
    except (ValueError, RecursionError):
        raise _damaged(path, "its description is not JSON") from None
    if not isinstance(about, dict):
        raise _damaged(path, f"its description is {type(about).__name__}, expected named values")
    return about


def _damaged(path: Path, why: str) -> WeightsError:
    return WeightsError(f"'{path}' is cut short or damaged ({why}). Fix: {_AGAIN}")


def _descriptions(content: bytes) -> list[bytes]:
    """Return the texts that stand under :data:`KEY` in the metadata."""
    found = []
    for number, _, body, end in _fields(content):
        if number == _METADATA and end - body <= _MAX_ABOUT:
            entry = content[body:end]
            texts = {field: entry[first:last] for field, _, first, last in _fields(entry)}
            if texts.get(1) == KEY.encode():
                found.append(texts.get(2, b""))
    return found


def _field(number: int, body: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(body)) + body


def _varint(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*written, value])


def _fields(content: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yield each field's number, start, start of its value, and end.

    Raises:
        ValueError: if the bytes are not a sequence of fields.
    """
    place = 0
    while place < len(content):
        start = place
        tag, place = _read_varint(content, place)
        number, kind = tag >> 3, tag & 7
        body = place
        if kind == _VARINT:
            _, place = _read_varint(content, place)
        elif kind == _BYTES:
            length, body = _read_varint(content, place)
            place = body + length
        elif kind in (_FIXED64, _FIXED32):
            place += 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"a field of kind {kind} at byte {start:,}")
        if place > len(content):
            raise ValueError(f"it ends at byte {len(content):,}, within a field that would end at {place:,}")
        yield number, start, body, place


def _read_varint(content: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        if place >= len(content):
            raise ValueError(f"it ends at byte {len(content):,}, within a number")
        byte = content[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError(f"a number of more than 64 bits at byte {place:,}")


def _check_no_external_data(path: Path, content: bytes) -> None:
    onnx = import_package("onnx")
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # noqa: BLE001 - protobuf's own, which differ between its versions
        raise _damaged(path, first_line(error)) from None
    if outside := [tensor.name for tensor in _tensors(model) if _is_outside(onnx, tensor)]:
        raise WeightsError(
            f"'{path}' keeps weights in other files ({', '.join(outside[:3])}), which are not read. "
            "Fix: export the run again, which writes one file"
        )


def _is_outside(onnx: Any, tensor: Any) -> bool:
    return tensor.data_location == onnx.TensorProto.EXTERNAL or len(tensor.external_data) > 0


def _tensors(model: Any) -> Iterator[Any]:
    """Yield the tensors of a model: weights and constants, at any depth."""
    waiting = [model.graph]
    nodes = [node for function in model.functions for node in function.node]
    while waiting or nodes:
        while waiting:
            graph = waiting.pop()
            yield from graph.initializer
            for sparse in graph.sparse_initializer:
                yield from (sparse.values, sparse.indices)
            nodes += graph.node
        for attribute in _attributes(nodes):
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            waiting += [attribute.g, *attribute.graphs]
        nodes = []


def _attributes(nodes: Iterable[Any]) -> Iterator[Any]:
    for node in nodes:
        yield from node.attribute
