"""The statistics of the shared convolution: one moving average by default, each stream's own as an option."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from passerby.errors import WeightsError
from passerby.models.attention_driven.model import BRANCHES, AttentionDriven
from passerby.weights.load import load_backbone

MOMENTUM = 0.1


def small(**options: object) -> AttentionDriven:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return AttentionDriven(num_classes=5, width=0.25, **options)  # type: ignore[arg-type]


def inputs() -> tuple[Tensor, Tensor]:
    """Whole images, and parts of which each has another brightness and contrast."""
    generator = torch.Generator().manual_seed(0)
    images, parts = torch.randn(3, 3, 64, 32, generator=generator), torch.randn(3, 4, 3, 16, 32, generator=generator)
    return images, parts * torch.arange(1, 5).reshape(1, 4, 1, 1, 1) + 3


def statistics(maps: Tensor) -> tuple[Tensor, Tensor]:
    """The mean and the unbiased variance of each channel."""
    return maps.mean(dim=(0, 2, 3)), maps.transpose(0, 1).flatten(1).var(dim=1)


def streams(model: AttentionDriven) -> dict[str, Tensor]:
    """The maps of the bare convolution."""
    images, parts = inputs()
    with torch.no_grad():
        return {name: model.stem[0](images if at == 0 else parts[:, at - 1]) for at, name in enumerate(BRANCHES)}


def test_by_default_one_average_is_over_whole_images_and_then_all_parts() -> None:
    model = small().train()
    maps = streams(model)
    model(*inputs())
    mean, variance = torch.zeros(8), torch.ones(8)
    for batch in (maps["global"], torch.cat([maps[name] for name in BRANCHES[1:]])):
        new_mean, new_variance = statistics(batch)
        mean, variance = (
            (1 - MOMENTUM) * mean + MOMENTUM * new_mean,
            (1 - MOMENTUM) * variance + MOMENTUM * new_variance,
        )
    norm = model.stem[1]
    assert isinstance(norm, nn.BatchNorm2d)
    assert torch.allclose(norm.running_mean, mean, atol=1e-5)
    assert torch.allclose(norm.running_var, variance, rtol=1e-4)


def test_each_stream_may_have_its_own_statistics() -> None:
    model = small(own_statistics=True).train()
    maps = streams(model)
    outputs = model._branches(*inputs())
    assert list(outputs) == list(BRANCHES)
    means = []
    for name in BRANCHES:
        norm = model.stem[1].statistics[name]
        mean, variance = statistics(maps[name])
        assert torch.allclose(norm.running_mean, MOMENTUM * mean, atol=1e-6)
        assert torch.allclose(norm.running_var, (1 - MOMENTUM) + MOMENTUM * variance, rtol=1e-4)
        means.append(norm.running_mean)
    assert all(not torch.allclose(a, b, atol=1e-3) for at, a in enumerate(means) for b in means[at + 1 :])


@pytest.mark.parametrize("training", [False, True])
def test_a_stream_is_normalized_by_its_statistics_and_the_shared_scale(training: bool) -> None:
    model = small(own_statistics=True)
    with torch.no_grad():
        model.stem[1].weight.uniform_(0.5, 2, generator=torch.Generator().manual_seed(1))
        model.stem[1].bias.uniform_(-1, 1, generator=torch.Generator().manual_seed(2))
    model.train()(*inputs())
    norms = {name: (n.running_mean.clone(), n.running_var.clone()) for name, n in model.stem[1].statistics.items()}
    model.train(training)
    images, parts = inputs()
    found = {"global": model.stem.stream(images, "global")} | model.stem.parts(parts, BRANCHES[1:])
    for name, maps in streams(model).items():
        literal = F.batch_norm(
            maps, *map(Tensor.clone, norms[name]), model.stem[1].weight, model.stem[1].bias, training
        )
        assert torch.allclose(found[name], literal.relu(), atol=1e-5), name


def test_own_statistics_are_no_parameters_and_the_default_has_the_former_names() -> None:
    own, shared = small(own_statistics=True), small()
    assert [name for name, _ in own.named_parameters()] == [name for name, _ in shared.named_parameters()]
    assert own.parameter_count() == shared.parameter_count()
    assert all(torch.equal(a, b) for a, b in zip(own.parameters(), shared.parameters(), strict=True))
    assert [name for name in shared.state_dict() if name.startswith("stem.")] == [
        "stem.0.weight", "stem.1.weight", "stem.1.bias", "stem.1.running_mean", "stem.1.running_var",
        "stem.1.num_batches_tracked",
    ]  # fmt: skip


@pytest.mark.parametrize("names", [("global",), ("head",), ("upper_leg", "lower_leg")])
def test_only_the_streams_of_a_network_have_statistics(names: tuple[str, ...]) -> None:
    model = small(branches=names, own_statistics=True)
    assert tuple(model.stem[1].statistics) == names
    assert model(*inputs()).embedding.isfinite().all()


def test_shared_statistics_start_those_of_every_stream(tmp_path: Path) -> None:
    shared = small().train()
    shared(*inputs())
    save_file(shared.state_dict(), tmp_path / "shared.safetensors")
    own = small(own_statistics=True)
    load_backbone(own, tmp_path / "shared.safetensors", heads=own.heads)
    for norm in own.stem[1].statistics.values():
        assert torch.equal(norm.running_mean, shared.stem[1].running_mean)
        assert torch.equal(norm.running_var, shared.stem[1].running_var)
    own.load_state_dict({k: v for k, v in shared.state_dict().items() if k.startswith(own.heads)}, strict=False)
    images, parts = inputs()
    assert torch.allclose(own.eval()(images, parts).embedding, shared.eval()(images, parts).embedding, atol=1e-6)


def test_own_statistics_do_not_start_shared_ones(tmp_path: Path) -> None:
    """No one of five averages is the right one: that is an error, not a choice."""
    save_file(small(own_statistics=True).state_dict(), tmp_path / "own.safetensors")
    model = small()
    with pytest.raises(WeightsError, match=r"missing \(stem.1.running_mean"):
        load_backbone(model, tmp_path / "own.safetensors", heads=model.heads)
