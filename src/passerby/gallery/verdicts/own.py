"""The calibration of a gallery by its own pairs: those that people confirmed or rejected, and its different people.

Pairs of the same person are the confirmed ones. Pairs of different people are the rejected ones and those among sampled
rows (:mod:`passerby.gallery.verdicts.pairs`). Of random pairs a few are of one person, as near to each other as
confirmed pairs: random pairs between two deciles of the confirmed distances count less by a tenth of the share of same
pairs. That share is the largest one that leaves no negative count, at most the assumed one.

A person confirms what a search has found, which is near. True matches that lie far away are missing among the confirmed
pairs: *no evidence* and the true-positive rates that are measured speak of pairs like the confirmed ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from passerby.errors import ConfigError, ProtocolError
from passerby.gallery.store.manifest import Manifest
from passerby.gallery.verdicts.pairs import Places, chosen_pairs
from passerby.gallery.verdicts.rows import UNKNOWN, Numbers, Rows
from passerby.metrics.calibration import SAME_AT, Calibration
from passerby.metrics.false_matches import PairKind, PairSample
from passerby.metrics.open_set import PAIRS_AT_A_RATE, Pairs
from passerby.metrics.probability import Method, fit
from passerby.metrics.verification import fit_thresholds, measure
from passerby.types import Protocol

CONFIRMED, PEOPLE = 20, 10
"""The number of confirmed pairs, and of the people that they show, which a calibration needs at least."""
DIFFERENT = round(PAIRS_AT_A_RATE / SAME_AT)
"""The number of pairs of different people which a calibration needs at least."""
_PARTS = 10
"""The number of parts of the confirmed distances in which random pairs of one person are counted."""

Answer = tuple[int, int, bool]
"""The IDs of two rows, and whether they show the same person."""


@dataclass(frozen=True)
class FromPairs:
    """The calibration of a gallery by its own pairs, and how many there were."""

    calibration: Calibration
    confirmed: int
    rejected: int
    kind: PairKind
    """The kind of the other pairs of different people."""
    same: float | None
    """The share of the random ones that is estimated to be of one person; ``None`` for other kinds."""


def calibrate_rows(
    rows: Rows, answers: Iterable[Answer], manifest: Manifest, *, place: str, method: Method = "logistic", seed: int = 0
) -> FromPairs:
    """Fit P(same person) to the answers about a gallery's rows and to its pairs of different people.

    Args:
        answers: the confirmed and rejected pairs.
        manifest: the gallery.
        place: its path, to be named.
        seed: random seed of the halves that it is measured on.

    Raises:
        ConfigError: if a row does not exist.
        ProtocolError: if there are too few pairs.
    """
    normalize, draw = manifest.origin.normalize, int(manifest.gallery[:8], 16)
    asked, same = _places(rows, answers)
    kind, others = chosen_pairs(rows, seed=draw, enough=DIFFERENT)
    people = _components(len(rows), asked, same, rows)
    _check(asked, same, len(others), len(set(people[asked.first[same]].tolist())))
    judged = asked.compared(rows, "people", normalize=normalize).distances
    sampled = others.compared(rows, kind, normalize=normalize)
    counts, share = _counts(sampled, judged[torch.from_numpy(same)])
    sides = _Sides(asked, same, judged, others, sampled.distances, counts)
    everything = sides.pairs(np.ones(len(rows), np.bool_))
    half = _half(people, asked.first[same], seed)
    fitted, measured = sides.pairs(half), sides.pairs(~half)
    held_out = measure(fit(fitted, method), fit_thresholds(fitted), fitted.prior, measured)
    how = Protocol(normalize=normalize, flip_tta=manifest.origin.flip_tta, ignore_same_camera=False)
    calibration = Calibration(
        fit(everything, method), fit_thresholds(everything), len(everything.same), everything.total, how,
        manifest.origin.fingerprint, place, manifest.gallery, seed, held_out,
    )  # fmt: skip
    return FromPairs(calibration, int(same.sum()), int((~same).sum()), kind, share)


@dataclass(frozen=True, eq=False)
class _Sides:
    """The answers and the other pairs of different people, with distances."""

    asked: Places
    same: NDArray[np.bool_]
    judged: Tensor
    others: Places
    distances: Tensor
    counts: Tensor

    def pairs(self, among: NDArray[np.bool_]) -> Pairs:
        """Return the pairs of which both rows are among some."""
        mine = among[self.asked.first] & among[self.asked.second]
        kept = torch.from_numpy(among[self.others.first] & among[self.others.second]) & (self.counts > 0)
        rejected = self.judged[torch.from_numpy(mine & ~self.same)]
        different = torch.cat([self.distances[kept], rejected])
        counts = torch.cat([self.counts[kept], torch.ones_like(rejected)])
        return Pairs.from_distances(self.judged[torch.from_numpy(mine & self.same)], different, counts)


def _places(rows: Rows, answers: Iterable[Answer]) -> tuple[Places, NDArray[np.bool_]]:
    """Return the rows of the answers, and which of them are confirmed."""
    given = list(answers)
    ids = np.array([(a, b) for a, b, _ in given], np.int64).reshape(-1, 2)
    places = np.searchsorted(rows.ids, ids)
    known = places < len(rows)
    known[known] = rows.ids[places[known]] == ids[known]
    if not known.all():
        raise ConfigError(
            f"{int((~known).sum()):,} rows of the pairs are not in the gallery, the first has the ID {ids[~known][0]}. "
            "Fix: take IDs that a search shows"
        )
    return Places(places[:, 0], places[:, 1]), np.array([same for _, _, same in given], np.bool_)


def _check(asked: Places, same: NDArray[np.bool_], others: int, people: int) -> None:
    if (confirmed := int(same.sum())) < CONFIRMED or people < PEOPLE:
        raise ProtocolError(
            f"too few confirmed pairs to calibrate: got {confirmed:,} of {people:,} people, expected at least "
            f"{CONFIRMED} of {PEOPLE}. Fix: confirm further pairs, passerby gallery confirm"
        )
    if (different := others + len(asked) - confirmed) < DIFFERENT:
        raise ProtocolError(
            f"too few pairs of different people to calibrate: got {different:,}, expected at least {DIFFERENT:,}. "
            "Fix: add further images to the gallery; 150 have as many pairs"
        )


def _components(count: int, asked: Places, same: NDArray[np.bool_], rows: Rows) -> Numbers:
    """Return a number for each row which those of one person, as far as is known, have in common."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    first, second = [asked.first[same]], [asked.second[same]]
    for label in (rows.pid, rows.tracklet):
        ordered = np.lexsort((np.arange(count), label))
        alike = (label[ordered][1:] == label[ordered][:-1]) & (label[ordered][1:] != UNKNOWN)
        first.append(ordered[:-1][alike])
        second.append(ordered[1:][alike])
    a, b = np.concatenate(first), np.concatenate(second)
    graph = coo_matrix((np.ones(len(a), np.int8), (a, b)), shape=(count, count))
    found: Numbers = connected_components(graph, directed=False)[1].astype(np.int64)
    return found


def _half(people: Numbers, confirmed: Numbers, seed: int) -> NDArray[np.bool_]:
    """Return which rows are of one half of the people; of those with confirmed pairs exactly one half."""
    draw = np.random.default_rng(seed)
    chosen = draw.random(int(people.max()) + 1) < 0.5
    shown = np.unique(people[confirmed])
    chosen[draw.permutation(shown)] = np.arange(len(shown)) < len(shown) // 2
    return chosen[people]


def _counts(sampled: PairSample, confirmed: Float[Tensor, " m"]) -> tuple[Float[Tensor, " n"], float | None]:
    """Return how many pairs of different people each sampled one stands for, and the share of same pairs."""
    counts = torch.ones(len(sampled), dtype=torch.float64)
    if not sampled.same:
        return counts, None
    edges = confirmed.double().quantile(torch.linspace(0, 1, _PARTS + 1, dtype=torch.float64))[1:]
    part = torch.searchsorted(edges, sampled.distances.double())  # the nearest pair of all is in the first part
    found = torch.bincount(part, minlength=_PARTS + 1)[:_PARTS].double()
    share = min(sampled.same, (found.cumsum(0) / torch.arange(1, _PARTS + 1) * _PARTS).min().item() / len(sampled))
    expected = share * len(sampled) / _PARTS
    kept = torch.where(found > 0, (1 - expected / found.clamp_min(1)).clamp_min(0), 1.0)
    return torch.cat([kept, torch.ones(1, dtype=torch.float64)])[part], share


def answers_of(lines: Sequence[tuple[str, str, str]]) -> list[Answer]:
    """Return the answers that lines of a table tell: two IDs, and 1 or 0, yes or no, true or false.

    Raises:
        ConfigError: if a line tells something else, or two lines contradict each other.
    """
    words = {"1": True, "yes": True, "true": True, "0": False, "no": False, "false": False}
    found: dict[tuple[int, int], bool] = {}
    for number, (a, b, word) in enumerate(lines, 2):
        same = words.get(word.strip().lower())
        if not (a.strip().isdecimal() and b.strip().isdecimal()) or same is None or int(a) == int(b):
            raise ConfigError(
                f"line {number} of the pairs is '{a},{b},{word}': expected two IDs of rows, and 1 (one person) or 0. "
                "Fix: correct it"
            )
        pair = min(int(a), int(b)), max(int(a), int(b))
        if found.setdefault(pair, same) != same:
            raise ConfigError(
                f"line {number} of the pairs contradicts an earlier one about the rows {a} and {b}. Fix: remove one"
            )
    return [(a, b, same) for (a, b), same in found.items()]
