"""When an adaptation ends, on records of rounds."""

from __future__ import annotations

import re

import pytest

from passerby.config import with_overrides
from passerby.training.adapt.config import AdaptConfig
from passerby.training.adapt.rounds import START, STATISTICS, Round
from passerby.training.adapt.stop import reason_to_stop, summary


def state(name: str = "round 1", quality: float = 0.5, **changes: object) -> Round:
    values = {"clusters": 40, "outliers": 100, "largest": 30, "agreement": 0.5, "loss": 2.0, **changes}
    return Round(name=name, images=1000, quality=quality, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (state(), None),
        (state(clusters=0, outliers=1000, largest=0), r"^No clusters were found: .* --set clusters.eps=0.5$"),
        (
            state(clusters=10, largest=500),
            r"^500 of 900 clustered crops are in one cluster: .* --set clusters.eps=0.3$",
        ),
        (state(clusters=1, largest=900), r"in one cluster"),
        (
            state(clusters=15),
            r"^15 clusters were found, expected at least batch.p=16: .* Fix: add crops of other people$",
        ),
        (state(agreement=0.98), r"^The clusters no longer change \(agreement 0.980"),
        (state(quality=0.39), r"^No better quality in 3 rounds.$"),
    ],
)
def test_a_run_ends_for_a_reason(last: Round, expected: str | None) -> None:
    before = [state(START, 0.3), state(STATISTICS, 0.4), state("round 1", 0.35), state("round 2", 0.38)]
    found = reason_to_stop([*before, last], AdaptConfig())
    assert found is None if expected is None else re.search(expected, found or "")


def test_the_states_before_the_first_round_are_not_compared() -> None:
    assert reason_to_stop([state(START), state(STATISTICS, agreement=1.0)], AdaptConfig()) is None


def test_the_summary_says_what_was_kept_and_why() -> None:
    rounds = [state(START, 0.3), state(STATISTICS, 0.4), state("round 1", 0.45), state("round 2", 0.41)]
    found = summary(rounds, AdaptConfig(), None)
    assert (found.adapted, found.kept, found.reason) == (True, "round 1", "All 8 rounds are done.")
    assert found.quality == {"start": 0.3, "kept": 0.45}
    quick = with_overrides(AdaptConfig(), {"quick": True})
    assert summary(rounds[:2], quick, None).reason == "Only statistics were re-estimated."
    worse = summary([state(START, 0.3), state(STATISTICS, 0.3)], AdaptConfig(), "why")  # an equal state is none better
    assert (worse.adapted, worse.kept, worse.reason) == (False, START, "why")


def test_a_state_whose_clusters_teach_nothing_is_not_kept() -> None:
    rounds = [state(START, 0.3, clusters=3), state(STATISTICS, 0.4, clusters=4)]
    assert summary(rounds, AdaptConfig(), None).kept == START
    assert summary(rounds, with_overrides(AdaptConfig(), {"quick": True}), None).kept == STATISTICS
