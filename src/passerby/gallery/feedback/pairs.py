"""Feedback: pairs of images that a person has confirmed to show the same person, or rejected.

An answer is on the disk when the call returns. It changes no person ID. The last answer about
two images holds; those about a row go when the row is deleted.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from passerby.errors import ConfigError
from passerby.gallery.feedback.notes import Judgement, Note, Pairs, Side

if TYPE_CHECKING:
    from passerby.gallery.store.store import Store


class Feedback:
    """The confirmed and rejected pairs of a gallery on disk.

    Args:
        store: the gallery.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def all(self) -> tuple[Judgement, ...]:
        """Return the answers that hold, by the order in which they were given."""
        note = self.store.note("pairs")
        assert isinstance(note, Pairs)
        return note.current()

    def answer(self, a: Side, b: int, *, same: bool) -> Judgement:
        """Record whether two images show the same person.

        Args:
            a: a row by its ID; or an image by the SHA-256 of its file, in 64 hex digits.
            b: a row by its ID.

        Raises:
            ConfigError: if a row does not exist, or both are the same.
            OutputError: if the gallery cannot be written, or another process writes it.
        """
        given: list[Judgement] = []

        def added(note: Note, version: int) -> Note:
            assert isinstance(note, Pairs)
            row = self._row_of(a) if isinstance(a, str) else a
            first: Side = a if row is None else row
            self._check(first, b)
            given.append(Judgement(a=first, b=b, same=same, version=version, at=int(time.time() * 1000)))
            return Pairs(judgements=(*note.judgements, *given))

        self.store.change_note("pairs", added)
        return given[0]

    def undo(self) -> Judgement:
        """Remove the answer that was given last, and return it; the one before it about the same images holds again.

        Raises:
            ConfigError: if there is none.
            OutputError: if the gallery cannot be written, or another process writes it.
        """
        undone: list[Judgement] = []

        def removed(note: Note, _: int) -> Note:
            assert isinstance(note, Pairs)
            if not note.judgements:
                raise ConfigError("there is no answer about a pair to undo. Fix: passerby gallery confirm or reject")
            undone.append(note.judgements[-1])
            return Pairs(judgements=note.judgements[:-1])

        self.store.change_note("pairs", removed)
        return undone[0]

    def pairs(self) -> list[tuple[int, int, bool]]:
        """Return the pairs of rows and whether they show the same person, the lower ID first, ascending.

        Answers about images that are not in the gallery, or whose shard was lost, are left out.
        """
        answers = self.all()
        contents = self._rows_of({each.a for each in answers if isinstance(each.a, str)})
        here = set(self._present({row for each in answers for row in (each.a, each.b) if isinstance(row, int)}))
        found: dict[tuple[int, int], bool] = {}
        for each in answers:
            a = contents.get(each.a) if isinstance(each.a, str) else each.a if each.a in here else None
            if a is not None and each.b in here and a != each.b:
                found[min(a, each.b), max(a, each.b)] = each.same
        return [(a, b, same) for (a, b), same in sorted(found.items())]

    def about(self, contents: Collection[str], rows: Collection[int]) -> tuple[list[int], list[int]]:
        """Return the rows that were confirmed, and those that were rejected, to show the person of some images.

        Args:
            contents: the images by the SHA-256 of their files.
            rows: the images that are rows.
        """
        answers = self.all()
        known = self._rows_of({*contents, *(each.a for each in answers if isinstance(each.a, str))})
        asked: set[Side] = {*contents, *rows, *(known[each] for each in contents if each in known)}
        found: dict[int, bool] = {}
        for each in answers:
            a: Side = known.get(each.a, each.a) if isinstance(each.a, str) else each.a
            for one, other in ((a, each.b), (each.b, a)):
                if one in asked and isinstance(other, int) and other not in asked:
                    found[other] = each.same
        here = self._present(found)
        return [row for row in here if found[row]], [row for row in here if not found[row]]

    def _row_of(self, content: str) -> int | None:
        return self._rows_of({content}).get(content)

    def _rows_of(self, contents: Collection[str]) -> dict[str, int]:
        """Return the rows of images that are in the gallery, by their content."""
        found: dict[str, int] = {}
        if contents:
            wanted = pa.array([bytes.fromhex(each) for each in contents], pa.binary(32))
            for shard in self.store.shards:
                column = shard.column("content")
                places = np.flatnonzero(pc.is_in(column, value_set=wanted).to_numpy(zero_copy_only=False))
                found |= {column[int(place)].as_py().hex(): int(shard.ids[place]) for place in places}
        return found

    def _present(self, rows: Collection[int]) -> list[int]:
        """Return which of some rows the gallery holds, ascending."""
        wanted = np.fromiter(rows, np.int64)
        return [int(row) for shard in self.store.shards for row in shard.ids[np.isin(shard.ids, wanted)]]

    def _check(self, a: Side, b: int) -> None:
        rows = {b, *([a] if isinstance(a, int) else [])}
        if absent := sorted(rows - set(self._present(rows))):
            raise ConfigError(
                f"no row has the ID {absent[0]}. Fix: take IDs that a search shows, or passerby gallery stats"
            )
        if a == b:
            raise ConfigError(f"both images are the row {b}. Fix: name two rows")
