"""AANet's loss: Eq 2–6 against literal formulas, the optimum, unknown labels, gradients, errors."""

from __future__ import annotations

import math

import jaxtyping
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from passerby.errors import ConfigError, ShapeError, UnknownNameError
from passerby.losses.attributes import mean_cross_entropy
from passerby.losses.multitask import (
    TASKS,
    MultitaskLoss,
    MultitaskLossConfig,
    UncertaintyWeights,
    log_likelihood,
)
from passerby.types import Batch, ModelOutput

LABELS = torch.tensor([0, 2, 1, 2])
ATTRIBUTES = torch.tensor([[0, 3], [1, -1], [1, 0], [-1, 2]])


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def batch(attributes: Tensor | None = None) -> Batch:
    return Batch(images=torch.zeros(4, 3, 2, 1), labels=LABELS, attributes=attributes)


def output() -> ModelOutput:
    x = randn(4, 5)
    return ModelOutput(
        embedding=x,
        metric=x,
        logits=randn(4, 3, seed=1),
        branches={"parts": tuple(randn(4, 3, seed=s) for s in range(2, 8)), "attention": (randn(4, 3, seed=8),)},
        attributes=(randn(4, 2, seed=9), randn(4, 4, seed=10)),
    )


def literal_ce(logits: Tensor, labels: list[int]) -> float:
    """Return the mean over rows with a label."""
    rows = [(row, c) for row, c in zip(logits.tolist(), labels, strict=True) if c >= 0]
    return sum(math.log(sum(math.exp(v) for v in row)) - row[c] for row, c in rows) / len(rows)


def literal_losses() -> dict[str, float]:
    out, labels = output(), LABELS.tolist()
    assert out.logits is not None
    assert out.attributes is not None
    assert out.branches is not None
    groups = [literal_ce(scores, ATTRIBUTES[:, g].tolist()) for g, scores in enumerate(out.attributes)]
    return {
        "global": literal_ce(out.logits, labels),
        "parts": sum(literal_ce(scores, labels) for scores in out.branches["parts"]) / 6,
        "attributes": sum(groups) / 2,
        "attention": literal_ce(out.branches["attention"][0], labels),
    }


@pytest.mark.parametrize("tasks", [("global",), ("global", "parts"), ("global", "parts", "attributes"), TASKS])
def test_plain_sum_is_equation_2_with_weights_1(tasks: tuple[str, ...]) -> None:
    loss = MultitaskLoss(tasks=tasks, uncertainty=False)  # type: ignore[arg-type]
    assert not list(loss.parameters())
    total, parts = loss(output(), batch(ATTRIBUTES))
    expected = {task: literal_losses()[task] for task in tasks}
    assert {task: part.item() for task, part in parts.items()} == pytest.approx(expected, abs=1e-12)
    assert total.item() == pytest.approx(sum(expected.values()), abs=1e-12)


def test_learned_weights_are_equation_6() -> None:
    loss = MultitaskLoss().double()
    assert loss.weights is not None
    assert sum(p.numel() for p in loss.parameters()) == 4
    start = loss(output(), batch(ATTRIBUTES))
    assert start.total.item() == pytest.approx(sum(literal_losses().values()), abs=1e-12)  # σ = 1
    sigmas = {"global": 0.5, "parts": 1.3, "attributes": 2.0, "attention": 0.8}
    with torch.no_grad():
        loss.weights.log_variance.copy_(torch.tensor([math.log(s**2) for s in sigmas.values()], dtype=torch.float64))
    found = loss(output(), batch(ATTRIBUTES))
    L = literal_losses()
    expected = sum(L[task] / sigma**2 for task, sigma in sigmas.items()) + math.log(math.prod(sigmas.values()))
    assert found.total.item() == pytest.approx(expected, abs=1e-12)
    for task, sigma in sigmas.items():  # Eq 5
        assert found.parts[task].item() == pytest.approx(L[task] / sigma**2 + math.log(sigma), abs=1e-12)


def test_the_likelihood_is_equations_3_and_4() -> None:
    f, sigma = 3 * randn(4, 3), 1.7
    found = log_likelihood(f, LABELS, sigma)
    for row, label, ours in zip(f.tolist(), LABELS.tolist(), found.tolist(), strict=True):
        p = math.exp(row[label] / sigma**2) / sum(math.exp(v / sigma**2) for v in row)  # Eq 3
        assert ours == pytest.approx(math.log(p), abs=1e-12)
        eq_4 = row[label] / sigma**2 - math.log(sum(math.exp(v / sigma**2) for v in row))
        assert ours == pytest.approx(eq_4, abs=1e-12)


def test_equation_5_approximates_equation_4() -> None:
    """The approximation is exact at σ = 1; elsewhere it is off by log (Σ e^(f/σ²) / σ) − log (Σ e^f)/σ²."""
    f = randn(4, 3)
    L = mean_cross_entropy([f], [LABELS])

    def approximation(sigma: float) -> float:
        weights = UncertaintyWeights(1).double()
        with torch.no_grad():
            weights.log_variance.fill_(2 * math.log(sigma))
        return float(weights(L[None]).detach())

    assert approximation(1.0) == pytest.approx(-log_likelihood(f, LABELS, 1.0).mean().item(), abs=1e-12)
    sigma = 1.2
    gap = (torch.logsumexp(f / sigma**2, 1) - math.log(sigma) - torch.logsumexp(f, 1) / sigma**2).mean().item()
    assert -log_likelihood(f, LABELS, sigma).mean().item() - approximation(sigma) == pytest.approx(gap, abs=1e-12)


def test_the_derivative_by_sigma_and_its_zero() -> None:
    L = torch.tensor([0.3, 2.0, 5.0], dtype=torch.float64)
    sigma = torch.tensor([0.7, 1.5, 4.0], dtype=torch.float64, requires_grad=True)
    weights = UncertaintyWeights(3).double()
    weighted = torch.func.functional_call(weights, {"log_variance": 2 * sigma.log()}, (L,))
    weighted.sum().backward()
    assert sigma.grad is not None
    torch.testing.assert_close(sigma.grad, (-2 * L / sigma**3 + 1 / sigma).detach(), rtol=1e-12, atol=0)
    optimizer = torch.optim.SGD(weights.parameters(), lr=0.5)
    for _ in range(200):
        optimizer.zero_grad()
        weights(L).sum().backward()
        optimizer.step()
    torch.testing.assert_close(weights.log_variance.exp().detach(), 2 * L, rtol=1e-6, atol=0)  # σ² = 2L


def test_gradients() -> None:
    weights = UncertaintyWeights(3).double()
    losses, log_variance = randn(3).abs().requires_grad_(), randn(3, seed=1).requires_grad_()
    call = torch.func.functional_call
    assert torch.autograd.gradcheck(lambda t, s: call(weights, {"log_variance": s}, (t,)), (losses, log_variance))
    f, g = randn(4, 2).requires_grad_(), randn(4, 4, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: mean_cross_entropy([a, b], ATTRIBUTES.unbind(1)), (f, g))
    assert torch.autograd.gradcheck(lambda a: log_likelihood(a, torch.tensor([0, 1, 1, 0]), 1.3), f)


def test_a_weight_grows_to_its_bound_and_comes_back() -> None:
    weights = UncertaintyWeights(2, max_weight=10).double()
    optimizer = torch.optim.SGD(weights.parameters(), lr=0.5, momentum=0.9)
    for _ in range(100):
        optimizer.zero_grad()
        weighted = weights(torch.tensor([0.0, 0.4], dtype=torch.float64))
        weighted.sum().backward()
        optimizer.step()
    weights(torch.zeros(2, dtype=torch.float64))
    assert weights.log_variance[0].exp().item() == pytest.approx(0.1)  # 2 L = 0 is below the bound
    assert weights.log_variance[1].exp().item() == pytest.approx(0.8, rel=1e-2)
    for _ in range(200):
        optimizer.zero_grad()
        weights(torch.full((2,), 0.5, dtype=torch.float64)).sum().backward()
        optimizer.step()
    assert weights.log_variance.exp().tolist() == pytest.approx([1.0, 1.0], rel=1e-2)


def test_a_bound_below_the_first_weight_is_refused() -> None:
    with pytest.raises(ValidationError, match="max_weight"):
        MultitaskLossConfig(max_weight=0.5)
    assert MultitaskLossConfig(max_weight=None).max_weight is None


def test_every_sigma_learns() -> None:
    loss = MultitaskLoss()
    loss(output(), batch(ATTRIBUTES)).total.backward()
    assert loss.weights is not None
    assert loss.weights.log_variance.grad is not None
    assert (loss.weights.log_variance.grad != 0).all()


def test_an_unlabeled_group_does_not_count() -> None:
    scores = (randn(4, 2).requires_grad_(), randn(4, 3, seed=1).requires_grad_())
    labels = [torch.tensor([0, 1, -1, 1]), torch.full((4,), -1)]
    loss = mean_cross_entropy(scores, labels)
    assert loss.item() == pytest.approx(literal_ce(scores[0].detach(), labels[0].tolist()), abs=1e-12)
    nothing = mean_cross_entropy(scores, [torch.full((4,), -1)] * 2)
    nothing.backward()
    assert nothing.item() == 0
    assert scores[0].grad is not None
    assert scores[0].grad.eq(0).all()


def test_tasks_have_one_order() -> None:
    loss = MultitaskLoss(tasks=("attention", "global"))
    assert list(loss(output(), batch()).parts) == ["global", "attention"]


def test_invalid_tasks_outputs_and_batches_raise() -> None:
    with pytest.raises(ConfigError, match="at least one task"):
        MultitaskLoss(tasks=())
    with pytest.raises(ConfigError, match="attributes task needs a data set"):
        MultitaskLoss()(output(), batch())
    with pytest.raises(ShapeError, match=r"predicts 2 attributes, so a batch's must be \(b, 2\), got \(4, 1\)"):
        MultitaskLoss()(output(), batch(ATTRIBUTES[:, :1]))
    with pytest.raises(ConfigError, match="the attention task needs a model that gives scores"):
        MultitaskLoss()(output()._replace(branches={"parts": output().branches["parts"]}), batch(ATTRIBUTES))  # type: ignore[index]
    with pytest.raises(ConfigError, match="the global task needs a model"):
        MultitaskLoss(tasks=("global",))(output()._replace(logits=None), batch())


def test_an_unknown_task_raises_with_the_nearest_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as outside the test suite
    with pytest.raises(UnknownNameError, match=r"unknown task 'part'\. Did you mean parts"):
        MultitaskLoss(tasks=("part",))  # type: ignore[arg-type]
