"""The protocol of engines, and the rows that they are sent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from passerby.errors import OutputError
from passerby.gallery.store.where import Where

Ids = NDArray[np.int64]


class EngineError(OutputError):
    """The error of an engine that cannot be reached, refuses a login or cannot do what it is asked for."""


class Held(NamedTuple):
    """The content of an engine."""

    last_id: int
    """The ID up to which it holds all rows; -1 if it holds none."""
    version: int
    """The version of the gallery's shards that it was brought to; -1 if to none."""


NOTHING = Held(-1, -1)
"""The content of an engine without any."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """Some rows of a gallery, with what a search may ask of them; ``None`` is unknown."""

    ids: Ids
    vectors: Float[Tensor, "n d"]
    """The embeddings as they are compared: L2-normalized where the gallery says so."""
    junk: Sequence[bool]
    cameras: Sequence[int | None]
    people: Sequence[int | None]
    taken: Sequence[int | None]
    """The moments when they were taken, in milliseconds of Unix time."""
    tags: Sequence[Sequence[str]]
    collections: Sequence[str | None]

    def __len__(self) -> int:
        return len(self.ids)


class Engine(Protocol):
    """A database that holds the vectors of one gallery. Every method raises :class:`EngineError` if it cannot."""

    keeps_deleted: str
    """The words on how long its files hold the vectors of deleted rows, which begin with "until"."""

    def held(self, newest: int, version: int) -> Held:
        """Return what the engine holds.

        Args:
            newest: the ID of the gallery's newest row.
            version: the version of its shards. An engine that has told within seconds that it holds both need not look
                again, where looking takes long.
        """

    def visible(self, newest: int, version: int) -> Held:
        """Return what :meth:`candidates` sees from now on, at most what the engine holds."""

    def write(self, added: Iterable[Rows], deleted: Sequence[int], after: Held) -> None:
        """Add and delete rows, and record what the engine then holds; a failure leaves what was recorded before.

        Rows above the recorded ID that a failure has left are replaced.
        """

    def candidates(self, vectors: Float[Tensor, "q d"], k: int, where: Where) -> list[Ids]:
        """Return the IDs of about k rows near each query, fewer where the engine finds no more.

        Conditions that the engine cannot express are left out, so further rows may be among them.
        """

    def count(self, where: Where) -> int:
        """Return how many rows satisfy those of the conditions that the engine can express."""

    def ids(self, below: int) -> Ids:
        """Return the IDs of all rows that are below one, ascending."""

    def rebuild(self, rows: Iterable[Rows], after: Held) -> list[str]:
        """Make the engine's files anew, so that they hold no bytes of deleted vectors.

        Args:
            rows: all rows of the gallery, for an engine that has no way of its own.
            after: what the engine then holds, if it is made of them.

        Returns:
            sentences on what is left to the database's administrator; empty if nothing is.
        """

    def deleted(self) -> int:
        """Return how many rows were deleted since the files were made anew."""

    def about(self) -> dict[str, str | int]:
        """Return the product, its version and, if it tells, the size on its disk in bytes, as plain values."""

    def drop(self) -> None:
        """Remove all that the engine holds of the gallery."""

    def close(self) -> None:
        """Close the connections."""
