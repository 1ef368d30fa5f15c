"""Pairs of a gallery's own rows that cannot show one person, or random ones of which few do, and their distances.

=========  ==========================================================================================================
people     rows of different known people; a distractor and a known person are different, too
tracklets  rows of one camera whose tracklets overlap in time: one person is not in two places
random     any rows that are not of one tracklet or one known person. Those of one camera count, too: a search finds
           them, and where a calibration fails, it may fail among them alone
=========  ==========================================================================================================

The first of these kinds of which there are enough pairs decides. A sample of rows that depends on the gallery and its
version only is taken, so that an answer can be repeated; the pairs among them are compared by the ranking core.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from passerby.gallery.verdicts.rows import UNKNOWN, Numbers, Rows
from passerby.metrics.false_matches import ENOUGH, PairKind, PairSample
from passerby.retrieval.distance.compare import compare_vectors

SAMPLED = 1024
"""The number of rows whose pairs are compared."""
NEIGHBORS = 64
"""The number of rows of overlapping tracklets that a row is compared with, at most."""
IMAGES_OF_A_PERSON = 20
"""The number of images of one person that a gallery is assumed to hold at most, where people are unknown."""


def assumed_share(rows: int) -> float:
    """Return the share of pairs of so many rows that is assumed to be of one person at most.

    >>> assumed_share(20_000)
    0.001
    """
    return min(0.5, IMAGES_OF_A_PERSON / max(1, rows))


def own_pairs(rows: Rows, *, normalize: bool, seed: int = 0) -> PairSample | None:
    """Return pairs of a gallery's own rows; ``None`` where there is none.

    Args:
        normalize: L2-normalize embeddings, as searches do.
        seed: what decides which rows are sampled.
    """
    kind, places = chosen_pairs(rows, seed=seed)
    return places.compared(rows, kind, normalize=normalize) if len(places) else None


def chosen_pairs(rows: Rows, *, seed: int = 0, enough: int = ENOUGH) -> tuple[PairKind, Places]:
    """Return the rows of the pairs of the first kind of which there are enough, or else of the most frequent kind."""
    draw = np.random.default_rng(seed)
    kinds: dict[PairKind, Callable[[], Places]] = {
        "people": lambda: _of_people(rows, draw),
        "tracklets": lambda: _of_tracklets(rows, draw),
        "random": lambda: _random(rows, draw),
    }
    found: dict[PairKind, Places] = {}
    for kind, places in kinds.items():
        found[kind] = places()
        if len(found[kind]) >= enough:
            return kind, found[kind]
    return max(found.items(), key=lambda each: len(each[1]))


@dataclass(frozen=True, eq=False)
class Places:
    """The two rows of each of some pairs."""

    first: Numbers
    second: Numbers

    def __len__(self) -> int:
        return len(self.first)

    def compared(self, rows: Rows, kind: PairKind, *, normalize: bool) -> PairSample:
        """Return the pairs with their distances."""
        taken = np.zeros(len(rows), np.bool_)
        taken[self.first] = taken[self.second] = True
        needed, number = np.flatnonzero(taken), np.cumsum(taken) - 1
        vectors = rows.read(needed)
        images = torch.from_numpy(np.stack([number[self.first], number[self.second]], axis=1))
        comparison = compare_vectors(vectors, vectors, normalize=normalize)
        if len(images) * 2 > len(needed):
            matrix = comparison.block(torch.arange(len(needed)))
            distances = matrix[images[:, 0], images[:, 1]]
        else:
            distances = comparison.pairs(images[:, 0], images[:, 1])
        if kind != "random":
            return PairSample(kind, distances.double(), images)
        return PairSample(kind, distances.double(), images, assumed_share(len(rows)), _partners(len(needed), len(rows)))


def _partners(sampled: int, rows: int) -> float:
    """Return how many others of its person an image has among the sampled at most; of a part, with three sigmas."""
    expected = (IMAGES_OF_A_PERSON - 1) * sampled / rows
    return expected + 3 * math.sqrt(expected * (1 - sampled / rows))


def _of_people(rows: Rows, draw: np.random.Generator) -> Places:
    known = np.flatnonzero((rows.pid != UNKNOWN) | rows.distractor)
    sample = _sampled(known, draw)
    pid, distractor = np.where(rows.distractor, UNKNOWN, rows.pid)[sample], rows.distractor[sample]
    different = (pid[:, None] != pid) & ~(distractor[:, None] & distractor)
    return _pairs_where(sample, different)


def _random(rows: Rows, draw: np.random.Generator) -> Places:
    sample = _sampled(np.arange(len(rows)), draw)
    tracklet, pid = rows.tracklet[sample], rows.pid[sample]
    together = ((tracklet[:, None] == tracklet) & (tracklet != UNKNOWN)) | ((pid[:, None] == pid) & (pid != UNKNOWN))
    return _pairs_where(sample, ~together)


def _of_tracklets(rows: Rows, draw: np.random.Generator) -> Places:
    known = np.flatnonzero((rows.tracklet != UNKNOWN) & (rows.seen_from != UNKNOWN) & (rows.camid != UNKNOWN))
    ordered = known[np.lexsort((rows.seen_from[known], rows.camid[known]))]
    first = np.sort(draw.permutation(len(ordered))[:SAMPLED])
    second = first[:, None] + np.arange(1, NEIGHBORS + 1)
    inside = second < len(ordered)
    a = np.broadcast_to(ordered[first][:, None] if len(first) else np.empty((0, 1), np.int64), second.shape)
    b = ordered[np.where(inside, second, 0)] if len(ordered) else second
    apart = (rows.camid[a] == rows.camid[b]) & (rows.tracklet[a] != rows.tracklet[b])
    chosen = inside & apart & (rows.seen_from[b] <= rows.seen_until[a])
    return Places(a[chosen], b[chosen])


def _sampled(among: Numbers, draw: np.random.Generator) -> Numbers:
    return np.sort(draw.choice(among, SAMPLED, replace=False)) if len(among) > SAMPLED else among


def _pairs_where(sample: Numbers, chosen: NDArray[np.bool_]) -> Places:
    first, second = np.nonzero(np.triu(chosen, 1))
    return Places(sample[first], sample[second])
