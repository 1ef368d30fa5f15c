"""Eq 10 and 11 of Yang et al. (2019) against literal sums, and the errors of the loss."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from passerby.errors import ConfigError
from passerby.losses.branches import BranchLoss
from passerby.types import Batch, ModelOutput

LABELS = torch.tensor([0, 2, 1, 2])
BATCH = Batch(images=torch.zeros(4, 3, 2, 1), labels=LABELS)


def randn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def output(branches: int = 5) -> ModelOutput:
    scores = tuple(randn(4, 3, seed=i) for i in range(branches))
    return ModelOutput(
        embedding=randn(4, 6, seed=90),
        metric=randn(4, 6, seed=90),
        logits=randn(4, 3, seed=91),
        branches={"intra": scores},
    )


def literal(scores: Tensor) -> float:
    """Return Eq 10."""
    total = 0.0
    for row, label in zip(scores.tolist(), LABELS.tolist(), strict=True):
        total += math.log(math.exp(row[label]) / sum(math.exp(value) for value in row))
    return -total / len(LABELS)


@pytest.mark.parametrize("weight", [0.1, 0.5, 1.0])
def test_eq_11_is_the_literal_formula(weight: float) -> None:
    found = output()
    loss = BranchLoss(intra=weight)(found, BATCH)
    assert found.branches is not None
    assert found.logits is not None
    intra = sum(literal(scores) for scores in found.branches["intra"])
    assert loss.parts["intra"].item() == pytest.approx(weight * intra, abs=1e-12)
    assert loss.parts["inter"].item() == pytest.approx(literal(found.logits), abs=1e-12)
    assert loss.total.item() == pytest.approx(weight * intra + literal(found.logits), abs=1e-12)


def test_the_papers_weight_is_the_default() -> None:
    assert BranchLoss()(output(), BATCH).total.item() == BranchLoss(intra=0.5, inter=1.0)(output(), BATCH).total.item()


def test_rows_without_fusion_train_the_branches_alone() -> None:
    found = output()._replace(logits=None)
    loss = BranchLoss(intra=1.0, inter=0.0)(found, BATCH)
    assert set(loss.parts) == {"intra"}
    assert found.branches is not None
    assert loss.total.item() == pytest.approx(sum(literal(scores) for scores in found.branches["intra"]), abs=1e-12)


def test_table_10s_first_row_trains_the_fusion_alone() -> None:
    assert set(BranchLoss(intra=0.0)(output()._replace(branches=None), BATCH).parts) == {"inter"}


def test_smoothing_reaches_every_part() -> None:
    plain, smooth = (BranchLoss(smoothing=s)(output(), BATCH).parts for s in (0.0, 0.1))
    assert all(plain[name].item() != pytest.approx(smooth[name].item()) for name in plain)


def test_gradients() -> None:
    def total(*scores: Tensor) -> Tensor:
        return BranchLoss()(output()._replace(logits=scores[0], branches={"intra": scores[1:]}), BATCH).total

    assert torch.autograd.gradcheck(total, tuple(randn(4, 3, seed=i).requires_grad_() for i in range(4)))


@pytest.mark.parametrize("branches", [None, {}, {"attributes": ()}, {"intra": ()}])
def test_the_intra_loss_needs_a_model_with_branches(branches: dict[str, tuple[Tensor, ...]] | None) -> None:
    with pytest.raises(ConfigError, match=r"the intra loss needs a model whose branches give scores.*loss\.intra=0"):
        BranchLoss()(output()._replace(branches=branches), BATCH)


def test_the_inter_loss_needs_a_model_with_logits() -> None:
    with pytest.raises(ConfigError, match=r"needs a model that gives logits.*loss\.inter=0"):
        BranchLoss()(output()._replace(logits=None), BATCH)


def test_a_loss_without_parts_raises() -> None:
    with pytest.raises(ConfigError, match="at least one part"):
        BranchLoss(intra=0.0, inter=0.0)
