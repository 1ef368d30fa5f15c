"""Search by an engine: it proposes rows, the ranking core compares them as they are in the shards."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from passerby.gallery.engines.protocol import Engine, Held, Ids
from passerby.gallery.store.search import Selection, rank_rows, search
from passerby.gallery.store.where import Where
from passerby.retrieval.distance.euclidean import l2_normalize
from passerby.types import Ranking

FEW = 50_000
"""The number of rows up to which all are compared without the engine."""
LEAST, MOST = 400, 10_000
"""The number of candidates that an engine is asked for at first, at least, and at most."""
_FACTOR = 4
"""The ratio of candidates asked for next, where too few are left, to those before."""


def search_by(
    engine: Engine, held: Held, selection: Selection, query: Float[Tensor, "q d"], k: int, where: Where, *,
    normalize: bool,
) -> Ranking:  # fmt: skip
    """Return the k nearest of the selected rows for each query, as far as an engine finds them.

    Rows that the engine does not hold yet are searched in the shards, exactly. A query for which it finds too few rows
    that are still there and satisfy all conditions is searched exactly, too.

    Args:
        held: what the engine holds.
        selection: the rows that satisfy the conditions.
        k: the number of rows, at most that of the selected ones.
        where: the conditions that selected the rows.
    """
    settled = [shard.ids <= held.last_id for shard in selection.shards]
    old = Selection(selection.shards, [mask & below for mask, below in zip(selection.masks, settled, strict=True)])
    new = Selection(selection.shards, [mask & ~below for mask, below in zip(selection.masks, settled, strict=True)])
    if len(old) <= FEW or 2 * k > MOST:
        return search(selection, query, k, normalize=normalize)
    recent = _recent(new, query, k, normalize=normalize)
    proposed = _proposed(engine, old, l2_normalize(query) if normalize else query, k, where)
    found = []
    for row, own, further in zip(query.split(1), proposed, recent, strict=True):
        if own is None:
            found.append(search(selection, row, k, normalize=normalize))
        else:
            rows = np.union1d(own, further)
            found.append(rank_rows(selection, rows, row, k, normalize=normalize))
    return Ranking(torch.cat([each.indices for each in found]), torch.cat([each.distances for each in found]))


def _recent(new: Selection, query: Tensor, k: int, *, normalize: bool) -> Sequence[NDArray[np.int64]]:
    """Return the nearest of the rows that the engine does not hold."""
    if not len(new):
        return [np.empty(0, np.int64)] * len(query)
    return list(search(new, query, min(k, len(new)), normalize=normalize).indices.numpy())


def _proposed(engine: Engine, old: Selection, vectors: Tensor, k: int, where: Where) -> list[Ids | None]:
    """Return the rows that an engine proposes and that may be found; ``None`` for queries with too few of them."""
    count = max(LEAST, 2 * k)
    found: list[Ids | None] = [None] * len(vectors)
    rest = list(range(len(vectors)))
    while rest and count <= MOST:
        answers = engine.candidates(vectors[rest], count, where)
        for place, ids in zip(rest, answers, strict=True):
            if len(rows := rows_of(old, ids)) >= max(k, min(count, LEAST) // 2):
                found[place] = rows
        rest = [place for place in rest if found[place] is None]
        count *= _FACTOR
    return found


def rows_of(selection: Selection, ids: Ids) -> Ids:
    """Return the selected rows with some IDs; those that are gone, or not selected, are left out."""
    wanted = np.unique(ids)
    firsts = np.array([shard.ids[0] for shard in selection.shards])
    shards = np.searchsorted(firsts, wanted, side="right") - 1
    found = []
    for number in np.unique(shards[shards >= 0]).tolist():
        shard, mask = selection.shards[number], selection.masks[number]
        here = wanted[shards == number]
        places = np.searchsorted(shard.ids, here)
        places = places[shard.ids[np.minimum(places, len(shard) - 1)] == here]
        found.append(places[mask[places]] + selection.starts[number])
    return np.concatenate(found) if found else np.empty(0, np.int64)
