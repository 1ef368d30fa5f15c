"""One hit per tracklet, person or group: the best row of each, and how many further rows it has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from passerby.gallery.asking.ask import OnePer
from passerby.gallery.feedback.notes import Groups
from passerby.gallery.store.reader import Reader
from passerby.gallery.store.results import Found
from passerby.gallery.store.shard import Shard
from passerby.gallery.store.where import Where
from passerby.types import Role

_TIMES = 4
"""The number of rows for each hit that are looked at first, and how many times more after that."""
_KEY_COLUMNS = {"tracklet": "tracklet", "person": "pid"}
_NONE = np.iinfo(np.int64).min
Key = tuple[bool, int]
"""A tracklet, person or group by its number; or, with ``False``, the ID of a row that is of none."""


@dataclass(frozen=True, slots=True)
class Best:
    """One row that stands for further ones."""

    found: Found
    others: int | None = None
    """The number of further rows of the same tracklet, person or group that satisfy the conditions."""


def one_per(store: Reader, search: Callable[[int], list[Found]], k: int, where: Where, kind: OnePer) -> list[Best]:
    """Return the best row of each tracklet, person or group, the k best ones; a row that is of none stands for itself.

    More and more of the nearest rows are looked at, until they are of k, or of all that there are.

    Args:
        search: what returns so many of the nearest rows, or all that there are.

    Raises:
        DamagedShardError: if the attributes of a shard, which conditions ask for, are not what was written.
    """
    numbers, every, count = _Numbers(store, kind), _Every(store, where), _TIMES * k
    while True:
        found = search(count)
        version = store.version
        best = numbers.best(found)
        if len(best) >= k or len(found) < count:
            break
        if every.keys(numbers) <= len(best) and store.version == version:
            break
        count *= _TIMES
    kept = dict(list(best.items())[:k])
    sizes = every.sizes(numbers, {number for is_of, number in kept if is_of})
    return [Best(each, max(0, sizes[key[1]] - 1) if key[0] else 0) for key, each in kept.items()]


class _Numbers:
    """The number of each row's tracklet, person or group, by shard; the least number for none."""

    def __init__(self, store: Reader, kind: OnePer) -> None:
        self.kind = kind
        self._grouped = _grouped(store) if kind == "group" else None
        self._known: dict[str, NDArray[np.int64]] = {}

    def of(self, shard: Shard) -> NDArray[np.int64]:
        """Return the numbers of the rows of a shard, int64 ``(n,)``."""
        if shard.entry.name not in self._known:
            self._known[shard.entry.name] = self._labels(shard) if self._grouped is None else self._groups(shard)
        return self._known[shard.entry.name]

    def best(self, found: Sequence[Found]) -> dict[Key, Found]:
        """Return the first row of each key, in their order."""
        best: dict[Key, Found] = {}
        for each in found:
            number = self.of(each.shard).item(each.place)
            key = (True, number) if number != _NONE else (False, each.shard.ids.item(each.place))
            best.setdefault(key, each)
        return best

    def _groups(self, shard: Shard) -> NDArray[np.int64]:
        assert self._grouped is not None
        rows, groups = self._grouped
        if not len(rows):
            return np.full(len(shard), _NONE)
        places = np.searchsorted(rows, shard.ids).clip(max=len(rows) - 1)
        return np.where(rows[places] == shard.ids, groups[places], _NONE)

    def _labels(self, shard: Shard) -> NDArray[np.int64]:
        column = shard.column(_KEY_COLUMNS[self.kind]).fill_null(_NONE)
        numbers: NDArray[np.int64] = column.to_numpy(zero_copy_only=False)
        if self.kind == "person":  # distractors share a person ID
            numbers = np.where(shard.column("role").to_numpy() == int(Role.PERSON), numbers, _NONE)
        return numbers


class _Every:
    """All rows that satisfy conditions, as they are counted."""

    def __init__(self, store: Reader, where: Where) -> None:
        self.store, self.where = store, where
        self._counted: tuple[int, int] | None = None

    def keys(self, numbers: _Numbers) -> int:
        """Return how many tracklets, persons or groups, and rows of none, there are, counted once a version."""
        version = self.store.version
        if self._counted is None or self._counted[0] != version:
            alone, distinct = 0, [np.empty(0, np.int64)]
            for selected in self._selected(numbers):
                alone += int((selected == _NONE).sum())
                distinct.append(np.unique(selected[selected != _NONE]))
            self._counted = version, alone + len(np.unique(np.concatenate(distinct)))
        return self._counted[1]

    def sizes(self, numbers: _Numbers, wanted: set[int]) -> dict[int, int]:
        """Return how many rows are of each of some tracklets, persons or groups."""
        sizes = dict.fromkeys(wanted, 0)
        for selected in self._selected(numbers):
            here, counts = np.unique(selected[np.isin(selected, list(wanted))], return_counts=True)
            for number, count in zip(here.tolist(), counts.tolist(), strict=True):
                sizes[number] += count
        return sizes

    def _selected(self, numbers: _Numbers) -> Iterator[NDArray[np.int64]]:
        selection = self.store.select(self.where)
        for shard, mask in zip(selection.shards, selection.masks, strict=True):
            yield numbers.of(shard)[mask]


def _grouped(store: Reader) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows that are of a group, ascending, and the group of each."""
    note = store.note("groups")
    assert isinstance(note, Groups)
    of = {row: group.id if group.extends is None else group.extends for group in note.groups for row in group.rows}
    pairs = np.array(sorted(of.items()), np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]
