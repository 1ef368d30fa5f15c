"""The groups of a gallery on disk: proposals of rows of one person, which a person accepts, merges, splits or undoes.

A group is no identity: it has a number and no name, and person IDs stay as they are. Each change is one version of the
gallery, on the disk when the call returns, and can be undone, the last one first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from passerby.errors import ConfigError, OutputError
from passerby.gallery.feedback.notes import MOST_CHANGES, MOST_ROWS, Change, Group, Groups, Note
from passerby.gallery.feedback.pairs import Feedback
from passerby.gallery.feedback.proposals import RADIUS, Proposed, proposed
from passerby.retrieval.rerank import Progress
from passerby.types import Role

if TYPE_CHECKING:
    from passerby.gallery.store.store import Store


class Grouping:
    """The groups of a gallery on disk.

    Args:
        store: the gallery.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def all(self) -> tuple[Group, ...]:
        """Return all groups, ascending by ID."""
        return self._note().groups

    def history(self) -> tuple[Change, ...]:
        """Return the changes that can be undone, the last one last."""
        return self._note().history

    def group(self, number: int) -> Group:
        """Return a group.

        Raises:
            ConfigError: if there is none of that ID.
        """
        return _found(self._note(), [number])[0]

    def propose(self, *, radius: float = RADIUS, frames: bool = False, progress: Progress | None = None) -> Proposed:
        """Replace all groups that are not accepted by proposals (:func:`passerby.gallery.feedback.proposals.proposed`).

        Raises:
            ConfigError: if the radius is not between 0 and 1.
            OutputError: if groups changed meanwhile, or the gallery cannot be written.
        """
        if not 0 < radius < 1:
            raise ConfigError(f"the radius is a mean Jaccard distance: got {radius}, expected a number between 0 and 1")
        before = self._note()
        found = proposed(
            self.store, before, Feedback(self.store).pairs(), radius=radius, frames=frames, progress=progress
        )

        def change(note: Groups) -> tuple[list[Group], list[Group]]:
            if note != before:
                raise OutputError(f"the groups of '{self.store.path}' changed meanwhile. Fix: propose again")
            rows = set(self.store.ids())
            kept = ((tuple(row for row in each if row in rows), extends) for each, extends in found.groups)
            new = [(each, extends) for each, extends in kept if len(each) > (extends is None)]
            added = [Group(id=note.next_id + n, rows=each, extends=extends) for n, (each, extends) in enumerate(new)]
            return [group for group in note.groups if not group.accepted], added

        self._change(f"propose, radius {radius:g}", change)
        return found

    def accept(self, numbers: Sequence[int]) -> list[Group]:
        """Accept proposals; the rows of one that extends an accepted group join it.

        Raises:
            ConfigError: if there is no group of an ID.
        """

        def change(note: Groups) -> tuple[list[Group], list[Group]]:
            former, whole = _found(note, numbers), dict[int, Group]()
            removed = {group.id: group for group in former}
            for group in former:
                number = group.id if group.extends is None else group.extends
                if group.extends is not None:
                    removed[number] = _found(note, [number])[0]
                rows = {*group.rows, *(whole[number].rows if number in whole else ())}
                rows |= set(removed[number].rows) if number in removed else set()
                whole[number] = Group(id=number, rows=tuple(sorted(rows)), accepted=True)
            return list(removed.values()), list(whole.values())

        return self._change(f"accept {_words(numbers)}", change)

    def merge(self, numbers: Sequence[int]) -> Group:
        """Make several groups one, which is accepted and has the first one's ID.

        Raises:
            ConfigError: if there are fewer than two, or no group of an ID.
        """
        if len(set(numbers)) < 2:
            raise ConfigError(f"merging needs two groups or more, got {_words(numbers)}")

        def change(note: Groups) -> tuple[list[Group], list[Group]]:
            former = _found(note, numbers)
            rows = tuple(sorted(row for group in former for row in group.rows))
            return former, [Group(id=numbers[0], rows=rows, accepted=True)]

        return self._change(f"merge {_words(numbers)}", change)[0]

    def split(self, number: int, rows: Iterable[int]) -> list[Group]:
        """Take rows out of a group into one of their own, which is accepted if the group is; a single row into none.

        Raises:
            ConfigError: if rows are not of the group, or all are.
        """
        moved = set(rows)

        def change(note: Groups) -> tuple[list[Group], list[Group]]:
            (former,) = _found(note, [number])
            if not moved or not moved < set(former.rows):
                raise ConfigError(
                    f"some rows of a group leave it, not all: got {_words(sorted(moved)) or 'none'}, expected some of "
                    f"{_words(former.rows)}, those of the group {number}"
                )
            rest = tuple(row for row in former.rows if row not in moved)
            left = former.model_copy(update={"rows": rest})
            new = Group(id=note.next_id, rows=tuple(sorted(moved)), accepted=former.accepted)
            return [former], [each for each in (left, new) if len(each.rows) > 1 or each.accepted or each.extends]

        return self._change(f"split {number}", change)

    def dissolve(self, numbers: Sequence[int]) -> None:
        """Remove groups; their rows are of none then.

        Raises:
            ConfigError: if there is no group of an ID.
        """
        self._change(f"dissolve {_words(numbers)}", lambda note: (_found(note, numbers), []))

    def undo(self) -> Change:
        """Return the last change, which is undone.

        Raises:
            ConfigError: if there is none.
        """
        undone: list[Change] = []

        def back(note: Note, _: int) -> Note:
            assert isinstance(note, Groups)
            if not note.history:
                raise ConfigError("there is no change of groups to undo. Fix: propose some")
            undone.append(last := note.history[-1])
            groups = [group for group in note.groups if group.id not in last.added]
            return _ordered([*groups, *last.removed], note.next_id, note.history[:-1])

        self.store.change_note("groups", back)
        return undone[0]

    def _note(self) -> Groups:
        note = self.store.note("groups")
        assert isinstance(note, Groups)
        return note

    def _change(self, what: str, change: Callable[[Groups], tuple[list[Group], list[Group]]]) -> list[Group]:
        """Replace some groups by others, which are returned; nothing is replaced by nothing without a new version."""
        made: list[Group] = []

        def changed(note: Note, version: int) -> Note:
            assert isinstance(note, Groups)
            removed, added = change(note)
            made.extend(added)
            gone, there = {group.id for group in removed}, {group.id for group in added}
            removed += [each for each in note.groups if each.extends in gone - there and each.id not in gone]
            gone = {group.id for group in removed}
            record = Change(
                what=what,
                version=version,
                at=int(time.time() * 1000),
                removed=tuple(removed),
                added=tuple(group.id for group in added),
            )
            next_id = max([note.next_id, *(group.id + 1 for group in added)])
            kept = [group for group in note.groups if group.id not in gone]
            return _ordered([*kept, *added], next_id, _bounded((*note.history, record)))

        self.store.change_note("groups", changed)
        return made


def agreement(groups: Iterable[Group], people: dict[int, int]) -> tuple[float | None, float | None]:
    """Return pairwise precision and recall of groups, of rows whose person is known; ``None`` where there is no pair.

    Precision is the share of the pairs within groups that are of one person, recall the share of the pairs of one
    person that are within a group.
    """
    together = right = 0
    rows = dict[int, set[int]]()
    for group in groups:
        rows.setdefault(group.id if group.extends is None else group.extends, set()).update(group.rows)
    for each in rows.values():
        known = [people[row] for row in each if row in people]
        together += _pairs(len(known))
        right += sum(_pairs(known.count(person)) for person in set(known))
    every = list(people.values())
    counts = dict.fromkeys(every, 0)
    for person in every:
        counts[person] += 1
    same = sum(map(_pairs, counts.values()))
    return (right / together if together else None), (right / same if same else None)


def _pairs(count: int) -> int:
    return count * (count - 1) // 2


def _ordered(groups: Iterable[Group], next_id: int, history: tuple[Change, ...]) -> Groups:
    ordered = sorted(groups, key=lambda each: each.id)
    there = {None, *(each.id for each in ordered)}
    return Groups(groups=tuple(each for each in ordered if each.extends in there), next_id=next_id, history=history)


def _bounded(history: tuple[Change, ...]) -> tuple[Change, ...]:
    """Return the last changes, as many as may be kept."""
    rows, first = 0, len(history)
    while first and len(history) - first < MOST_CHANGES:
        rows += sum(len(group.rows) for group in history[first - 1].removed)
        if rows > MOST_ROWS:
            break
        first -= 1
    return history[first:]


def _found(note: Groups, numbers: Sequence[int]) -> list[Group]:
    known = {group.id: group for group in note.groups}
    if absent := [number for number in numbers if number not in known]:
        raise ConfigError(f"no group has the ID {absent[0]}. Fix: list them with passerby gallery group GALLERY --list")
    return [known[number] for number in dict.fromkeys(numbers)]


def _words(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))


def known_people(store: Store) -> dict[int, int]:
    """Return the person ID of each row whose person is known."""
    people: dict[int, int] = {}
    for shard in store.shards:
        known = zip(*(shard.column(name).to_pylist() for name in ("id", "pid", "role")), strict=True)
        people |= {row: pid for row, pid, role in known if pid is not None and role == int(Role.PERSON)}
    return people
