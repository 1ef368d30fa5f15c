"""PKSampler: exact shape, all people in every epoch, a function of its seed, a clean split over processes."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerby.data.sampler import PKSampler, create_sampler
from passerby.errors import ConfigError

COUNTS = st.lists(st.integers(1, 12), min_size=4, max_size=25)


def labels_of(counts: list[int]) -> list[int]:
    return [person for person, n in enumerate(counts) for _ in range(n)]


@given(counts=COUNTS, p=st.integers(2, 4), k=st.integers(1, 5), seed=st.integers(0, 9))
@pytest.mark.parametrize("epoch_of", ["images", "identities"])
def test_every_batch_is_p_people_with_k_images_and_everybody_is_seen(
    counts: list[int], p: int, k: int, seed: int, epoch_of: str
) -> None:
    labels = labels_of(counts)
    sampler = PKSampler(labels, p=p, k=k, seed=seed, epoch_of=epoch_of)  # type: ignore[arg-type]
    batches = list(sampler)
    assert len(batches) == len(sampler)
    for batch in batches:
        people = Counter(labels[row] for row in batch)
        assert len(people) == p
        assert set(people.values()) == {k}
    assert {labels[row] for batch in batches for row in batch} == set(labels)


def test_images_of_a_person_repeat_only_where_there_are_too_few() -> None:
    sampler = PKSampler(labels_of([8, 8, 8, 2]), p=2, k=4, seed=0)
    for batch in sampler:
        for person_rows in (batch[:4], batch[4:]):
            if person_rows[0] < 24:
                assert len(set(person_rows)) == 4
            else:
                assert set(person_rows) == {24, 25}


def test_each_image_comes_once_in_an_epoch_of_even_people() -> None:
    batches = list(PKSampler(labels_of([8] * 6), p=3, k=4, seed=1))
    assert sorted(row for batch in batches for row in batch) == list(range(48))


def test_same_seed_same_batches_and_epochs_differ() -> None:
    first, again, other = (PKSampler(labels_of([5] * 9), p=3, k=2, seed=s) for s in (3, 3, 4))
    assert list(first) == list(again)
    assert list(first) != list(other)
    before = list(first)
    first.epoch = 1
    assert list(first) != before


@pytest.mark.parametrize("world", [2, 3, 16])
def test_processes_take_equally_many_and_together_all(world: int) -> None:
    labels = labels_of([5] * 10)
    whole = list(PKSampler(labels, p=3, k=2, seed=0))
    shares = [list(PKSampler(labels, p=3, k=2, seed=0, rank=r, world=world)) for r in range(world)]
    assert len({len(share) for share in shares}) == 1
    assert all(len(share) == len(PKSampler(labels, p=3, k=2, seed=0, world=world)) for share in shares)
    together = [batch for step in zip(*shares, strict=True) for batch in step]
    assert together[: len(whole)] == whole


def rows_of_table() -> list[list[str]]:
    """Return the rows of the table in the docstring: p × k, an epoch, coverage, steps, never, repeated, most."""
    table = (PKSampler.__doc__ or "").split("====\n")
    return [re.split(r" {2,}", line.strip()) for line in table[2].splitlines() if "×" in line]


@pytest.mark.parametrize("row", rows_of_table(), ids=" ".join)
def test_the_counts_of_market_are_as_documented(row: list[str], market_labels: list[int]) -> None:
    p, k = map(int, row[0].split(" × "))
    labels = market_labels
    sampler = PKSampler(labels, p=p, k=k, seed=0, epoch_of=row[1], coverage=row[2])  # type: ignore[arg-type]
    seen = Counter(image for batch in sampler for image in batch)
    most = max(seen.values())
    found = [len(sampler), len(labels) - len(seen), sum(n > 1 for n in seen.values())]
    assert [*(f"{n:,}" for n in found), "twice" if most == 2 else f"{most} times"] == row[3:]


def test_market(market_labels: list[int]) -> None:
    counts = Counter(market_labels).values()
    assert (len(counts), sum(counts), min(counts), max(counts)) == (751, 12_936, 2, 72)
    assert len(rows_of_table()) == 5


@given(counts=COUNTS, p=st.integers(2, 4), k=st.integers(1, 5), seed=st.integers(0, 9))
def test_coverage_of_all_sees_every_image_and_no_person_twice_in_a_batch(
    counts: list[int], p: int, k: int, seed: int
) -> None:
    labels = labels_of(counts)
    sampler = PKSampler(labels, p=p, k=k, seed=seed, coverage="all")
    batches = list(sampler.batches())
    assert len(batches) == len(sampler)
    assert {row for batch in batches for row in batch} == set(range(len(labels)))
    for batch in batches:
        people = Counter(labels[row] for row in batch)
        assert set(people.values()) == {k}
        assert len(people) == p


def test_one_person_with_most_of_the_images_makes_more_batches() -> None:
    labels = labels_of([40, 4, 4, 4])
    assert len(list(PKSampler(labels, p=4, k=4, seed=0, coverage="all"))) == 10
    batches = list(PKSampler(labels, p=4, k=4, seed=0))  # whole groups: cut off at the average
    assert len(batches) == 4


def test_every_image_and_an_epoch_of_identities_exclude_each_other() -> None:
    with pytest.raises(ConfigError, match=r"sampler\.coverage=all .* Fix: --set sampler\.epoch_of=images"):
        create_sampler(labels_of([4] * 9), p=3, k=2, seed=0, epoch_of="identities", coverage="all")
    with pytest.raises(ConfigError, match=r"sampler\.order=random .* Fix: --set sampler\.epoch_of=images"):
        create_sampler(labels_of([4] * 9), p=3, k=2, seed=0, epoch_of="identities", order="random")


def test_random_order_shows_every_image_once_and_people_twice_in_a_batch(market_labels: list[int]) -> None:
    labels = market_labels
    sampler = create_sampler(labels, p=32, k=1, seed=0, order="random")
    batches = list(sampler)
    assert len(batches) == len(sampler) == 405
    assert {len(batch) for batch in batches} == {32}
    rows = [row for batch in batches for row in batch]
    assert sorted(rows[: len(labels)]) == list(range(len(labels)))
    assert rows[len(labels) :] == rows[:24], "the first images fill up the last batch"
    repeated = [len({labels[row] for row in batch}) < 32 for batch in batches]
    assert 0.3 < sum(repeated) / 405 < 0.8, "P32×K1 never shows two images of one person"
    assert all(len({labels[row] for row in batch}) == 32 for batch in create_sampler(labels, p=32, k=1, seed=0))


def test_random_order_is_a_function_of_seed_and_epoch_and_splits_over_processes() -> None:
    labels = labels_of([5] * 9)
    first, again, other = (create_sampler(labels, p=2, k=3, seed=s, order="random") for s in (3, 3, 4))
    assert list(first) == list(again) != list(other)
    again.epoch = 1
    assert list(first) != list(again)
    shares = [list(create_sampler(labels, p=2, k=3, seed=3, order="random", rank=r, world=3)) for r in range(3)]
    assert [batch for step in zip(*shares, strict=True) for batch in step][:8] == list(first)
    assert {len(share) for share in shares} == {3}
    with pytest.raises(ConfigError, match="a batch needs 64 images, the training split has 45"):
        create_sampler(labels, p=16, k=4, seed=0, order="random")


def test_too_few_people_is_an_error() -> None:
    with pytest.raises(ConfigError, match="a batch needs 8 different people, the training split has 3"):
        PKSampler(labels_of([4, 4, 4]), p=8, k=4, seed=0)
