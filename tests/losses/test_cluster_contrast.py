"""The contrasts against literal formulas, and how the memory follows a batch."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from passerby.losses.cluster_contrast import (
    camera_contrast,
    cluster_contrast,
    mean_vectors,
    soft_cross_entropy,
    update_memory,
)


def units(n: int, seed: int) -> Tensor:
    return F.normalize(torch.randn(n, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.double), dim=1)


def test_clusters_are_told_apart_by_a_softmax() -> None:
    query, memory, labels = units(4, 0), units(3, 1), [0, 2, 2, 1]
    expected = 0.0
    for row, label in zip(query, labels, strict=True):
        scores = [math.exp(float(row @ vector) / 0.1) for vector in memory]
        expected -= math.log(scores[label] / sum(scores)) / 4
    found = cluster_contrast(query.float(), memory.float(), torch.tensor(labels), 0.1)
    assert found.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("negatives", [1, 2, 50])
def test_cameras_of_a_cluster_draw_and_the_nearest_others_push(negatives: int) -> None:
    query, memory = units(3, 0), units(6, 1)
    clusters, own = [0, 0, 0, 1, 1, 2], [0, 3, 5]  # the last cluster has one camera
    expected = 0.0
    for row, mine in zip(query, own, strict=True):
        score = [float(row @ vector) / 0.2 for vector in memory]
        draw = [j for j in range(6) if clusters[j] == clusters[mine] and j != mine] or [mine]
        push = sorted((score[j] for j in range(6) if clusters[j] != clusters[mine]), reverse=True)[:negatives]
        total = sum(math.exp(score[j]) for j in draw) + sum(map(math.exp, push))
        expected -= sum(math.log(math.exp(score[j]) / total) for j in draw) / len(draw) / 3
    found = camera_contrast(
        query.float(), memory.float(), torch.tensor(clusters), torch.tensor(own), 0.2, negatives=negatives
    )
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_gradients_are_right() -> None:
    memory, clusters, own = units(6, 1), torch.tensor([0, 0, 0, 1, 1, 2]), torch.tensor([0, 3, 5])
    query = units(3, 0).requires_grad_()
    torch.autograd.gradcheck(lambda q: camera_contrast(q, memory, clusters, own, 0.2), query)
    torch.autograd.gradcheck(lambda q: cluster_contrast(q, memory, own, 0.2), query)


def test_the_memory_follows_the_batch() -> None:
    memory, query = units(3, 1).float(), units(4, 0).float()
    labels = torch.tensor([0, 2, 0, 2])
    for hardest in (False, True):
        moved = update_memory(memory, query, labels, momentum=0.2, hardest=hardest)
        assert torch.equal(moved[1], memory[1])
        for label in (0, 2):
            mine = query[labels == label]
            target = mine[(mine @ memory[label]).argmin()] if hardest else F.normalize(mine.mean(dim=0), dim=0)
            expected = F.normalize(0.2 * memory[label] + 0.8 * target, dim=0)
            assert torch.allclose(moved[label], expected, atol=1e-6)


def test_vectors_are_unit_means() -> None:
    rows = torch.tensor([[3.0, 0.0], [1.0, 0.0], [0.0, 2.0], [2.0, 0.0]])
    found = mean_vectors(rows, torch.tensor([0, 0, 1, 1]), 2)
    assert torch.allclose(found, torch.tensor([[1.0, 0.0], [0.5**0.5, 0.5**0.5]]))


def test_attributes_are_kept_by_their_probabilities() -> None:
    scores = (torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 1.0, 0.0]]))
    same = torch.cat([group.softmax(dim=1) for group in scores], dim=1)
    entropy = -(same * same.log()).sum().item() / 2
    assert soft_cross_entropy(scores, same).item() == pytest.approx(entropy, rel=1e-5)
    assert soft_cross_entropy(scores, same.flip(1)).item() > entropy
