"""Embeddings on disk: one Parquet file, one row per image, for evaluation, search, reports and figures alike.

:mod:`passerby.inference.embeddings_table` lists the columns. What made the embeddings (:class:`Origin`) is JSON under
``passerby`` in the schema's metadata. A file without it holds precomputed embeddings of another program; these and the
layouts of earlier versions are read by :mod:`passerby.inference.former_formats`. Files are whole or absent, and their
pages carry checksums.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, TypeAlias, cast

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from pydantic import Field

from passerby.compat import current_attribute, current_settings
from passerby.config import Frozen
from passerby.data.attributes.schema import Schema
from passerby.data.keypoints.origin import KeypointOrigin
from passerby.errors import DatasetLayoutError, OutputError, WeightsError
from passerby.files import atomic_write
from passerby.inference.embeddings_table import (
    DICTIONARIES,
    check_columns,
    read_rows,
    rows_not_finite,
    splits_of,
    to_table,
)
from passerby.inference.former_formats import (
    check_paths,
    check_roles,
    check_size,
    describe,
    has_image_paths,
    is_npz,
    precomputed_table,
    read_npz,
)
from passerby.inference.written_files import remember_written
from passerby.types import Distance, Embeddings, Protocol, QueryGallery

FORMAT = 5
"""The format of files: 1 did not record ``flip_tta`` and ``normalize`` and meant their defaults; 2 did not record
``keypoints``; 3 named two of these differently, and had no columns ``split`` and ``time``; 4 did not record
``distance``."""
_ANY_FORMAT = 10**6
"""The largest number that a format may ever have."""
_KEY = b"passerby"

Groups: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]
"""The names of attribute groups and of their values."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The model, options and images that embeddings were made of."""

    fingerprint: str
    """The model's fingerprint: embeddings of another one are not comparable."""
    model: str
    """The model's name."""
    size: tuple[int, int]
    """The (height, width) of the model's images."""
    root: str
    """The directory or archive that paths are relative to; empty where each path names its place itself."""
    attributes: Groups = ()
    """The attributes that the probabilities are of, in their order; empty if none are stored."""
    flip_tta: bool = False
    """The flag that each embedding is the mean of those of an image and of its mirror image."""
    normalize: bool = True
    """The flag that embeddings are L2-normalized before they are compared; they are stored as the model made them."""
    distance: str = "global"
    """The distance that the model's evaluations rank by; it needs the column ``local`` unless it is ``global``."""
    keypoints: KeypointOrigin | None = None
    """The keypoints that images were cut by; ``None`` if there were none, or an older file does not record it."""


@dataclass(frozen=True, slots=True)
class StoredEmbeddings:
    """The content of a file of embeddings."""

    file: Path
    embeddings: Embeddings
    """All rows."""
    splits: tuple[str | None, ...]
    """The split of each row: ``query``, ``gallery``, ``train``, or ``None`` if unknown."""
    origin: Origin | None
    """The origin of the embeddings; ``None`` for precomputed embeddings of another program."""

    def split(self, name: str) -> Embeddings:
        """Return the rows of one split.

        Raises:
            DatasetLayoutError: if the file has none.
        """
        rows = [row for row, split in enumerate(self.splits) if split == name]
        if not rows:
            found = ", ".join(sorted({str(split) for split in self.splits if split})) or "no split at all"
            raise DatasetLayoutError(
                f"{self.file} has no rows of split '{name}': got {found}. Fix: write query and gallery into one file, "
                "with passerby evaluate RUN --data DATA --save-features FILE or passerby embed RUN DATA --split all"
            )
        return self.embeddings if len(rows) == len(self.splits) else self.embeddings[torch.tensor(rows)]

    def query_gallery(self, *, cameras: bool = True) -> QueryGallery:
        """Return both sides of an evaluation.

        Args:
            cameras: whether it needs camera IDs.

        Raises:
            DatasetLayoutError: if a side, its people or its cameras are missing.
        """
        sides = QueryGallery(self.split("query"), self.split("gallery"))
        for name, side in zip(sides._fields, sides, strict=True):
            if side.pids is None or (cameras and side.camids is None):
                column = "pid" if side.pids is None else "camid"
                others = ", or count the matches of all cameras (evaluate --all-cameras)" if column == "camid" else ""
                raise DatasetLayoutError(
                    f"{self.file} has no {column} of its {name}, which an evaluation needs. "
                    f"Fix: fill the column {column}{others}"
                )
        return sides

    @property
    def protocol(self) -> Protocol:
        """The protocol of the model that made the embeddings; L2-normalized embeddings if that is unknown."""
        origin = self.origin
        if origin is None:
            return Protocol()
        distance = "global" if self.embeddings.local is None else cast("Distance", origin.distance)
        return Protocol(normalize=origin.normalize, flip_tta=origin.flip_tta, distance=distance)


def write_embeddings(
    path: str | Path,
    embeddings: Embeddings,
    origin: Origin | None = None,
    splits: Sequence[str | None] | None = None,
    *,
    own: bool = True,
) -> None:
    """Write embeddings as float32, whole or not at all; an existing file is replaced.

    Args:
        origin: what made them; ``None`` for precomputed embeddings of another program.
        splits: the split of each row, if known.
        own: whether paths and root are this user's own (:mod:`passerby.inference.written_files`), not those of a file.

    Raises:
        WeightsError: if an embedding is not finite, or is zero and to be L2-normalized: only a broken model makes it.
        OutputError: if the file cannot be written, or its name does not end in ``.parquet``.
    """
    check_embeddings_path(path)
    numbers = {"embedding": embeddings.embedding, "local": embeddings.local, "attributes": embeddings.attributes}
    for name, rows in numbers.items():
        if rows is not None and (wrong := rows_not_finite(rows)).any():
            bad = embeddings.paths[int(wrong.nonzero()[0])]
            model = f"the model {origin.model} is broken" if origin else "the model that made them is broken"
            raise WeightsError(f"{name} of {bad} has NaN or infinite values: {model}")
    if origin is not None and origin.normalize and (zero := (embeddings.embedding == 0).all(dim=1)).any():
        bad = embeddings.paths[int(zero.nonzero()[0])]
        raise WeightsError(
            f"{int(zero.sum()):,} of {len(embeddings):,} embeddings are zero, the first that of '{bad}': they have no "
            f"direction to compare, so the model {origin.model} is broken. Fix: check its weights, or train it again"
        )
    table = to_table(embeddings, splits or [None] * len(embeddings))
    if origin is not None:
        table = table.replace_schema_metadata({_KEY: json.dumps({"format": FORMAT, **asdict(origin)}).encode()})
    with atomic_write(path) as partial:
        pq.write_table(table, partial, compression="zstd", use_dictionary=DICTIONARIES, write_page_checksum=True)
    if origin is not None and own:
        remember_written(origin.root, embeddings.paths)


def write_query_gallery(path: str | Path, query: Embeddings, gallery: Embeddings, origin: Origin | None = None) -> None:
    """Write both sides of an evaluation into one file (see :func:`write_embeddings`)."""
    splits = ["query"] * len(query) + ["gallery"] * len(gallery)
    write_embeddings(path, Embeddings.concatenate([query, gallery]), origin, splits)


def check_embeddings_path(path: str | Path) -> None:
    """Check before any work that embeddings can be written under a name.

    Raises:
        OutputError: if it does not end in ``.parquet``.
    """
    if Path(path).suffix != ".parquet":
        raise OutputError(
            f"embeddings are written as Parquet: got '{path}', expected a name that ends in .parquet. "
            "Fix: choose such a name"
        )


def read_embeddings(path: str | Path) -> StoredEmbeddings:
    """Read a file of embeddings: one of this module, of an earlier version, or of another program.

    Raises:
        DatasetLayoutError: if the file does not exist, is damaged, or holds something else.
        ProtocolError: if two rows of a split have one path, or person IDs of another program's file are below −1.
        ShapeError: if columns of another program's file have the wrong shape.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        what = "is not" if file.exists() else "does not exist: expected"
        raise DatasetLayoutError(
            f"'{file}' {what} a file of embeddings. Fix: make one with passerby embed RUN FOLDER -o FILE.parquet"
        )
    if is_npz(file):
        return StoredEmbeddings(file, *read_npz(file), None)
    try:
        with pq.ParquetFile(file, page_checksum_verification=True) as parquet:
            check_size(file, _unpacked(parquet.metadata))
            if not parquet.metadata.num_rows:
                raise DatasetLayoutError(f"'{file}' holds no images: got 0 rows. Fix: embed the images again")
            return _read(file, parquet)
    except UnicodeDecodeError as error:
        raise _unreadable_column(file, error) from None
    except (pa.ArrowException, OSError, ValueError, KeyError, OverflowError, MemoryError) as error:
        raise DatasetLayoutError(
            f"'{file}' is not a whole Parquet file ({describe(error)}), and no .npz by its name. Fix: embed the images "
            "again"
        ) from None


def _read(file: Path, parquet: pq.ParquetFile) -> StoredEmbeddings:
    schema = parquet.schema_arrow
    if _KEY not in (schema.metadata or {}):
        return _precomputed(file, parquet.read())
    origin = _origin(file, schema)
    check_columns(file, schema, attributes=sum(len(values) for _, values in origin.attributes))
    stored = StoredEmbeddings(file, *read_rows(file, parquet), origin)
    _check_rows(stored)
    return stored


def _precomputed(file: Path, table: pa.Table) -> StoredEmbeddings:
    try:
        splits = splits_of(file, table)
        return StoredEmbeddings(file, precomputed_table(file, table, splits), splits, None)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise _unreadable_column(file, error) from None


def _unreadable_column(file: Path, error: Exception) -> DatasetLayoutError:
    return DatasetLayoutError(
        f"'{file}' has a column that cannot be read ({describe(error)}). Fix: embed the images again"
    )


def read_query_gallery(path: str | Path) -> QueryGallery:
    """Read the query and the gallery of a file of embeddings.

    Raises:
        DatasetLayoutError: as :func:`read_embeddings`; or if a side, its people or its cameras are missing.
    """
    return read_embeddings(path).query_gallery()


def attribute_names(schema: Schema | None) -> Groups:
    """Return the names of groups and values, as files of embeddings carry them."""
    return () if schema is None else tuple((group.name, group.values) for group in schema.groups)


_Text = Annotated[str, Field(max_length=4096)]
_Pixels = Annotated[int, Field(ge=1, le=2**16)]


class _StoredKeypoints(Frozen):
    """The fields of :class:`KeypointOrigin`, as a file states them."""

    name: _Text
    fingerprint: _Text


class _StoredOrigin(Frozen):
    """The fields of :class:`Origin`, as a file states them, which may come from elsewhere."""

    fingerprint: _Text
    model: _Text
    size: tuple[_Pixels, _Pixels]
    root: _Text
    attributes: tuple[tuple[_Text, tuple[_Text, ...]], ...] = ()
    flip_tta: bool = False
    normalize: bool = True
    distance: Distance = "global"
    keypoints: _StoredKeypoints | None = None


def origin_of(values: dict[str, Any]) -> Origin:
    """Return the origin that a file states as plain values.

    Raises:
        ValueError: if they are not those of an origin (also pydantic's errors).
    """
    found = _StoredOrigin.model_validate_json(json.dumps(values), strict=True)
    groups = tuple((current_attribute(name), values) for name, values in found.attributes)
    source = None if found.keypoints is None else KeypointOrigin(**dict(found.keypoints))
    return Origin(**{**dict(found), "attributes": groups, "keypoints": source})


def _origin(file: Path, schema: pa.Schema) -> Origin:
    try:
        stored = current_settings(json.loads(schema.metadata[_KEY]), within="embeddings")
        version = stored.pop("format")
        if not isinstance(version, int) or not 1 <= version <= _ANY_FORMAT:
            raise ValueError("no format")
        if version > FORMAT:
            raise DatasetLayoutError(
                f"{file} has format {version}, this passerby reads up to {FORMAT}. Fix: update passerby or embed again"
            )
        return origin_of(stored)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise DatasetLayoutError(
            f"{file} is a Parquet file, but its description of the embeddings is damaged. Fix: make it again with "
            "passerby embed RUN FOLDER -o FILE.parquet"
        ) from None


def _unpacked(metadata: pq.FileMetaData) -> int:
    """Return the bytes that a Parquet file takes in memory: eight per number, and what its pages unpack to."""
    groups = (metadata.row_group(group) for group in range(metadata.num_row_groups))
    columns = [group.column(column) for group in groups for column in range(group.num_columns)]
    return sum(max(4 * column.num_values, column.total_uncompressed_size) for column in columns)


def _check_rows(stored: StoredEmbeddings) -> None:
    """Check that each image is there once per split, and that labels and names are possible ones."""
    embeddings = stored.embeddings
    check_paths(stored.file, "path", embeddings.paths)
    if embeddings.roles is not None:
        check_roles(stored.file, "role", embeddings.roles)
    if not embeddings.embedding.shape[1]:
        raise DatasetLayoutError(f"'{stored.file}' holds embeddings of 0 dimensions. Fix: embed the images again")
    for name in ("embedding", "local", "attributes"):
        values = getattr(embeddings, name)
        if values is not None and rows_not_finite(values).any():
            raise DatasetLayoutError(f"'{stored.file}': {name} has NaN or infinite values. Fix: embed the images again")
    probabilities = embeddings.attributes
    if probabilities is not None and not ((probabilities >= 0) & (probabilities <= 1.001)).all():
        raise DatasetLayoutError(f"'{stored.file}': attributes are no probabilities. Fix: embed the images again")
    for path in _repeated(zip(stored.embeddings.paths, stored.splits, strict=True)):
        raise DatasetLayoutError(
            f"{stored.file} holds an image twice, {path}: a search would find it twice. Fix: embed the images again"
        )
    pids = stored.embeddings.pids
    if pids is not None and int(pids.min()) < -1:
        raise DatasetLayoutError(
            f"{stored.file} has the person ID {int(pids.min())}, expected IDs from 0, or -1 for junk. "
            "Fix: embed the images again"
        )


def _repeated(keys: Iterator[tuple[str, str | None]]) -> Iterator[str]:
    return (path for (path, _), times in Counter(keys).items() if times > 1)


__all__ = [
    "FORMAT",
    "Groups",
    "Origin",
    "StoredEmbeddings",
    "attribute_names",
    "check_embeddings_path",
    "has_image_paths",
    "origin_of",
    "read_embeddings",
    "read_query_gallery",
    "write_embeddings",
    "write_query_gallery",
]
