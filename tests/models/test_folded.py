"""Folded copies: the embeddings of the network, also after it has changed, or no copy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import passerby
from passerby.models.base import ReidModel
from passerby.models.folded import FoldedNetwork
from passerby.models.registry import create_model
from passerby.training.checkpoint import save_model
from passerby.training.run import RunFolder

FAMILIES: dict[str, dict[str, Any]] = {
    "osnet_x0_25": {},
    "strong_baseline": {"backbone": "resnet18_half"},
    "aap_reid": {"backbone": "mobilenet_v2"},
    "aanet": {"backbone": "resnet18_half"},
    "dual_attention": {"backbone": "resnet18_half"},
}
SIZE = torch.Size((64, 32))


def network_of(name: str, **options: Any) -> ReidModel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = create_model(name, num_classes=3, **options)
        network.train()(torch.randn(16, 3, *SIZE))  # statistics that are not those of a fresh one
    return network.eval()


def embeddings(network: nn.Module) -> torch.Tensor:
    images = torch.randn(3, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        found: torch.Tensor = network(images).embedding
    return found


def check_equal(folded: FoldedNetwork) -> None:
    copied = folded.current(SIZE)
    assert copied is not None
    ours, theirs = embeddings(folded.network), embeddings(copied)
    assert (ours - theirs).abs().max() <= 1e-5 * ours.abs().max()


@pytest.mark.parametrize("name", FAMILIES)
def test_a_copy_gives_the_same_embeddings_with_fewer_layers(name: str) -> None:
    folded = FoldedNetwork(network_of(name, **FAMILIES[name]))
    check_equal(folded)
    copied = folded.current(SIZE)
    assert copied is not None
    assert folded.current(SIZE) is copied, "it is made once"
    before, after = (sum(isinstance(m, nn.BatchNorm2d) for m in each.modules()) for each in (folded.network, copied))
    assert after < before / 4


def test_a_copy_follows_its_network() -> None:
    network = network_of("osnet_x0_25")
    folded = FoldedNetwork(network)
    first = folded.current(SIZE)
    assert first is not None
    was = embeddings(first)
    with torch.no_grad():
        next(network.parameters()).mul_(-1)
    check_equal(folded)
    other = create_model("osnet_x0_25", num_classes=3)
    network.load_state_dict(other.state_dict())
    check_equal(folded)
    second = folded.current(SIZE)
    assert second is not None
    assert not torch.allclose(was, embeddings(second), rtol=1e-2)


def test_what_cannot_be_folded_is_used_as_it_is() -> None:
    assert FoldedNetwork(network_of("strong_baseline", backbone="mobilenet_v2_ibn_a")).current(SIZE) is None
    network = network_of("osnet_x0_25")
    folded = FoldedNetwork(network)
    hook = next(network.children()).register_forward_hook(lambda *_: None)
    assert folded.current(SIZE) is None
    hook.remove()
    check_equal(folded)


def test_a_copy_that_differs_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    from passerby.models import folded as module

    monkeypatch.setattr(module, "fuse_conv_bn_eval", lambda convolution, norm: convolution)
    assert FoldedNetwork(network_of("osnet_x0_25")).current(SIZE) is None


def test_a_loaded_model_embeds_by_it(tmp_path: Path, draw_people: Callable[..., Path]) -> None:
    network = network_of("osnet_x0_25")
    save_model(RunFolder(tmp_path), network, options={}, size=tuple(SIZE))
    people = draw_people(tmp_path / "people", people=6, cameras=2, images=2)
    images = sorted((people / "bounding_box_test").iterdir())
    model = passerby.load(tmp_path, device="cpu", flip_tta=True)
    folded = model.embed(images).embedding
    assert next(network.parameters()).requires_grad
    plain = passerby.Model(model.network, tuple(SIZE), model.options).embed(images).embedding
    assert not torch.equal(folded, plain), "by the copy"
    normal = torch.nn.functional.normalize
    assert (normal(folded) - normal(plain)).abs().max() <= 2e-6
    alone = model.embed(images[0]).embedding
    assert (normal(alone) - normal(folded)[:1]).abs().max() <= 2e-6
