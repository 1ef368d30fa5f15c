"""Read the tensors of a checkpoint file, whatever wraps them; a file that is something else is named.

Sources are safetensors files, PyTorch files (``weights_only=True``: no code in them is run), run folders and, only when
written as ``hf:owner/name[/file]``, the Hugging Face hub. ``SOURCE#NAME`` is one of several networks in a file.
"""

from __future__ import annotations

import argparse
import hashlib
import pathlib
import pickle
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from passerby.errors import WeightsError, first_line
from passerby.weights.find import find_file
from passerby.weights.formats import foreign_format, is_safetensors

State = dict[str, Tensor]
COUNTER = "num_batches_tracked"
"""The end of the names of batch normalization's counters, which are no weights."""
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_INTEGERS = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
_WRITTEN_BY_WRAPPERS = ("module.", "_orig_mod.")
"""The prefixes of DataParallel and torch.compile, which no model has of its own."""
_DEPTH = 4
"""The number of dictionaries inside each other that are looked through."""
_NO_NETWORK = re.compile(r"optim|sched|scaler|^param_groups$", re.IGNORECASE)
_RIVAL = 0.5
"""The share of the largest network's tensors from which another one in the file could have been meant as well."""


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of one network in a file."""

    path: Path
    state: State
    part: str
    """The name of the network in the file, where :func:`read_checkpoint` was asked for one; else empty."""


def read_state(source: str | Path) -> State:
    """Return the tensors of a checkpoint file, of a run folder, or of ``hf:owner/name[/file]``.

    Raises:
        WeightsError: if it does not exist, is not a checkpoint (the message says what it is), holds several networks,
            or has values that are not finite.
    """
    return read_checkpoint(source).state


def read_checkpoint(source: str | Path) -> Checkpoint:
    """Return what :func:`read_state` does, with the file that was read."""
    path, part = find_file(source)
    content, rest = _part(_read(path), part)
    state = {str(key): value for key, value in _network(path, content).items() if isinstance(value, Tensor)}
    for prefix in _WRITTEN_BY_WRAPPERS * 2:
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    check_none(path, [k for k, v in state.items() if not _is_plain(v)], "are sparse, quantized, complex or empty")
    wrong = {k for k, v in state.items() if not v.isfinite().all()}
    counters = {k for k in wrong if k.endswith(COUNTER)}  # of batches, which float16 cannot count; no weights
    state = {k: v for k, v in state.items() if k not in counters}
    check_none(path, sorted(wrong - counters), "hold NaN or infinity")
    return Checkpoint(path, state, rest)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file as hex digits; one that has not changed is read once."""
    about = path.stat()
    return _sha256(path, about.st_size, about.st_mtime_ns)


@lru_cache(maxsize=8)
def _sha256(path: Path, size: int, changed: int) -> str:  # noqa: ARG001 - part of the cache key
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def check_none(source: str | Path, keys: list[str], fault: str) -> None:
    """Check that no tensor has the ``fault``.

    Raises:
        WeightsError: if some have.
    """
    if keys:
        raise WeightsError(f"'{source}': {len(keys)} tensors {fault} ({', '.join(keys[:3])}). Fix: do not use it")


def _is_plain(value: Tensor) -> bool:
    return value.layout is torch.strided and not value.is_meta and value.dtype in (*_FLOATS, *_INTEGERS)


def _read(path: Path) -> object:
    try:
        if is_safetensors(path):
            return load_file(path)
        if (found := foreign_format(path)) is not None:
            what, fix = found
            raise WeightsError(f"'{path}' is not a readable checkpoint: it is {what}. Fix: {fix}")
        with path.open("rb") as file, torch.serialization.safe_globals(_safe_globals()), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old protocols, for example: what matters becomes an error
            return torch.load(file, map_location="cpu", weights_only=True)  # of a path it would judge by the name
    except WeightsError:
        raise
    except pickle.UnpicklingError as error:
        raise WeightsError(_unpickled(path, str(error))) from None
    except Exception as error:  # noqa: BLE001 - arbitrary bytes can break the reader anywhere, in any way
        raise WeightsError(
            f"'{path}' is not a readable checkpoint ({first_line(error)}). Fix: give a whole .safetensors or .pth file"
        ) from None


def _unpickled(path: Path, error: str) -> str:
    """Return the message for a pickle that holds something else than tensors and numbers."""
    found = re.search(r"GLOBAL ([\w.]+)|(?:class|type|function) '?([\w.]+)'?", error)
    name = (found[1] or found[2]) if found else ""
    held = f"it holds an object of {name}, whose code would have to be run" if "." in name else "it cannot be unpickled"
    return (
        f"'{path}' is not a PyTorch file of plain tensors: {held}. Fix: where you trust the file, load it in the "
        "program that wrote it, and save its state_dict() alone"
    )


@lru_cache(maxsize=1)
def _safe_globals() -> list[Any]:
    """Return what pickles may construct beside tensors: numbers and arrays of NumPy, options, dates and paths.

    None of these runs code of the file. Trainers store them beside the weights (torchreid its rank-1).
    """
    from numpy._core import multiarray

    made: tuple[Any, ...] = (multiarray.scalar, multiarray._reconstruct)
    named = [(it, f"numpy.{core}.multiarray.{it.__name__}") for it in made for core in ("core", "_core")]
    numbers = [type(np.dtype(kind)) for kind in "?bBhHiIlLqQefd"]
    paths = [(getattr(pathlib, f"Pure{of}Path"), f"pathlib.{of}Path") for of in ("Posix", "Windows")]
    plain = (argparse.Namespace, datetime, date, timedelta, timezone)
    return [*named, np.dtype, np.ndarray, *dict.fromkeys(numbers), *plain, *paths]


def _part(content: object, part: str) -> tuple[object, str]:
    """Return what a file holds under the name ``part``; a name that is not a key may be a prefix of tensors' names."""
    while part and isinstance(content, Mapping):
        name = next((n for n in _beginnings(part) if isinstance(content.get(n), Mapping)), None)
        if name is None:
            break
        content, part = content[name], part[len(name) + 1 :]
    return content, part


def _beginnings(part: str) -> Iterator[str]:
    """Yield ``a.b``, then ``a``, of ``a.b``."""
    while part:
        yield part
        part = part.rpartition(".")[0]


def _network(path: Path, content: object) -> Mapping[Any, Any]:
    """Return the dictionary of tensors in what was read: the content itself, or one inside it."""
    if not isinstance(content, Mapping):
        raise WeightsError(f"'{path}' holds {type(content).__name__}, not named tensors. Fix: save a state_dict()")
    if "param_groups" in content and "state" in content:
        raise WeightsError(f"'{path}' holds the state of an optimizer, not of a network. Fix: give the network's file")
    found = sorted(_networks(content, ()), key=lambda each: -each[2])
    if not found:
        keys = ", ".join(map(str, list(content)[:5])) or "nothing"
        raise WeightsError(
            f"'{path}' holds {type(content).__name__}, not named tensors ({keys}). Fix: save its weights"
        )
    rivals = [".".join(where) for where, _, size in found if size >= _RIVAL * found[0][2]]
    if len(rivals) > 1:
        raise WeightsError(
            f"'{path}' holds several networks: {', '.join(rivals)}. Fix: name one of them, {path.name}#{rivals[0]}"
        )
    return found[0][1]


def _networks(
    content: Mapping[Any, Any], where: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Mapping[Any, Any], int]]:
    """Yield the dictionaries that hold tensors, with their names and numbers of tensors."""
    size = sum(isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items())
    if size:
        yield where, content, size
    for key, value in content.items() if len(where) < _DEPTH else ():
        if isinstance(key, str) and isinstance(value, Mapping) and not _NO_NETWORK.search(key):
            yield from _networks(value, (*where, key))
