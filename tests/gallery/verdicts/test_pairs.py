"""The pairs of a gallery's own rows, against slow rules."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch

from passerby.gallery.verdicts import pairs as module
from passerby.gallery.verdicts.pairs import assumed_share, chosen_pairs, own_pairs
from passerby.gallery.verdicts.rows import UNKNOWN, Rows
from passerby.metrics.false_matches import ENOUGH
from passerby.types import Embeddings, Role


def rows(n: int = 150, **known: Any) -> Rows:
    """Return rows with random embeddings, and unknown labels where none are given."""
    vectors = torch.randn(n, 8, generator=torch.Generator().manual_seed(0))
    columns = {name: np.full(n, UNKNOWN) for name in ("pid", "camid", "tracklet", "seen_from", "seen_until")}
    given = {name: np.asarray(values, np.int64) for name, values in known.items() if name != "distractor"}
    distractor = np.asarray(known.get("distractor", np.zeros(n)), np.bool_)
    return Rows(
        ids=np.arange(n),
        **{**columns, **given},
        distractor=distractor,
        read=lambda places: vectors[torch.from_numpy(places)],
    )


def found_pairs(of: Rows, *, enough: int = ENOUGH) -> tuple[str, set[tuple[int, int]]]:
    """Return kind and rows of the pairs, once their distances are those of their rows."""
    kind, places = chosen_pairs(of, enough=enough)
    vectors = of.read(np.arange(len(of)))
    expected = (vectors[torch.from_numpy(places.first)] - vectors[torch.from_numpy(places.second)]).square().sum(1)
    compared = places.compared(of, kind, normalize=False)
    torch.testing.assert_close(compared.distances, expected.double(), rtol=1e-4, atol=1e-4)
    ordered = [tuple(sorted(pair)) for pair in zip(places.first.tolist(), places.second.tolist(), strict=True)]
    assert len(set(ordered)) == len(ordered) == len(compared)
    return kind, set(ordered)  # type: ignore[arg-type]


def test_different_known_people_and_distractors() -> None:
    pid = [place % 40 if place < 130 else UNKNOWN for place in range(150)]
    distractor = [place >= 120 and place < 130 for place in range(150)]
    kind, found = found_pairs(rows(pid=pid, distractor=distractor))
    expected = {
        (a, b) for a, b in combinations(range(130), 2)
        if not (distractor[a] and distractor[b]) and (pid[a] != pid[b] or distractor[a] or distractor[b])
    }  # fmt: skip
    assert (kind, found) == ("people", expected)


def test_overlapping_tracklets_of_one_camera() -> None:
    draw = np.random.default_rng(0)
    begin = draw.integers(0, 1000, 50).repeat(3)
    t, c, s, u = np.arange(50).repeat(3), (np.arange(50) % 2).repeat(3), begin, begin + 100
    kind, found = found_pairs(rows(tracklet=t, camid=c, seen_from=s, seen_until=u), enough=50)
    expected = {
        (a, b) for a, b in combinations(range(150), 2)
        if t[a] != t[b] and c[a] == c[b] and s[a] <= u[b] and s[b] <= u[a]
    }  # fmt: skip
    assert (kind, found) == ("tracklets", expected)


def test_random_pairs_are_of_different_tracklets() -> None:
    tracklet = np.arange(150) // 5
    kind, found = found_pairs(rows(tracklet=tracklet, camid=tracklet % 3))
    assert (kind, found) == ("random", {(a, b) for a, b in combinations(range(150), 2) if tracklet[a] != tracklet[b]})
    _, found = found_pairs(rows(camid=np.zeros(150)))
    assert len(found) == 150 * 149 // 2


def test_few_pairs_of_people_give_way_to_random_ones() -> None:
    pid = [0, 1, *[UNKNOWN] * 148]
    found = own_pairs(rows(pid=pid), normalize=True)
    assert found is not None
    assert (found.kind, found.same) == ("random", assumed_share(150))
    assert own_pairs(rows(1), normalize=True) is None


def test_a_large_gallery_is_sampled_and_the_answer_can_be_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAMPLED", 100)
    one, again, other = (own_pairs(rows(400), normalize=True, seed=s) for s in (5, 5, 6))
    assert one
    assert again
    assert other
    assert len(one) == 4950
    assert torch.equal(one.distances, again.distances)
    assert not torch.equal(one.distances, other.distances)


def test_labels_of_a_gallery_in_memory() -> None:
    roles = torch.tensor([Role.PERSON, Role.DISTRACTOR, Role.PERSON])
    known = Rows.of(
        Embeddings(torch.eye(3), ("a", "b", "c"), torch.tensor([4, 0, -1]), torch.tensor([1, 2, -1]), roles)
    )
    assert known.pid.tolist() == [4, 0, UNKNOWN]
    assert known.distractor.tolist() == [False, True, False]
    assert known.camid.tolist() == [1, 2, UNKNOWN]
    assert set(known.tracklet.tolist()) == {UNKNOWN}
