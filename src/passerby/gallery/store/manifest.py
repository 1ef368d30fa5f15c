"""The manifest: what a gallery on disk holds, in one small file that is replaced as a whole and has a checksum."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, ValidationError

from passerby.config import MAX_JSON, Frozen, first_fault
from passerby.errors import DatasetLayoutError
from passerby.gallery.audit import LogMark
from passerby.gallery.store import disk
from passerby.inference.embeddings_file import Origin, origin_of

FORMAT = 2
"""The format of galleries on disk."""
MANIFEST, PARTIAL = "manifest.json", ".manifest.partial"
"""The name of the manifest, and the one under which it is written first."""
SHARDS, SET_ASIDE, NOTES = "shards", "set-aside", "notes"
"""The folders of the shards, of those that are damaged, and of what people have said about rows."""
NoteKind: TypeAlias = Literal["pairs", "groups", "calibration"]
"""The kinds of notes (:mod:`passerby.gallery.feedback.notes`)."""
_Name = Annotated[str, Field(pattern=r"^[0-9a-f]{16}\.arrow$")]
_File = Annotated[str, Field(pattern=r"^((shards|set-aside)/[0-9a-f]{16}\.arrow|notes/[0-9a-f]{16}\.json)$")]
_Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Count = Annotated[int, Field(ge=0, lt=2**63)]


class ShardEntry(Frozen):
    """One shard, as the manifest names it."""

    name: _Name
    rows: Annotated[int, Field(ge=1, lt=2**40)]
    bytes: _Count
    """The length of its file."""
    sha256: _Digest
    """The digest of its file."""
    parts: dict[str, _Digest]
    """The digests of groups of its columns (:mod:`passerby.gallery.store.shard`), each checked before it is used."""


class NoteEntry(Frozen):
    """One file of notes, as the manifest names it."""

    name: Annotated[str, Field(pattern=r"^[0-9a-f]{16}\.json$")]
    bytes: _Count
    sha256: _Digest


class LostShard(Frozen):
    """A shard that was damaged and set aside, or is missing."""

    name: _Name
    rows: _Count
    reason: str
    entry: ShardEntry | None = None
    """The entry of its file, by which it is known again when it is copied back."""


class Manifest(Frozen):
    """The content of a gallery. Its version only grows, whatever clocks say."""

    format: int = FORMAT
    gallery: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    """The random name of the gallery, which a copy keeps."""
    version: Annotated[int, Field(ge=1)]
    made_by: dict[str, Any]
    """The fields of :class:`~passerby.inference.embeddings_file.Origin`."""
    dimensions: Annotated[int, Field(ge=1)]
    stripes: tuple[int, int] | None = None
    """The number of stripe vectors of each image and their length; ``None`` if they are not stored."""
    shards_version: _Count = 0
    """The random number of the last change of the shards: copies of a gallery that change have different ones."""
    former_versions: tuple[_Count, ...] = ()
    """The numbers of earlier changes, for an engine that lags: rows of theirs were lost since, and none came back."""
    engine: str = ""
    """The address of the engine that holds a copy of the vectors (:mod:`passerby.gallery.engines`); empty if none."""
    next_id: _Count = 0
    """The ID of the next row; none is used twice."""
    shards: tuple[ShardEntry, ...] = ()
    """The shards, by the IDs of their rows."""
    lost: tuple[LostShard, ...] = ()
    """The shards that were set aside, or are missing."""
    notes: dict[NoteKind, NoteEntry] = Field(default_factory=dict)
    """The notes: what people have said about rows, by kind."""
    replaced: tuple[_File, ...] = ()
    """The files that this version took out of the gallery: where they are still there, they are removed."""
    log: LogMark | None = None
    """The end of the log at the last change (:mod:`passerby.gallery.audit`); ``None`` if there was none."""

    @cached_property
    def origin(self) -> Origin:
        """The model and the options that made the embeddings."""
        return origin_of(self.made_by)

    @property
    def rows(self) -> int:
        """The number of rows, junk too."""
        return sum(shard.rows for shard in self.shards)

    def versions(self) -> frozenset[int]:
        """Return the numbers of the changes at which an engine holds all rows up to its newest ID."""
        return frozenset((self.shards_version, *self.former_versions))

    def names(self) -> frozenset[str]:
        """Return the names of the shards' files."""
        return frozenset(shard.name for shard in self.shards)

    def files(self) -> frozenset[str]:
        """Return the files of shards and notes, below the folder of the gallery."""
        named = {SHARDS: self.names(), NOTES: self.note_names()}
        return frozenset(f"{place}/{name}" for place, names in named.items() for name in names)

    def aside(self) -> frozenset[str]:
        """Return the files of the lost shards, below the folder of the gallery; those of missing ones are not there."""
        return frozenset(f"{SET_ASIDE}/{lost.name}" for lost in self.lost)

    def note_names(self) -> frozenset[str]:
        """Return the names of the notes' files."""
        return frozenset(note.name for note in self.notes.values())


def origin_values(origin: Origin) -> dict[str, Any]:
    """Return an origin as plain values for :attr:`Manifest.made_by`."""
    values: dict[str, Any] = json.loads(json.dumps(asdict(origin)))
    return values


def write_manifest(folder: Path, manifest: Manifest, *, before: Callable[[], None] = lambda: None) -> None:
    """Replace the manifest of a gallery; when this returns, it is on the disk.

    Args:
        before: called when the new one is on the disk under the name :data:`PARTIAL`, before it takes its place.
    """
    values = manifest.model_dump(mode="json")
    content = json.dumps({"checksum": _checksum(values), **values}, indent=1).encode()
    disk.replace(folder / MANIFEST, content, folder / PARTIAL, before=before)


def read_manifest(folder: Path, name: str = MANIFEST) -> Manifest:
    """Read the manifest of a gallery.

    Args:
        name: the name of its file.

    Raises:
        DatasetLayoutError: if there is none, it is damaged, or another version of passerby wrote it.
    """
    file = folder / name
    try:
        if file.stat().st_size > MAX_JSON:
            raise ValueError("it is too large")
        values = json.loads(file.read_bytes())
    except OSError as error:
        raise DatasetLayoutError(
            f"'{folder}' is not a gallery: {MANIFEST} cannot be read ({error.strerror or error}). Fix: make one with "
            "passerby gallery create"
        ) from None
    except (ValueError, RecursionError) as error:
        raise _damaged(file, str(error)) from None
    if not isinstance(values, dict):
        raise _damaged(file, "it holds no named values")
    if values.pop("checksum", None) != _checksum(values):
        raise _damaged(file, "its checksum differs")
    if isinstance(found := values.get("format"), int) and found != FORMAT:
        fix = "update passerby" if found > FORMAT else "create the gallery again and add the images"
        raise DatasetLayoutError(f"{file} has format {found}, this passerby reads {FORMAT}. Fix: {fix}")
    try:
        manifest = Manifest.model_validate(values)
        _ = manifest.origin
    except ValidationError as error:
        raise _damaged(file, first_fault(error)) from None
    except ValueError as error:
        raise _damaged(file, str(error)) from None
    return manifest


def is_gallery(path: str | Path) -> bool:
    """Return whether a path is that of a gallery on disk."""
    return (Path(path).expanduser() / MANIFEST).is_file()


def _checksum(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _damaged(file: Path, why: str) -> DatasetLayoutError:
    return DatasetLayoutError(
        f"'{file}' is damaged ({why}), so it is unknown which rows the gallery holds. Fix: restore the folder from a "
        "copy, or create the gallery again and add the images"
    )
