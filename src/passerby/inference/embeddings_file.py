"""Embeddings on disk: one Parquet file, one row an image, readable by anything that reads Parquet.

Columns ``path`` (string), ``pid``, ``camid``, ``role`` (integers, null where nobody knows), ``embedding``
(fixed-size list of float32) and, where there are any, ``local`` (stripes × channels) and ``attributes``: probabilities
of all values of the groups, one group after the other. What made them, and the names of these groups and values, is
JSON under ``passerby`` in the schema's metadata. Files are whole or absent, and their pages carry checksums.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from passerby.compat import current_attribute, current_settings
from passerby.data.keypoints.origin import KeypointOrigin
from passerby.errors import ConfigError, DatasetLayoutError, WeightsError
from passerby.files import atomic_write
from passerby.types import Embeddings, Protocol

FORMAT = 4
"""1 did not record ``flip_tta`` and ``normalize`` and meant their defaults; 2 did not record ``keypoints``; 3 named
``flip_tta`` and ``keypoints`` differently."""
_KEY = b"passerby"
_OPTIONS = ("flip_tta", "normalize")
_FEATURES = ("local", "attributes")
"""Columns of numbers that a model may have or not, beside ``embedding``."""
_LABELS = {"pid": "pids", "camid": "camids", "role": "roles"}


Groups: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]
"""Names of attributes and of their values."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What embeddings were made of and by."""

    fingerprint: str
    """Of the model (see :class:`~passerby.inference.model.Model`): others are not comparable."""
    model: str
    size: tuple[int, int]
    """(height, width) of the model's pictures."""
    root: str
    """Directory or archive that the paths are relative to."""
    attributes: Groups = ()
    """That the probabilities are of, in their order; empty where there are none."""
    flip_tta: bool = False
    """Whether each embedding is the mean of a picture's and its mirror image's."""
    normalize: bool = True
    """Whether embeddings are to be compared at length 1; they are kept as the model made them."""
    keypoints: KeypointOrigin | None = None
    """Whose joints cut the pictures; ``None`` where none did, or an older file does not say."""


@dataclass(frozen=True, slots=True)
class StoredEmbeddings:
    """What a file holds."""

    embeddings: Embeddings
    origin: Origin


def write_embeddings(path: str | Path, embeddings: Embeddings, origin: Origin) -> None:
    """Write embeddings as float32, whole or not at all; a file that is there already is replaced.

    Raises:
        WeightsError: if an embedding is not finite, which only a broken model makes.
        OutputError: if the file cannot be written.
    """
    numbers = {"embedding": embeddings.embedding, "local": embeddings.local, "attributes": embeddings.attributes}
    for name, rows in numbers.items():
        if rows is not None and not torch.isfinite(rows).all():
            bad = embeddings.paths[int((~torch.isfinite(rows)).flatten(1).any(1).nonzero()[0])]
            raise WeightsError(f"{name} of {bad} has NaN or infinite values: the model {origin.model} is broken")
    metadata = {_KEY: json.dumps({"format": FORMAT, **asdict(origin)}).encode()}
    table = _table(embeddings).replace_schema_metadata(metadata)
    with atomic_write(path) as partial:
        pq.write_table(table, partial, compression="zstd", use_dictionary=list(_LABELS), write_page_checksum=True)


def read_embeddings(path: str | Path) -> StoredEmbeddings:
    """Read what :func:`write_embeddings` wrote.

    Raises:
        DatasetLayoutError: if the file is not there, is damaged, or holds something else.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise DatasetLayoutError(
            f"{file} is not a file of embeddings; make one with: passerby embed RUN FOLDER -o {file}"
        )
    try:
        with pq.ParquetFile(file, page_checksum_verification=True) as parquet:
            table = parquet.read()
    except (pa.ArrowException, OSError) as error:
        raise DatasetLayoutError(f"{file} is not a whole Parquet file ({error}); embed the pictures again") from None
    origin = _origin(file, table.schema)
    _check_columns(file, table)
    _check_groups(file, table, origin.attributes)
    embeddings = _embeddings(table)
    _check_rows(file, embeddings)
    return StoredEmbeddings(embeddings, origin)


def _check_rows(file: Path, embeddings: Embeddings) -> None:
    """Each picture once; people by numbers from 0, or −1 for junk."""
    again = [path for path, times in Counter(embeddings.paths).items() if times > 1]
    if again:
        raise DatasetLayoutError(
            f"{file} holds {len(again)} pictures twice, {again[0]} for one: a search would find them twice; embed the "
            "pictures again"
        )
    if embeddings.pids is not None and int(embeddings.pids.min()) < -1:
        raise DatasetLayoutError(
            f"{file} numbers a person {int(embeddings.pids.min())}: people count from 0, and -1 is junk; embed the "
            "pictures again"
        )


def check_same_options(path: str | Path, origin: Origin, how: Protocol) -> None:
    """Embeddings of other options cannot be compared with those that are made as ``how`` says.

    Raises:
        ConfigError: if the file was made with any.
    """
    made = {"flip_tta": origin.flip_tta, "normalize": origin.normalize}
    differ = {name: on for name, on in made.items() if on != getattr(how, name)}
    if differ:
        theirs, ours = _as_options(differ), _as_options({name: not on for name, on in differ.items()})
        keywords = ", ".join(f"{name}={on}" for name, on in differ.items())
        raise ConfigError(
            f"{path} was embedded with {theirs} and this search is with {ours}, so distances would mean nothing; "
            f"search with {theirs} (in Python: passerby.load(RUN, {keywords})), or embed again as this search is: "
            f"passerby embed RUN {origin.root} -o {path} {ours} --overwrite"
        )


def _as_options(values: dict[str, bool]) -> str:
    """As they are typed: ``--flip-tta --no-normalize``."""
    return " ".join(f"--{name if on else f'no-{name}'}".replace("_", "-") for name, on in values.items())


def _table(embeddings: Embeddings) -> pa.Table:
    columns = {"path": pa.array(embeddings.paths, pa.string())}
    for column, field in _LABELS.items():
        labels: Tensor | None = getattr(embeddings, field)
        columns[column] = (
            pa.nulls(len(embeddings), pa.int64()) if labels is None else pa.array(labels.to("cpu", torch.int64).numpy())
        )
    columns["embedding"] = _lists(embeddings.embedding)
    for column in _FEATURES:
        if (rows := getattr(embeddings, column)) is not None:
            columns[column] = _lists(rows)
    return pa.table(columns)


def _lists(rows: Tensor) -> pa.Array:
    """``(n, d)`` as n lists of d, ``(n, s, c)`` as n lists of s lists of c."""
    array = pa.array(rows.detach().to("cpu", torch.float32).reshape(-1).numpy())
    for length in reversed(rows.shape[1:]):
        array = pa.FixedSizeListArray.from_arrays(array, length)
    return array


def _embeddings(table: pa.Table) -> Embeddings:
    labels = {
        field: None if table[column].null_count == len(table) else torch.tensor(table[column].to_numpy())
        for column, field in _LABELS.items()
    }
    return Embeddings(
        embedding=_rows(table["embedding"]),
        paths=tuple(table["path"].to_pylist()),
        **labels,
        **{column: _rows(table[column]) for column in _FEATURES if column in table.column_names},
    )


def _rows(column: Any) -> Tensor:
    """The inverse of :func:`_lists`."""
    shape, values = [len(column)], column.combine_chunks()
    while pa.types.is_fixed_size_list(values.type):
        shape, values = [*shape, values.type.list_size], values.flatten()
    return torch.tensor(values.to_numpy()).reshape(shape)  # a copy: Arrow's memory is read-only


def _origin(file: Path, schema: pa.Schema) -> Origin:
    try:
        stored = current_settings(json.loads((schema.metadata or {})[_KEY]), within="embeddings")
        version = int(stored.pop("format"))
        if version > FORMAT:
            raise DatasetLayoutError(
                f"{file} has format {version}, this passerby reads up to {FORMAT}; update passerby or embed again"
            )
        height, width = stored.pop("size")
        keypoints = stored.pop("keypoints", None)
        origin = None if keypoints is None else KeypointOrigin(str(keypoints["name"]), str(keypoints["fingerprint"]))
        groups = tuple(
            (current_attribute(str(name)), tuple(map(str, values))) for name, values in stored.pop("attributes", ())
        )
        others: dict[str, Any] = {k: bool(v) if k in _OPTIONS else str(v) for k, v in stored.items()}
        return Origin(size=(int(height), int(width)), attributes=groups, keypoints=origin, **others)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise DatasetLayoutError(
            f"{file} is a Parquet file, but not of passerby's embeddings; make one with: passerby embed RUN FOLDER"
        ) from None


def _check_columns(file: Path, table: pa.Table) -> None:
    """Types and nulls must be those that :func:`_table` makes."""
    wanted = {"path": pa.types.is_string, "embedding": _is_list_of_float32} | dict.fromkeys(_LABELS, pa.types.is_int64)
    wanted |= {column: _is_list_of_float32 for column in _FEATURES if column in table.column_names}
    for name, fits in wanted.items():
        if name not in table.column_names or not fits(table.schema.field(name).type):
            raise DatasetLayoutError(f"{file}: column {name!r} is missing or of another type; embed the pictures again")
        nulls = table[name].null_count
        if nulls and (nulls < len(table) or name not in _LABELS):
            raise DatasetLayoutError(f"{file}: column {name!r} lacks {nulls} of {len(table)} values; embed them again")


def _check_groups(file: Path, table: pa.Table, groups: Groups) -> None:
    """Each value of a named group has a probability, and each probability a name."""
    stored = table.schema.field("attributes").type.list_size if "attributes" in table.column_names else 0
    named = sum(len(values) for _, values in groups)
    if stored != named:
        raise DatasetLayoutError(
            f"{file}: {stored} probabilities of attributes a picture, but {named} names; embed the pictures again"
        )


def _is_list_of_float32(kind: pa.DataType) -> bool:
    lists = 0
    while pa.types.is_fixed_size_list(kind):
        kind, lists = kind.value_type, lists + 1
    return lists > 0 and pa.types.is_float32(kind)
