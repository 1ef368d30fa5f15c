"""Which rows a search may find: conditions on what is known of images, all of which must hold."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from passerby.data.attributes.query import AttributeQuery
from passerby.errors import ConfigError
from passerby.gallery.store.shard import Shard
from passerby.gallery.store.table import TAGS
from passerby.inference.attributes import match_predictions
from passerby.types import Role

Mask = NDArray[np.bool_]


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
            ConfigError: for an empty tag or collection.
        """
        for name, words in (("tag", self.tags), ("collection", self.collections)):
            if "" in words:
                raise ConfigError(f"a {name} is empty. Fix: name one, or leave the condition out")

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


def moment(text: str) -> int:
    """Return a moment in milliseconds of Unix time: a date or a date with a time, of this computer's zone by default.

    Raises:
        ConfigError: if it is none.
    """
    try:
        found = datetime.fromisoformat(text.removesuffix("Z") + "+00:00" * text.endswith("Z"))
        return int(found.astimezone(timezone.utc).timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        raise ConfigError(
            f"no moment: got {text!r}, expected 2024-05-01 or 2024-05-01T12:30:00+02:00. Fix: write it so"
        ) from None


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
