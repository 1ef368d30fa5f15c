"""The measures of live masks: means against literal loops, and masks that are replaced for a whole evaluation."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from passerby.data.registry import load as load_dataset
from passerby.errors import ConfigError
from passerby.inference.model import Model
from passerby.models.attention_driven.blocks import IntraAttention
from passerby.models.registry import create_model

DATA = "pedestrians:people=4,cameras=2,images=2,size=64x32,preset=easy,seed=0"


@pytest.fixture(scope="module")
def live_masks() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).resolve().parents[2] / "benchmarks")
        return importlib.import_module("live_masks")


def small(**options: Any) -> Model:
    torch.manual_seed(0)
    network = create_model("attention_driven", num_classes=2, width=0.125, **options)
    return Model(network, (64, 32), parts={"by": "strips"})


def test_statistics_are_those_of_all_images(live_masks: ModuleType) -> None:
    masks = torch.rand(6, 3, 4, 2, generator=torch.Generator().manual_seed(0))
    found = live_masks.Statistics()
    for batch in masks.split([4, 2]):
        found.add(batch)
    assert torch.allclose(found.mean, masks.double().mean(dim=0))
    outside = [value for value in masks.flatten().tolist() if value < 0.1 or value > 0.9]
    spread = masks.transpose(0, 1).flatten(1).std(dim=1, correction=0).mean()
    expected = {"outside": len(outside) / masks.numel(), "mean": float(masks.mean()), "spread": float(spread)}
    assert found.summary() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("over", "equal"), [("image", (2, 3)), ("position", (0,)), ("channel", (0, 2, 3))])
def test_a_held_mask_is_constant_over_what_it_is_averaged_over(
    live_masks: ModuleType, over: str, equal: tuple[int, ...]
) -> None:
    mask = torch.rand(5, 3, 4, 2)
    found = live_masks.Statistics()
    found.add(mask)
    held = live_masks.held_at_mean("block", mask, over=over, found={"block": found})
    assert torch.allclose(held, mask.mean(dim=equal, keepdim=True).expand_as(mask), atol=1e-6)


def test_a_mask_is_replaced_in_the_network_and_back(live_masks: ModuleType) -> None:
    model = small(fusion="concat")
    images, parts = torch.rand(2, 3, 64, 32), torch.rand(2, 4, 3, 16, 32)

    def features() -> Tensor:
        with torch.no_grad():
            return model.network(images, parts).embedding  # type: ignore[no-any-return]

    before = features()
    with live_masks.changed_masks(model.network, lambda _name, mask: torch.full_like(mask, 0.5)):
        held = features()
    assert torch.equal(features(), before)
    for module in model.network.modules():
        if isinstance(module, IntraAttention):
            nn.init.zeros_(module.mix.weight)
    assert not torch.allclose(held, before, atol=1e-4)
    assert torch.allclose(held, features(), atol=1e-6)


def test_a_run_is_measured_in_all_ways(live_masks: ModuleType) -> None:
    model, dataset = small(), load_dataset(DATA)
    masks, readings = live_masks.measure_masks(model, dataset), live_masks.measure_readings(model, dataset)
    assert list(masks["results"]) == ["as they are", "held, image", "held, position", "held, channel"]
    assert masks["outside"] < 0.05
    assert len(masks["blocks"]) == 15
    assert readings["same weight"] == masks["results"]["as they are"]
    assert list(readings) == ["same weight", "same weight, μ = 0", "as they come", "as they come, μ = 0"]


def test_a_model_without_masks_is_refused(live_masks: ModuleType) -> None:
    with (
        pytest.raises(ConfigError, match="no intra-attention"),
        live_masks.changed_masks(small(intra=False).network, lambda _name, _mask: None),
    ):
        pass
