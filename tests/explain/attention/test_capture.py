"""Attention weights as values: those of the modules themselves, in the order of the blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from passerby.data.source import DirectorySource
from passerby.errors import ConfigError, ShapeError
from passerby.explain.attention.capture import (
    attention_kinds,
    channel_weights,
    default_positions,
    position_weights,
    require_attention,
    self_attention,
)
from passerby.explain.images import ImageSet, ModelView, view_samples
from passerby.inference.model import Model
from passerby.models.registry import MODELS, create_model
from passerby.types import Sample

SIZE = (64, 32)


@pytest.fixture(scope="module")
def see(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., ModelView]:
    folder = tmp_path_factory.mktemp("noise")
    for place in range(3):
        noise = np.random.default_rng(place).integers(0, 256, (*SIZE, 3), np.uint8)
        Image.fromarray(noise).save(folder / f"{place}.png")
    images, samples = ImageSet(DirectorySource(folder), blur=True), [Sample(path=f"{place}.png") for place in range(3)]

    def seen(name: str, **options: Any) -> ModelView:
        torch.manual_seed(0)
        return view_samples(Model(create_model(name, num_classes=2, **options), SIZE), images, samples)

    return seen


@pytest.fixture(scope="module")
def dual(see: Callable[..., ModelView]) -> ModelView:
    return see("dual_attention", backbone="resnet18_half")


def test_channel_weights_are_the_modules_own_block_by_block(see: Callable[..., ModelView]) -> None:
    seen = see("aap_reid", backbone="resnet18_half", attention_position="pre_bn")
    found = channel_weights(seen)
    assert [each.where for each in found] == [f"layer {n}, block {i}" for n in (3, 4) for i in (1, 2)]
    assert {each.kind for each in found} == {"CWA(x)"}
    model: Any = seen.model.network
    block = model.backbone.layer3[0]
    x = model.backbone.layer2(model.backbone.layer1(model.backbone.maxpool(model.backbone.relu(model.backbone.bn1(
        model.backbone.conv1(seen.inputs[0])
    )))))  # fmt: skip
    attended = block.conv2(block.relu(block.bn1(block.conv1(x))))
    assert torch.allclose(found[0].weights, block.attention.weights(attended), atol=1e-6)


def test_how_weights_differ_between_channels_and_between_images(dual: ModelView) -> None:
    for each in channel_weights(dual):
        rows = each.weights.double()
        assert each.mean == pytest.approx(rows.mean(dim=0).numpy(), abs=1e-6)
        assert each.between_channels == pytest.approx(float(rows.mean(dim=0).std(correction=0)), abs=1e-6)
        assert each.between_images == pytest.approx(float(rows.var(dim=0, correction=0).mean().sqrt()), abs=1e-6)


def test_hearing_changes_nothing_and_leaves_no_hook(dual: ModelView) -> None:
    before = dual.model.network(*dual.inputs).embedding
    channel_weights(dual)
    assert torch.equal(dual.model.network(*dual.inputs).embedding, before)
    assert not any(module._forward_pre_hooks for module in dual.model.network.modules())


@pytest.mark.parametrize(("attention", "kind"), [("cwa_add", "CWA(+)"), ("eca", "ECA")])
def test_other_channel_attentions(see: Callable[..., ModelView], attention: str, kind: str) -> None:
    found = channel_weights(see("aap_reid", backbone="resnet18_half", attention=attention, attention_stages=(4,)))
    assert [(each.kind, tuple(each.weights.shape)) for each in found] == [(kind, (3, 256))] * 2


@pytest.mark.parametrize("attention", ["sp", "bam"])
def test_attentions_to_positions(see: Callable[..., ModelView], attention: str) -> None:
    seen = see("aap_reid", backbone="resnet18_half", attention=attention, attention_stages=(4,))
    assert attention_kinds(seen.model.network) == ("positions",)
    found = position_weights(seen)
    assert [each.where for each in found] == ["layer 4, block 1", "layer 4, block 2"]
    assert all(
        each.weights.shape == (3, 4, 2) and bool(((each.weights > 0) & (each.weights < 1)).all()) for each in found
    )


def test_a_position_looks_where_the_model_says_it_does(dual: ModelView) -> None:
    found = self_attention(dual, [(1, 0), (0, 0)])
    model: Any = dual.model.network
    for place, position in enumerate(found.positions):
        assert torch.allclose(found.rows[:, place], model.attention_at(dual.inputs[0], position), atol=1e-6)
    assert not torch.allclose(found.rows[:, 0], found.rows[:, 1], atol=1e-4)
    assert found.alpha == 0


def test_positions_from_head_to_feet(dual: ModelView) -> None:
    assert default_positions(4, 2) == [(0, 1), (2, 1), (3, 1)]
    assert default_positions(1, 1) == [(0, 0)]
    assert self_attention(dual).positions == ((0, 0), (1, 0))


def test_a_position_outside_the_map_is_an_error(dual: ModelView) -> None:
    with pytest.raises(ShapeError, match="outside the map of 2 rows"):
        self_attention(dual, [(2, 0)])


def test_every_registered_model_has_attention_or_an_error() -> None:
    with torch.device("meta"):
        built = {name: create_model(name, num_classes=2) for name in MODELS}
    found = {name: attention_kinds(model) for name, model in built.items()}
    assert found["aap_reid"] == ("channels",)
    assert found["dual_attention"] == ("self", "channels")
    assert found["attention_driven"] == ("intra", "inter")
    assert found["aanet"] == ("attributes",)
    for name in found:
        if not found[name]:
            with pytest.raises(ConfigError, match=f"{name} has no attention to show"):
                require_attention(built[name])


def test_a_kind_that_the_model_lacks_is_an_error(dual: ModelView) -> None:
    with pytest.raises(ConfigError, match=r"no attention of kind intra .* has self and channels"):
        require_attention(dual.model.network, "intra")
    assert require_attention(dual.model.network) == "self"
