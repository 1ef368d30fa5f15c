"""Parameter groups and their learning rates; learned weights of tasks keep an overfitting head stable."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from passerby.losses.multitask import MAX_WEIGHT, MultitaskLoss
from passerby.models.aanet.model import AANet, IdentityHead
from passerby.models.registry import create_model
from passerby.recipes.registry import load_recipe
from passerby.training.config import OptimizerConfig
from passerby.training.optimizer import AveragedWeights, build_optimizer, set_lr
from passerby.types import Batch, ModelOutput

PEOPLE, EACH, SIZE, STEPS = 32, 4, 64, 200


class Heads(nn.Module):
    """The heads of AANet's tasks on features that do not learn."""

    backbone_prefix = ""

    def __init__(self) -> None:
        super().__init__()
        self.whole, self.attention = IdentityHead(SIZE, PEOPLE), IdentityHead(SIZE, PEOPLE)
        self.parts = nn.ModuleList(IdentityHead(SIZE, PEOPLE) for _ in range(2))
        self.reduce = IdentityHead(SIZE, None)
        self.attributes = nn.ModuleList(nn.Linear(256, 2) for _ in range(3))

    def forward(self, features: Tensor) -> ModelOutput:
        V, _ = self.reduce(features)
        parts = tuple(part(features)[1] for part in self.parts)
        return ModelOutput(
            embedding=features,
            metric=features,
            logits=self.whole(features)[1],
            branches={"parts": parts, "attention": (self.attention(features)[1],)},
            attributes=tuple(head(V) for head in self.attributes),
        )


def overfit(loss: MultitaskLoss, config: OptimizerConfig) -> tuple[float, float]:
    """Return the greatest sum of the four losses after step 100, and the greatest weight, both of any step."""
    torch.manual_seed(0)
    heads, plain = Heads(), MultitaskLoss(uncertainty=False)
    optimizer = build_optimizer(heads, loss, config)  # type: ignore[arg-type]
    drawn = torch.Generator().manual_seed(0)
    centers, noise = torch.randn(PEOPLE, 1, SIZE, generator=drawn), torch.randn(PEOPLE, EACH, SIZE, generator=drawn)
    features, labels = (centers + noise / 2).flatten(0, 1).relu(), torch.arange(PEOPLE).repeat_interleave(EACH)
    attributes = torch.randint(2, (PEOPLE, 3), generator=drawn)[labels]
    greatest = weight = 0.0
    for step in range(STEPS):
        rows = torch.randperm(PEOPLE * EACH, generator=drawn)[:32]
        output, batch = heads(features[rows]), Batch(torch.zeros(32, 3, 1, 1), labels[rows], attributes[rows])
        optimizer.zero_grad()
        loss(output, batch).total.backward()
        optimizer.step()
        greatest = max(greatest, plain(output, batch).total.item() if step >= 100 else 0.0)
        if loss.weights is not None:
            weight = max(weight, loss.weights(torch.ones(4)).sub(loss.weights.log_variance / 2).max().item())
    return greatest, weight


def test_a_head_that_overfits_with_learned_weights_stays_stable() -> None:
    """Without a bound the weight 1/σ² grows as the loss falls, until a step is too large: 10⁸ and more at step 200."""
    config = load_recipe("aanet")
    fixed, _ = overfit(MultitaskLoss(uncertainty=False), config.optimizer)
    learned, weight = overfit(MultitaskLoss(), config.optimizer)
    assert weight == pytest.approx(MAX_WEIGHT, rel=1e-5)
    assert fixed < 0.1
    assert learned < 0.1
    former = config.optimizer.model_copy(update={"loss_lr_factor": 1.0})
    unbounded, grown = overfit(MultitaskLoss(max_weight=None), former)
    assert unbounded > 1000
    assert grown > 30


def groups(loss: nn.Module, **settings: Any) -> tuple[torch.optim.Optimizer, list[tuple[float, float]]]:
    net = AANet(num_classes=3, backbone="resnet18_half")
    optimizer = build_optimizer(net, loss, OptimizerConfig(**settings))
    return optimizer, [(group["lr"], group["weight_decay"]) for group in optimizer.param_groups]


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_backbone_new_layers_and_loss_have_their_own_rates(name: str) -> None:
    settings = {"name": name, "lr": 0.1, "weight_decay": 5e-4, "backbone_lr_factor": 0.5, "loss_lr_factor": 0.25}
    optimizer, found = groups(MultitaskLoss(), **settings)
    assert found == [(0.05, 5e-4), (0.1, 5e-4), (0.025, 0.0)]
    assert set_lr(optimizer, 0.1) == pytest.approx(0.01), "the log shows the rate of the new layers"
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.005, 0.01, 0.0025])
    optimizer, found = groups(MultitaskLoss(uncertainty=False), **settings)
    assert found == [(0.05, 5e-4), (0.1, 5e-4)]
    assert set_lr(optimizer, 1) == pytest.approx(0.1)


def test_the_average_is_the_formula() -> None:
    torch.manual_seed(0)
    network = create_model("strong_baseline", backbone="mobilenet_v2")
    average = AveragedWeights(network, decay=0.5)
    name, values = "backbone.features.0.0.weight", []
    for _ in range(12):
        with torch.no_grad():
            network.state_dict()[name].normal_()
        network.state_dict()["neck.num_batches_tracked"] += 1
        values.append(network.state_dict()[name].clone())
        average.update(network)
    expected = average.network.state_dict()[name]
    torch.manual_seed(0)
    mean = create_model("strong_baseline", backbone="mobilenet_v2").state_dict()[name].clone()
    for n, value in enumerate(values, start=1):
        decay = min(0.5, (1 + n) / (10 + n))
        mean = decay * mean + (1 - decay) * value
    torch.testing.assert_close(expected, mean)
    assert int(average.network.state_dict()["neck.num_batches_tracked"]) == 12
    assert not average.network.training
