"""Which rows a search may find: conditions on what is known of images, all of which must hold."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timezone
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from passerby.data.attributes.query import AttributeQuery
from passerby.errors import ConfigError, ShapeError
from passerby.gallery.store.shard import Shard
from passerby.gallery.store.table import TAGS
from passerby.inference.attributes import match_predictions
from passerby.types import Role

Mask = NDArray[np.bool_]
_MOMENT = re.compile(
    r"\d{4}-\d\d-\d\d([t ]\d\d:\d\d(:\d\d(\.\d{3}(\d{3})?)?)?(z|[+-]\d\d:\d\d)?)?", re.ASCII | re.IGNORECASE
)
"""The moments that are understood."""


@dataclass(frozen=True, kw_only=True)
class Where:
    """Some conditions on rows; ``None`` and empty collections ask for nothing.

    A row of which something is unknown (its camera, when it was taken) does not satisfy a condition about it; it
    satisfies ``not_cameras``, which leaves out what is known to be of a camera.
    """

    cameras: Collection[int] = ()
    """The camera IDs that are searched."""
    not_cameras: Collection[int] = ()
    """The camera IDs that are left out, that of a query for example; an image of an unknown camera stays."""
    people: Collection[int] = ()
    """The person IDs."""
    ids: Collection[int] | None = None
    """The rows by their IDs."""
    not_ids: Collection[int] = ()
    """The rows that are left out, by their IDs."""
    groups: Collection[int] = ()
    """The groups, one of which a row must be of (:mod:`passerby.gallery.feedback.groups`)."""
    taken_from: int | None = None
    """The first moment, in milliseconds of Unix time."""
    taken_before: int | None = None
    """The first moment that is too late."""
    tags: Collection[str] = ()
    """The tags, all of which a row must have."""
    collections: Collection[str] = ()
    """The collections, one of which a row must be of."""
    attributes: AttributeQuery | None = None
    """The attributes that a row must be predicted to have."""
    junk: bool = False
    """A flag to take junk, too; a search never does."""

    def __post_init__(self) -> None:
        """Check that no word is empty, as of a variable that is not set: rows without any would satisfy it.

        Raises:
            ConfigError: for an empty tag or collection, or a number of more than 64 bits.
        """
        for name in ("cameras", "not_cameras", "people", "ids", "not_ids", "taken_from", "taken_before"):
            given = getattr(self, name)
            check_64_bits(name, [] if given is None else [given] if isinstance(given, int) else given)
        for name, words in (("tag", self.tags), ("collection", self.collections)):
            if "" in words:
                raise ConfigError(f"a {name} is empty. Fix: name one, or leave the condition out")

    def in_words(self) -> str:
        """Return the conditions in words, as the log of a gallery tells them; empty if there are none."""
        return "; ".join(self._words())

    def _words(self) -> Iterator[str]:
        for each in fields(self):
            value = getattr(self, each.name)
            if value == each.default or (each.name != "ids" and not value and value != 0):
                continue
            if each.name in ("taken_from", "taken_before"):
                value = moment_in_words(value)
            words = ", ".join(map(str, sorted(value))) if _is_several(value) else str(value)
            yield each.name.replace("_", " ") if value is True else f"{each.name.replace('_', ' ')} {words}"

    def mask(self, shard: Shard) -> Mask:
        """Return which rows of a shard satisfy all conditions.

        Raises:
            ConfigError: if groups are asked for, which the gallery as a whole knows (:meth:`Reader.select`).
        """
        if self.groups:
            raise ConfigError(f"a shard knows no groups: got {sorted(self.groups)}. Fix: select rows of the gallery")
        keep: Mask = np.ones(len(shard), np.bool_)
        for mask in self._masks(shard):
            keep &= mask
        return keep

    def _masks(self, shard: Shard) -> Iterator[Mask]:
        """Yield which rows satisfy each of the conditions that are asked for."""
        if not self.junk:
            yield shard.column("role").to_numpy() != int(Role.JUNK)
        if self.ids is not None:
            yield np.isin(shard.ids, np.fromiter(self.ids, np.int64))
        if self.not_ids:
            yield ~np.isin(shard.ids, np.fromiter(self.not_ids, np.int64))
        if self.cameras:
            yield _is_in(shard.column("camid"), self.cameras)
        if self.not_cameras:
            yield ~_is_in(shard.column("camid"), self.not_cameras)
        if self.people:
            yield _is_in(shard.column("pid"), self.people)
        if self.taken_from is not None:
            yield _filled(pc.greater_equal(shard.column("taken"), self.taken_from))
        if self.taken_before is not None:
            yield _filled(pc.less(shard.column("taken"), self.taken_before))
        yield from self._masks_of_words(shard)

    def _masks_of_words(self, shard: Shard) -> Iterator[Mask]:
        if self.collections:
            yield _of_texts(shard.column("collection"), lambda text: text in self.collections)
        if self.tags:
            wanted = set(self.tags)
            yield _of_texts(shard.column("tags"), lambda text: wanted <= set(text.split(TAGS)))
        if self.attributes is not None:
            yield match_predictions(shard.part("attributes"), self.attributes).numpy()


def conditions_of(queries: int, where: Where | Sequence[Where] | None) -> list[Where]:
    """Return the conditions of each of some queries.

    Args:
        queries: the number of queries.
        where: conditions for all queries, or those of each.

    Raises:
        ShapeError: if there are conditions for more or fewer queries.
    """
    if where is None or isinstance(where, Where):
        return [where or Where()] * queries
    if len(where) != queries:
        raise ShapeError(
            f"each query needs conditions of its own: got {len(where)} for {queries} queries. Fix: give one Where for "
            "all queries, or one for each"
        )
    return list(where)


def check_64_bits(name: str, values: Collection[int]) -> None:
    """Check that numbers can be stored.

    Raises:
        ConfigError: if one cannot.
    """
    for value in values:
        if not -(2**63) <= value < 2**63:
            raise ConfigError(
                f"a number is too large for {name}: got {value}, expected -2^63 to 2^63 - 1. Fix: check the number"
            )


def moment(text: str) -> int:
    """Return a moment in milliseconds of Unix time: a date or a date with a time, of this computer's zone by default.

    A space may stand for the T, and letters may be small.

    Raises:
        ConfigError: if it is none.
    """
    try:
        if not _MOMENT.fullmatch(text):
            raise ValueError
        found = datetime.fromisoformat(re.sub("z$", "+00:00", text, flags=re.IGNORECASE).upper())
        return int(found.astimezone(timezone.utc).timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        raise ConfigError(
            f"no moment: got {text!r}, expected a date or a date with a time. Fix: write 2024-05-01, 2024-05-01T12:30, "
            "2024-05-01T12:30:00+02:00 or 2024-05-01T10:30:00Z"
        ) from None


def moment_in_words(moment: int) -> str:
    """Return a moment in milliseconds of Unix time in words, of UTC; its number where no calendar has it.

    >>> moment_in_words(1714557600000)
    '2024-05-01T10:00:00+00:00'
    """
    try:
        return datetime.fromtimestamp(moment / 1000, timezone.utc).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return str(moment)


def _is_several(value: object) -> bool:
    return isinstance(value, Collection) and not isinstance(value, str)


def was_before(shard: Shard, limit: int) -> Mask:
    """Return which rows are from before a moment: taken before it or, where that is unknown, added before it."""
    taken = shard.column("taken")
    return np.asarray(pc.less(pc.coalesce(taken, shard.column("added")), limit).to_numpy(zero_copy_only=False))


def _is_in(column: pa.Array, values: Collection[int]) -> Mask:
    found = pc.is_in(column, value_set=pa.array(list(values), pa.int64()))
    return np.asarray(found.to_numpy(zero_copy_only=False))


def _filled(found: pa.Array) -> Mask:
    return np.asarray(found.fill_null(False).to_numpy(zero_copy_only=False))


def _of_texts(column: pa.DictionaryArray, holds: Any) -> Mask:
    """Return which rows have a text of which ``holds`` is true; each different text is asked about once."""
    answers = np.array([text is not None and bool(holds(text)) for text in column.dictionary.to_pylist()] + [False])
    places = column.indices.fill_null(len(answers) - 1).to_numpy(zero_copy_only=False)
    found: Mask = answers[places]
    return found
