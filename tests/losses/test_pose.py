"""The losses of a pose network against loops, by hand, and by gradcheck."""

from __future__ import annotations

import math

import pytest
import torch

from passerby.losses.pose import coordinate_loss, presence_loss, soft_labels


def literal(scores: torch.Tensor, positions: torch.Tensor, weight: torch.Tensor, sigma: float) -> float:
    """Return Σ_j w_j Σ_i q_i (ln q_i − ln p_i) ÷ Σ_j w_j, one number at a time."""
    total = 0.0
    b, j, n = scores.shape
    for row in range(b):
        for keypoint in range(j):
            e = [math.exp(scores[row, keypoint, i].item()) for i in range(n)]
            g = [math.exp(-((i + 0.5 - n * positions[row, keypoint].item()) ** 2) / (2 * sigma**2)) for i in range(n)]
            q = [v / sum(g) for v in g]
            p = [v / sum(e) for v in e]
            total += weight[row, keypoint].item() * sum(a * math.log(a / c) for a, c in zip(q, p, strict=True) if a > 0)
    return total / weight.sum().item()


def sample() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(2, 3, 5, generator=generator, dtype=torch.float64)
    weight = torch.tensor([[1.0, 0.5, 0.0], [1.0, 1.0, 0.5]], dtype=torch.float64)
    return scores, torch.rand(2, 3, generator=generator, dtype=torch.float64), weight


def test_the_coordinate_loss_is_the_formula() -> None:
    scores, positions, weight = sample()
    assert coordinate_loss(scores, positions, weight, sigma=0.8).item() == pytest.approx(
        literal(scores, positions, weight, 0.8)
    )


def test_the_gradient_of_the_coordinate_loss() -> None:
    scores, positions, weight = sample()
    scores.requires_grad_()
    assert torch.autograd.gradcheck(lambda s: coordinate_loss(s, positions, weight, sigma=0.8), (scores,))


def test_scores_equal_to_the_label_have_no_loss() -> None:
    positions = torch.tensor([[0.3, 0.9]])
    perfect = soft_labels(positions, 8, 1.0).log()
    assert coordinate_loss(perfect, positions, torch.ones(1, 2), sigma=1.0).item() == pytest.approx(0, abs=1e-6)


def test_labels_peak_at_the_position() -> None:
    labels = soft_labels(torch.tensor([[2.5 / 8, 0.5]]), 8, 1.0)
    assert labels.sum(-1).tolist() == [[pytest.approx(1), pytest.approx(1)]]
    assert labels[0, 0].argmax() == 2
    assert labels[0, 1, 3] == labels[0, 1, 4]  # half-way between two bins


@pytest.mark.parametrize("place", [5.0, -3.0, math.inf, math.nan])
def test_a_keypoint_without_weight_may_be_anywhere(place: float) -> None:
    scores, positions, weight = sample()
    elsewhere = positions.clone()
    elsewhere[0, 2] = place  # of weight 0
    wanted = coordinate_loss(scores, positions, weight, sigma=1.0)
    assert coordinate_loss(scores, elsewhere, weight, sigma=1.0).item() == wanted.item()


def test_a_batch_without_keypoints_has_no_loss() -> None:
    scores, positions, weight = sample()
    scores.requires_grad_()
    loss = coordinate_loss(scores, positions, torch.zeros_like(weight), sigma=1.0)
    loss.backward()
    assert loss.item() == 0
    assert scores.grad is not None
    assert not scores.grad.any()


def test_the_presence_loss_by_hand() -> None:
    scores, inside = torch.tensor([[0.0, math.log(3), 9.0]]), torch.tensor([[1.0, 0.0, 0.0]])
    loss = presence_loss(scores, inside, torch.tensor([[True, True, False]]))
    assert loss.item() == pytest.approx((math.log(2) + math.log(4)) / 2)


def test_the_presence_loss_is_the_mean_over_known_keypoints_and_0_without_any() -> None:
    generator = torch.Generator().manual_seed(0)
    scores, inside = torch.randn(4, 18, generator=generator), torch.ones(4, 18)
    known = torch.ones(4, 18, dtype=torch.bool)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(scores, inside)
    torch.testing.assert_close(presence_loss(scores, inside, known), expected)
    scores.requires_grad_()
    nothing = presence_loss(scores, inside, ~known)
    nothing.backward()
    assert nothing.item() == 0
    assert scores.grad is not None
    assert not scores.grad.any()
