"""Notes: what people have said about rows, in files beside the shards that the manifest names with their digests.

A file and not a field of the manifest: the manifest is read again by every process after every change, while groups of
a large gallery are megabytes that few calls need. JSON and not Arrow: a note is read as a whole, and people may want to
read it. As the manifest names it, a note is replaced together with all that it is about: rows are never gone while a
note still names them.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import Field, ValidationError

from passerby.config import MAX_JSON, Frozen, first_fault
from passerby.errors import ConfigError, DatasetLayoutError, OutputError
from passerby.gallery.store import disk
from passerby.gallery.store.manifest import NOTES, NoteEntry, NoteKind

Row = Annotated[int, Field(ge=0, lt=2**63)]
Side: TypeAlias = Row | Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""A row by its ID, or an image that was not in the gallery, by the SHA-256 of its file."""
IsGone: TypeAlias = Callable[[Side], bool]
"""A function that tells whether a row, or an image, is deleted."""
MOST_CHANGES = 1000
"""The number of changes of groups that can be undone, at most."""
MOST_ROWS = 1_000_000
"""The number of rows of former groups that are kept to undo changes, at most."""


class Judgement(Frozen):
    """One answer of a person: whether two images show the same one."""

    a: Side
    b: Row
    same: bool
    version: Annotated[int, Field(ge=1)]
    """The version of the gallery that recorded it."""
    at: int
    """The moment when it was recorded, in milliseconds of Unix time."""

    @property
    def key(self) -> frozenset[Side]:
        """The two images, in no order."""
        return frozenset((self.a, self.b))


class Pairs(Frozen):
    """All answers in their order; of several about the same two images the last one holds."""

    judgements: tuple[Judgement, ...] = ()

    def without(self, gone: IsGone) -> Pairs:
        """Return the answers that name no deleted image."""
        return Pairs(judgements=tuple(each for each in self.judgements if not (gone(each.a) or gone(each.b))))

    def current(self) -> tuple[Judgement, ...]:
        """Return the answers that hold, by the order in which they were given."""
        last = {each.key: place for place, each in enumerate(self.judgements)}
        return tuple(each for place, each in enumerate(self.judgements) if last[each.key] == place)


class Group(Frozen):
    """Some rows that are, or are proposed to be, of one person; it has no name and changes no person ID."""

    id: Annotated[int, Field(ge=1)]
    rows: tuple[Row, ...]
    """The rows, ascending."""
    accepted: bool = False
    """The flag that a person has accepted the group."""
    extends: int | None = None
    """The accepted group that these further rows are proposed for."""

    def without(self, gone: IsGone) -> Group | None:
        """Return the group without deleted rows; ``None`` if too few are left."""
        rows = tuple(row for row in self.rows if not gone(row))
        least = 1 if self.accepted or self.extends is not None else 2
        return self.model_copy(update={"rows": rows}) if len(rows) >= least else None


class Change(Frozen):
    """One change of groups, with what undoes it."""

    what: str
    version: Annotated[int, Field(ge=1)]
    at: int
    removed: tuple[Group, ...] = ()
    """The groups that it removed, as they were."""
    added: tuple[int, ...] = ()
    """The groups that it made."""


class Groups(Frozen):
    """The groups of a gallery, of which a row is in one at most, and their history."""

    groups: tuple[Group, ...] = ()
    next_id: Annotated[int, Field(ge=1)] = 1
    """The ID of the next group; none is used twice."""
    history: tuple[Change, ...] = ()

    def without(self, gone: IsGone) -> Groups:
        """Return the groups, and those that an undo would bring back, without deleted rows."""
        history = tuple(each.model_copy(update={"removed": _kept(each.removed, gone)}) for each in self.history)
        groups = _kept(self.groups, gone)
        there = {None, *(group.id for group in groups)}
        groups = tuple(group for group in groups if group.extends in there)
        return Groups(groups=groups, next_id=self.next_id, history=history)

    def rows_of(self, ids: Collection[int]) -> set[int]:
        """Return the rows of some groups, and those that are proposed for them.

        Raises:
            ConfigError: if there is no group of an ID.
        """
        known = {group.id for group in self.groups}
        if absent := sorted(set(ids) - known):
            raise ConfigError(
                f"no group has the ID {absent[0]}. Fix: list them with passerby gallery group GALLERY --list"
            )
        return {row for group in self.groups if group.id in ids or group.extends in ids for row in group.rows}


class OwnCalibration(Frozen):
    """The calibration of the gallery by pairs of its own; numbers about distances, which stay when rows are deleted."""

    values: dict[str, Any] = Field(default_factory=dict)
    """The plain values of :meth:`passerby.metrics.calibration.Calibration.to_dict`; empty if there is none."""
    confirmed: Annotated[int, Field(ge=0)] = 0
    """The number of confirmed pairs that it was fitted on."""
    rejected: Annotated[int, Field(ge=0)] = 0
    """The number of rejected pairs that it was fitted on."""
    kind: str = ""
    """The kind of the other pairs of different people (:mod:`passerby.gallery.verdicts.pairs`)."""
    same: Annotated[float, Field(ge=0, le=1)] | None = None
    """The share of random pairs that is estimated to be of one person; ``None`` for other kinds."""

    def without(self, gone: IsGone) -> OwnCalibration:  # noqa: ARG002 - as other notes
        """Return the same: it names no row."""
        return self


Note: TypeAlias = Pairs | Groups | OwnCalibration
KINDS: dict[NoteKind, type[Pairs] | type[Groups] | type[OwnCalibration]] = {
    "pairs": Pairs,
    "groups": Groups,
    "calibration": OwnCalibration,
}


def write_note(folder: Path, note: Note) -> NoteEntry:
    """Write a note as a new file of a gallery and synchronize it; it holds once a manifest names it.

    Raises:
        OutputError: if it would be larger than what is read again.
        OSError: if it cannot be written.
    """
    content = json.dumps(note.model_dump(mode="json", exclude_defaults=True), separators=(",", ":")).encode()
    if len(content) > MAX_JSON:
        raise OutputError(
            f"a note of the gallery '{folder}' would have {len(content):,} bytes, expected at most {MAX_JSON:,}. "
            "Fix: undo proposals, or propose groups within a smaller gallery"
        )
    place = folder / NOTES
    if not place.is_dir():
        place.mkdir()
        disk.sync_folder(folder)
    entry = NoteEntry(
        name=f"{secrets.token_hex(8)}.json", bytes=len(content), sha256=hashlib.sha256(content).hexdigest()
    )
    disk.write_new(disk.partial_of(place / entry.name), content)
    return entry


def read_note(folder: Path, kind: NoteKind, entry: NoteEntry) -> Note:
    """Read a note.

    Raises:
        FileNotFoundError: if its file is missing.
        DatasetLayoutError: if it is not what was written.
    """
    content = (folder / NOTES / entry.name).read_bytes()
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise damaged_note(folder, kind, entry, "its digest differs")
    try:
        return KINDS[kind].model_validate(json.loads(content))
    except ValidationError as error:
        raise damaged_note(folder, kind, entry, first_fault(error)) from None
    except (ValueError, RecursionError) as error:
        raise damaged_note(folder, kind, entry, str(error)) from None


def damaged_note(folder: Path, kind: NoteKind, entry: NoteEntry, why: str) -> DatasetLayoutError:
    """Return the error of a note that is not what was written."""
    return DatasetLayoutError(
        f"the note of {kind} of the gallery '{folder}' is damaged ({NOTES}/{entry.name}: {why}). Fix: restore the "
        f"folder from a copy, or give the {kind} up: passerby gallery feedback {folder} --drop {kind}"
    )


def _kept(groups: tuple[Group, ...], gone: IsGone) -> tuple[Group, ...]:
    return tuple(kept for each in groups if (kept := each.without(gone)) is not None)
