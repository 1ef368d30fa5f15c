"""Identity and triplet losses against plain Python loops in float64, their sum, mining and gradients."""

from __future__ import annotations

import math

import pytest
import torch
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.miners import BatchHardMiner
from torch import Tensor

from passerby.errors import ConfigError
from passerby.losses.reid import ReidLoss, identity_loss
from passerby.losses.triplet import Triplets, local_triplet_loss, mine_hardest, triplet_loss
from passerby.types import Batch, ModelOutput


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def literal_identity(logits: Tensor, labels: Tensor, smoothing: float) -> float:
    total = 0.0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        log_sum = math.log(sum(math.exp(v) for v in row))
        for c, value in enumerate(row):
            q = smoothing / len(row) + (1 - smoothing) * (c == label)
            total -= q * (value - log_sum)
    return total / len(labels)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_identity_loss_is_smoothed_cross_entropy(smoothing: float) -> None:
    logits, labels = randn(6, 5), torch.tensor([0, 1, 4, 2, 2, 3])
    ours = identity_loss(logits, labels, smoothing=smoothing)
    assert ours.item() == pytest.approx(literal_identity(logits, labels, smoothing), abs=1e-12)


def literal_hardest(x: Tensor, labels: list[int]) -> list[tuple[int, int, int]]:
    found = []
    for a in range(len(x)):
        distance = [math.dist(x[a].tolist(), x[b].tolist()) for b in range(len(x))]
        positives = [b for b in range(len(x)) if b != a and labels[b] == labels[a]]
        negatives = [b for b in range(len(x)) if labels[b] != labels[a]]
        if positives and negatives:
            found.append((a, max(positives, key=distance.__getitem__), min(negatives, key=distance.__getitem__)))
    return found


@pytest.mark.parametrize("labels", [[0, 0, 0, 1, 1, 1, 2, 2], [0, 1, 1, 2, 3, 3, 3, 4]])
def test_mining_and_triplet_loss_equal_a_literal_loop(labels: list[int]) -> None:
    x = 2 * randn(8, 7)  # not normalized: norms must matter
    triplets = mine_hardest(x, torch.tensor(labels))
    expected = literal_hardest(x, labels)
    assert sorted(zip(*(t.tolist() for t in triplets), strict=True)) == expected
    losses = [
        max(0.0, 0.3 + math.dist(x[a].tolist(), x[p].tolist()) - math.dist(x[a].tolist(), x[n].tolist()))
        for a, p, n in expected
    ]
    assert triplet_loss(x, triplets, margin=0.3).item() == pytest.approx(sum(losses) / len(losses), abs=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [1, 2, 7, 24, 32, 64])
def test_mining_equals_pytorch_metric_learning_with_ties(size: int, dtype: torch.dtype) -> None:
    """The library's triplets come in the same order, also with equal distances and anchors without a triplet."""
    miner = BatchHardMiner(distance=LpDistance(normalize_embeddings=False))
    for seed in range(60):
        labels = torch.randint(1 + seed % 9, (size,), generator=generator(seed))
        x = randn(size, 1 + seed % 40, seed=seed)
        x = (x.round() if seed % 3 == 0 else x).to(dtype)  # every third batch has many equal distances
        for ours, theirs in zip(mine_hardest(x, labels), miner(x, labels), strict=True):
            assert ours.dtype == theirs.dtype
            assert torch.equal(ours, theirs)


def test_one_identity_in_a_batch_has_no_triplets_and_a_zero_loss_with_a_gradient() -> None:
    x = randn(4, 3).requires_grad_()
    loss = triplet_loss(x, mine_hardest(x, torch.zeros(4, dtype=torch.long)))
    loss.backward()
    assert loss.item() == 0
    assert x.grad is not None
    assert torch.equal(x.grad, torch.zeros_like(x))


def test_equal_embeddings_have_a_finite_gradient() -> None:
    x = torch.ones(4, 3, dtype=torch.float64, requires_grad=True)
    triplet_loss(x, mine_hardest(x, torch.tensor([0, 0, 1, 1]))).backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_gradients_do_not_depend_on_the_order_of_threads() -> None:
    """Rows that several triplets share are summed in one order, on which exact resume relies."""
    labels = torch.arange(16).repeat_interleave(4)
    threads = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        gradients = []
        for _ in range(10):
            x = randn(64, 1280).float().requires_grad_()
            triplet_loss(x, mine_hardest(x, labels), margin=100.0).backward()
            gradients.append(x.grad)
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(gradients[0], g) for g in gradients[1:])  # type: ignore[arg-type]


def literal_dmli(x: Tensor, y: Tensor) -> float:
    """Return the cost of the cheapest path down and right through tanh(d/2) of all stripe pairs, by trying all."""
    cost = [[math.tanh(math.dist(a, b) / 2) for b in y.tolist()] for a in x.tolist()]

    def cheapest(i: int, j: int) -> float:
        ways = [cheapest(*place) for place in ((i - 1, j), (i, j - 1)) if min(place) >= 0]
        return cost[i][j] + min(ways, default=0.0)

    return cheapest(len(cost) - 1, len(cost) - 1)


@pytest.mark.parametrize("margin", [0.0, 0.3])
def test_local_triplet_loss_equals_a_literal_loop_over_the_triplets_of_the_global_branch(margin: float) -> None:
    x, labels = 2 * randn(6, 7), [0, 0, 1, 1, 2, 2]
    stripes = torch.nn.functional.normalize(randn(6, 4, 3, seed=3), dim=2)
    found = literal_hardest(x, labels)
    losses = [
        max(0.0, margin + literal_dmli(stripes[a], stripes[p]) - literal_dmli(stripes[a], stripes[n]))
        for a, p, n in found
    ]
    assert sum(loss > 0 for loss in losses) >= 2
    ours = local_triplet_loss(stripes, mine_hardest(x, torch.tensor(labels)), margin=margin)
    assert ours.item() == pytest.approx(sum(losses) / len(losses), abs=1e-10)


TRIPLETS = Triplets(torch.tensor([0, 1, 2]), torch.tensor([1, 0, 3]), torch.tensor([2, 3, 1]))


def test_gradients_of_every_loss() -> None:
    x = randn(4, 5, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda t: triplet_loss(t, TRIPLETS, margin=9.0), x)
    assert torch.autograd.gradcheck(lambda t: identity_loss(t, torch.tensor([0, 1, 2, 3]), smoothing=0.1), x)
    stripes = torch.nn.functional.normalize(randn(4, 5, 6, seed=2), dim=2).requires_grad_()
    assert torch.autograd.gradcheck(lambda t: local_triplet_loss(t, TRIPLETS, margin=9.0), stripes)


def output() -> ModelOutput:
    x = randn(6, 4)
    local = torch.nn.functional.normalize(randn(6, 5, 3, seed=3), dim=2)
    return ModelOutput(embedding=x, metric=x, logits=randn(6, 3, seed=4), local=local)


LABELS = torch.tensor([0, 0, 1, 1, 2, 2])
BATCH = Batch(images=torch.zeros(6, 3, 2, 1), labels=LABELS)


def test_the_whole_is_the_weighted_sum_and_reuses_the_mined_triplets() -> None:
    loss = ReidLoss(identity=2.0, triplet=0.5, local=3.0, margin=0.3, smoothing=0.1)(output(), BATCH)
    mined = mine_hardest(output().metric, LABELS)
    assert output().local is not None
    expected = {
        "identity": 2.0 * identity_loss(output().logits, LABELS, smoothing=0.1),
        "triplet": 0.5 * triplet_loss(output().metric, mined, margin=0.3),
        "local": 3.0 * local_triplet_loss(output().local, mined, margin=0.3),
    }
    assert set(loss.parts) == set(expected)
    for name, value in expected.items():
        assert loss.parts[name].item() == pytest.approx(value.item(), rel=1e-12)
    assert loss.total.item() == pytest.approx(sum(v.item() for v in expected.values()), rel=1e-12)


def test_a_part_of_weight_zero_is_not_computed() -> None:
    assert set(ReidLoss(identity=1.0, triplet=0.0)(output(), BATCH).parts) == {"identity"}


def test_the_local_loss_needs_a_model_with_stripes() -> None:
    with pytest.raises(ConfigError, match="the local loss needs a model that gives stripes"):
        ReidLoss(local=1.0)(output()._replace(local=None), BATCH)


def test_a_loss_without_parts_raises() -> None:
    with pytest.raises(ConfigError, match="at least one part"):
        ReidLoss(identity=0.0, triplet=0.0)


def test_the_attributes_part_is_the_mean_over_groups() -> None:
    labels, classes = torch.tensor([0, 0, 1, 1]), torch.tensor([[0, 1], [1, -1], [1, 0], [0, -1]])
    scores = (randn(4, 2, seed=1), randn(4, 3, seed=2))
    output = ModelOutput(embedding=randn(4, 5), metric=randn(4, 5), logits=randn(4, 2), attributes=scores)
    batch = Batch(images=torch.zeros(4, 3, 2, 1), labels=labels, attributes=classes)
    found = ReidLoss(attributes=0.5)(output, batch)
    expected = [literal_identity(scores[0], classes[:, 0], 0), literal_identity(scores[1][::2], classes[::2, 1], 0)]
    assert found.parts["attributes"].item() == pytest.approx(0.5 * sum(expected) / 2, abs=1e-12)
    assert found.total.item() == pytest.approx(sum(part.item() for part in found.parts.values()), abs=1e-12)
    with pytest.raises(ConfigError, match="needs a model that predicts them"):
        ReidLoss(attributes=0.5)(output._replace(attributes=None), batch)
    with pytest.raises(ConfigError, match="needs a data set with attribute labels"):
        ReidLoss(attributes=0.5)(output, batch._replace(attributes=None))
