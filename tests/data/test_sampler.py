"""PKSampler: exact shape, all people in every epoch, a function of its seed, a clean split over processes."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerby.data.sampler import PKSampler
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


def test_market_steps() -> None:
    """12,936 images of 751 people at 8×4: an epoch of identities is 751 ÷ 8 steps."""
    assert len(PKSampler(labels_of([17] * 751), p=8, k=4, seed=0, epoch_of="identities")) == 94


def test_too_few_people_is_an_error() -> None:
    with pytest.raises(ConfigError, match="a batch needs 8 different people, the training split has 3"):
        PKSampler(labels_of([4, 4, 4]), p=8, k=4, seed=0)
