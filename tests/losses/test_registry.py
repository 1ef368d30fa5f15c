"""Losses by name: their configs in a training config, plugins, errors, and what every loss must hold."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

from passerby.config import validate, with_overrides
from passerby.errors import ConfigError, UnknownNameError
from passerby.losses.base import BaseLossConfig
from passerby.losses.branches import BranchLossConfig
from passerby.losses.multitask import MultitaskLossConfig
from passerby.losses.registry import LOSSES, create_loss
from passerby.losses.reid import LossConfig, ReidLoss
from passerby.plugins import load_plugin
from passerby.training.config import TrainConfig
from passerby.types import Batch, ModelOutput

PAGE = Path(__file__).resolve().parents[2] / "docs" / "extending.md"


def train_config(loss: object) -> TrainConfig:
    return validate(TrainConfig, {"recipe": "r", "model": {"name": "m"}, "loss": loss})


def inputs() -> tuple[ModelOutput, Batch]:
    def randn(*shape: int, seed: int) -> Tensor:
        return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).requires_grad_()

    x = randn(6, 4, seed=0)
    scores = [randn(6, 3, seed=seed) for seed in range(1, 11)]
    output = ModelOutput(
        embedding=x,
        metric=x,
        logits=scores[0],
        local=torch.nn.functional.normalize(randn(6, 5, 3, seed=20), dim=2),
        branches={"intra": tuple(scores[1:3]), "parts": tuple(scores[3:9]), "attention": (scores[9],)},
        attributes=(randn(6, 2, seed=21),),
    )
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    return output, Batch(torch.zeros(6, 3, 2, 1), labels, attributes=torch.zeros(6, 1, dtype=torch.long))


@pytest.mark.parametrize("name", list(LOSSES))
def test_every_loss_is_built_from_its_default_config(name: str) -> None:
    config = LOSSES[name].config()
    assert config.name == name
    loss = create_loss(config)
    assert isinstance(loss, LOSSES[name].module)
    output, batch = inputs()
    total, parts = loss(output, batch)
    assert total.ndim == 0
    torch.testing.assert_close(torch.stack(list(parts.values())).sum(), total)
    total.backward()
    leaves = (output.metric, output.logits, *(output.branches or {})["intra"])
    assert any(leaf is not None and leaf.grad is not None for leaf in leaves)


@pytest.mark.parametrize("name", list(LOSSES))
def test_every_loss_config_reloads_identically_from_json(name: str) -> None:
    config = train_config({"name": name})
    assert type(config.loss) is LOSSES[name].config
    tree = json.loads(config.model_dump_json())
    assert next(iter(tree["loss"])) == "name"
    assert validate(TrainConfig, tree) == config


def test_settings_become_keywords_of_the_module() -> None:
    loss = create_loss(LossConfig(triplet=2.0, margin=0.7))
    assert isinstance(loss, ReidLoss)
    assert (loss.triplet, loss.margin) == (2.0, 0.7)


def test_a_loss_without_a_name_is_the_weighted_sum_of_version_0_1() -> None:
    assert train_config({"margin": 0.5}).loss == LossConfig(margin=0.5)


def test_settings_of_a_loss_are_overridden_by_their_path() -> None:
    config = with_overrides(train_config({"name": "branches"}), {"loss.intra": 0.1})
    assert config.loss == BranchLossConfig(intra=0.1)


def test_another_loss_by_its_name_alone_is_told_how_to_replace_all_settings() -> None:
    with pytest.raises(
        ConfigError, match=r"loss 'branches' has no settings? .*margin.*Fix: --set 'loss=\{\"name\": \"branches\"\}'"
    ):
        with_overrides(train_config({"name": "reid"}), {"loss.name": "branches"})
    assert with_overrides(train_config({}), {"loss": {"name": "branches"}}).loss == BranchLossConfig()


def test_an_unknown_loss_raises_with_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown loss 'multitsk'. Did you mean multitask"):
        train_config({"name": "multitsk"})


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ({"triplet": -1}, r"loss\.triplet: .*greater than or equal to 0 \(got -1\)"),
        ({"name": "branches", "margin": 0.1}, r"loss 'branches' has no setting margin: it has .*intra"),
        ("reid", "loss: Input should be .*BaseLossConfig"),
    ],
)
def test_invalid_settings_raise_with_their_path(loss: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        train_config(loss)


@pytest.mark.parametrize(
    ("config", "attributes", "left_out"),
    [
        (LossConfig(local=1.0), False, False),
        (LossConfig(), False, True),
        (BranchLossConfig(), False, False),
        (BranchLossConfig(inter=0.0), False, True),
        (MultitaskLossConfig(), True, True),
        (MultitaskLossConfig(tasks=("global",)), False, True),
    ],
)
def test_a_config_tells_what_its_loss_needs(config: BaseLossConfig, attributes: bool, left_out: bool) -> None:
    assert (config.needs_attributes, config.leaves_parameters_out) == (attributes, left_out)


@pytest.fixture
def _losses_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LOSSES, "_entries", dict(LOSSES._load()))


@pytest.mark.usefixtures("_losses_restored")
def test_a_new_loss_is_one_file(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n# focal_loss\.py.*?\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "focal_loss_of_the_docs.py").write_text(code)
    load_plugin(tmp_path / "focal_loss_of_the_docs.py")
    config = with_overrides(train_config({"name": "focal"}), {"loss.gamma": 1.5})
    assert config.model_dump()["loss"] == {"name": "focal", "gamma": 1.5}
    output, batch = inputs()
    assert output.logits is not None
    p = output.logits.softmax(1).gather(1, batch.labels[:, None])
    expected = (-((1 - p) ** 1.5) * p.log()).mean()
    torch.testing.assert_close(create_loss(config.loss)(output, batch).total, expected)
