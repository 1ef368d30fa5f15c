"""The batches of a round: clusters in turn, images of different cameras, and the same ones for one seed."""

from __future__ import annotations

import torch

from passerby.training.adapt.sampler import ClusterSampler

LABELS = torch.tensor([0] * 6 + [1] * 3 + [2] * 2 + [-1] * 4 + [3] * 5)
CAMERAS = torch.tensor([0, 0, 0, 0, 1, 2, 0, 1, 2, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 2])


def sampler(*, p: int = 2, k: int = 3, steps: int = 6, seed: int = 0, cameras: bool = True) -> ClusterSampler:
    return ClusterSampler(LABELS, CAMERAS if cameras else None, p=p, k=k, steps=steps, seed=seed)


def test_a_batch_is_p_clusters_of_k_images_and_no_outliers() -> None:
    for batch in sampler():
        assert len(batch) == 6
        labels = LABELS[batch].view(2, 3)
        assert (labels == labels[:, :1]).all()
        assert labels[0, 0] != labels[1, 0]
        assert (labels >= 0).all()


def test_every_cluster_comes_before_any_comes_again() -> None:
    batches = list(sampler())
    for one, other in zip(batches[::2], batches[1::2], strict=True):
        assert set(LABELS[one + other].tolist()) == {0, 1, 2, 3}
    odd = [label for batch in sampler(p=3, steps=8) for label in LABELS[batch[::3]].tolist()]
    for end in range(3, 25, 3):
        counts = torch.bincount(torch.tensor(odd[:end]), minlength=4)
        assert counts.max() - counts.min() <= 2


def test_images_are_of_as_many_cameras_as_the_cluster_has() -> None:
    for batch in sampler(steps=20):
        for rows in torch.tensor(batch).view(2, 3):
            has = len(CAMERAS[LABELS[rows[0]] == LABELS].unique())
            assert len(CAMERAS[rows].unique()) == min(3, has)
    plain = [len(CAMERAS[batch[:3]].unique()) for batch in sampler(steps=40, cameras=False) if LABELS[batch[0]] == 0]
    assert min(plain) < 3


def test_clusters_of_few_images_repeat_some() -> None:
    rows = [row for batch in sampler(k=4) for row in batch if LABELS[row] == 2]
    assert {rows.count(9), rows.count(10)} == {len(rows) // 2}


def test_fewer_clusters_than_p_are_all_taken() -> None:
    assert all(len(batch) == 4 * 3 for batch in sampler(p=9))


def test_seed_and_round_decide_the_batches() -> None:
    one = sampler()
    first = list(one)
    assert first == list(sampler())
    assert first != list(sampler(seed=1))
    one.epoch = 1
    assert first != list(one)
