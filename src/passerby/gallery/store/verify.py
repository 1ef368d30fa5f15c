"""The check of a gallery on disk, every byte of it, and the proof that something is not in it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float
from torch import Tensor

from passerby.errors import DatasetLayoutError, without_fix
from passerby.gallery.audit import LOCK as LOG_LOCK
from passerby.gallery.audit import LOG, LogCheck
from passerby.gallery.feedback.notes import Pairs
from passerby.gallery.store.manifest import MANIFEST, NOTES, SET_ASIDE, SHARDS, Manifest, ShardEntry, read_manifest
from passerby.gallery.store.reader import Reader
from passerby.gallery.store.scan import Needles
from passerby.gallery.store.shard import DamagedShardError, Shard
from passerby.gallery.store.writer import LOCK, WRITER, writing


@dataclass(frozen=True, slots=True)
class Verified:
    """The result of a check."""

    rows: int
    files: int
    bytes: int
    problems: tuple[str, ...]
    """The problems, in sentences, those of the log, too; empty if nothing is."""
    log: LogCheck
    """The check of the log."""


def verify(
    path: str | Path,
    *,
    vectors: Float[Tensor, "n d"] | None = None,
    contents: Sequence[bytes] = (),
    ids: Sequence[int] = (),
) -> Verified:
    """Check the digests of all files of a gallery, that none is there without a name, and that some things are absent.

    What killed writers left is removed first, as whenever a gallery is opened.

    Args:
        vectors: embeddings of which no file may hold sixteen bytes in a row.
        contents: SHA-256 digests of images, which no row and no file may hold.
        ids: rows that may not be there.

    Raises:
        DatasetLayoutError: if the folder is no gallery, or its manifest is damaged.
        OutputError: if another process writes it.
    """
    reader = Reader(path)
    if not os.access(reader.path, os.W_OK):
        return _checked(reader, vectors, contents, ids)
    with writing(reader.path):  # a writer's files have no names until it is done
        reader.refresh()
        return _checked(reader, vectors, contents, ids)


def _checked(reader: Reader, vectors: Tensor | None, contents: Sequence[bytes], ids: Sequence[int]) -> Verified:
    folder, manifest = reader.path, read_manifest(reader.path)
    problems = [*_in_manifest(folder, manifest), *_in_folder(folder, manifest)]
    for entry in manifest.shards:
        problems += _in_shard(folder, manifest, entry)
    problems += _in_notes(reader, contents)
    if here := sorted(set(reader.ids()) & set(ids)):
        problems.append(f"{len(here):,} rows that should be absent are there, the first with the ID {here[0]}")
    problems += _present(reader, vectors, contents)
    files = [file for file in folder.rglob("*") if file.is_file()]
    log = reader.log.check(manifest.log, manifest.version)
    size = sum(file.stat().st_size for file in files)
    return Verified(manifest.rows, len(files), size, (*problems, *log.problems), log)


def _in_manifest(folder: Path, manifest: Manifest) -> Iterator[str]:
    for lost in manifest.lost:
        yield f"the shard {lost.name} with {lost.rows:,} rows was set aside in '{folder / SET_ASIDE}': {lost.reason}"


def _in_folder(folder: Path, manifest: Manifest) -> Iterator[str]:
    known = {MANIFEST, LOCK, WRITER, LOG, LOG_LOCK, *(f"{SHARDS}/{name}" for name in manifest.names())}
    known |= {f"{NOTES}/{name}" for name in manifest.note_names()}
    known |= manifest.aside()
    for file in sorted(folder.rglob("*")):
        name, is_folder = file.relative_to(folder).as_posix(), file.is_dir() and not file.is_symlink()
        if is_folder and name not in (SHARDS, SET_ASIDE, NOTES):
            yield f"the gallery has a folder that does not belong there: '{name}'"
        elif not is_folder and name not in known:
            yield f"the gallery has a file that its manifest does not name: '{name}'"


def _in_shard(folder: Path, manifest: Manifest, entry: ShardEntry) -> Iterator[str]:
    try:
        shard = Shard(folder / SHARDS, entry)
        shard.check()
        shard.embeddings(np.arange(len(shard)))
        shard.check_parts()
    except DamagedShardError as error:
        yield f"{error} ({entry.rows:,} rows)"
    except FileNotFoundError:
        yield f"the shard {entry.name} with {entry.rows:,} rows is missing"
    else:
        if (np.diff(shard.ids) <= 0).any() or int(shard.ids[-1]) >= manifest.next_id:
            yield f"the shard {entry.name} has IDs that do not ascend, or were never given"


def _in_notes(reader: Reader, contents: Sequence[bytes]) -> Iterator[str]:
    wanted = {content.hex() for content in contents}
    for kind in reader.manifest.notes:
        try:
            note = reader.note(kind)
        except DatasetLayoutError as error:  # noqa: PERF203 - two notes at most
            yield without_fix(error)
        else:
            if isinstance(note, Pairs) and (named := sum(each.a in wanted for each in note.judgements)):
                yield f"{named:,} answers about pairs are of images that should be absent, by their content"


def _present(reader: Reader, vectors: Tensor | None, contents: Sequence[bytes]) -> Iterator[str]:
    needles = Needles(reader.manifest.dimensions)
    if vectors is not None:
        needles.add(vectors.detach().float().cpu().numpy())
    if contents:
        wanted = pa.array(list(contents), pa.binary(32))
        rows = sum(pc.sum(pc.is_in(shard.column("content"), value_set=wanted)).as_py() for shard in reader.shards)
        if rows:
            yield f"{rows:,} rows are of images that should be absent, by their content"
        needles.add_bytes(contents)
    if len(needles):
        _, found = needles.scan(reader.path)
        if found:
            yield f"bytes of {found:,} of {len(needles):,} vectors or images that should be absent are in the folder"
