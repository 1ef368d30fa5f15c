"""Maps of every model, and what they must equal where the formula can be written out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from passerby.data.dataset import Dataset
from passerby.data.keypoints.crops import Rectangles
from passerby.data.registry import load as load_dataset
from passerby.errors import ConfigError, ShapeError, UnknownNameError
from passerby.explain.images import ImageSet, ModelView, view_samples
from passerby.explain.saliency.maps import (
    attribute_saliency,
    class_activation_maps,
    describe_limits,
    distance_saliency,
    identity_saliency,
)
from passerby.inference.model import Model
from passerby.models.base import WHOLE, ReidModel
from passerby.models.card import ModelCard
from passerby.models.registry import create_model, list_models
from passerby.types import ModelOutput, Protocol, Rerank

SIZE = (64, 32)
LIGHTEST: dict[str, dict[str, object]] = {
    "aanet": {"backbone": "resnet18_half"},
    "aap_reid": {"backbone": "resnet18_half"},
    "aligned_reid": {"backbone": "mobilenet_v2"},
    "attention_driven": {"width": 0.125},
    "dual_attention": {"backbone": "resnet18_half"},
    "ide": {"backbone": "resnet18_half"},
    "strong_baseline": {"backbone": "resnet18_half"},
}
TOKENS = ("clip_vit_b16", "vit_b16")
"""The models whose layers are no maps."""
MAPPED = [name for name in list_models() if name not in TOKENS]


@pytest.fixture(scope="module")
def people(draw_people: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return load_dataset(f"market1501:{draw_people(tmp_path_factory.mktemp('saliency') / 'people', people=4)}")


def shown(people: Dataset, model: ReidModel, rows: slice = slice(0, 2)) -> ModelView:
    return view_samples(Model(model, SIZE), ImageSet(people.source), people.query[rows])


def small(name: str, **options: object) -> ReidModel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return create_model(name, num_classes=5, **{**LIGHTEST.get(name, {}), **options}).eval()


@pytest.mark.parametrize("name", MAPPED)
def test_every_model_has_maps(people: Dataset, name: str) -> None:
    model = small(name)
    a, b = shown(people, model, slice(0, 2)), shown(people, model, slice(2, 4))
    near = distance_saliency(a, b)
    found = [near.a, near.b, identity_saliency(a), identity_saliency(a, method="gradcam", layers=last(model))]
    for maps in [*found, class_activation_maps(a)]:
        assert maps.shape == (2, *SIZE)
        assert maps.min() >= 0
        assert maps.isfinite().all()
        assert not maps.requires_grad
    for maps in found[:3]:
        sums = maps.sum(dim=(1, 2))
        assert torch.allclose(sums, (2 * sums).round() / 2, atol=1e-3)  # a layer of which nothing speaks for v adds 0
        assert 0.5 <= sums.max() <= 1.001
        assert (maps.amax(dim=(1, 2)) >= 1.2 * maps.mean(dim=(1, 2))).all()
    expected = (a.output.embedding - b.output.embedding).square().sum(dim=1)
    if not model.card.normalize:
        assert torch.allclose(near.distances, expected, rtol=1e-4)
    assert (near.distances <= 4).all() or not model.card.normalize
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("name", MAPPED)
def test_layers_go_from_the_finest_to_what_the_embedding_pools(people: Dataset, name: str) -> None:
    model, sizes = small(name), list[int]()

    def see(_module: nn.Module, _inputs: object, output: Tensor | tuple[Tensor, ...]) -> None:
        sizes.append((output if isinstance(output, Tensor) else output[0]).shape[2:].numel())

    hooks = [layer[WHOLE].register_forward_hook(see) for layer in model.map_layers().values()]
    seen = shown(people, model)
    model(*seen.inputs)
    for hook in hooks:
        hook.remove()
    assert len(sizes) >= 4
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == (SIZE[0] // 4) * (SIZE[1] // 4)


def test_tokens_are_no_maps(people: Dataset) -> None:
    with pytest.raises(ConfigError, match="vit_b16 does not tell which layers are maps"):
        identity_saliency(shown(people, small("vit_b16", size=SIZE, width=24, heads=3, depth=1)))


def last(model: ReidModel) -> list[str]:
    return list(model.map_layers())[-1:]


def literal_map(model: ReidModel, images: Tensor) -> Tensor:
    """What ``dual_attention`` pools."""
    assert model.self_attention is not None
    return model.self_attention(model.backbone(images)).detach()


def scaled(maps: Tensor) -> Tensor:
    whole = interpolate(maps[:, None], size=SIZE, mode="bilinear", align_corners=False)[:, 0]
    return whole / whole.sum(dim=(1, 2), keepdim=True).clamp_min(1e-30)


@pytest.mark.parametrize("method", ["elementwise", "gradcam"])
def test_of_a_pooled_map_the_distance_is_split_by_position(people: Dataset, method: str) -> None:
    model = small("dual_attention", last_stride=1)
    a, b = shown(people, model, slice(0, 2)), shown(people, model, slice(2, 4))
    A, B = (literal_map(model, seen.inputs[0]) for seen in (a, b))
    x, y = A.mean(dim=(2, 3)), B.mean(dim=(2, 3))
    wanted = torch.zeros(2, *A.shape[2:])
    for row in range(2):
        for i in range(A.shape[2]):
            for j in range(A.shape[3]):
                wanted[row, i, j] = max(0.0, float(-2 * (x[row] - y[row]) @ A[row, :, i, j]))
    found = distance_saliency(a, b, method=method, layers=last(model))
    assert torch.allclose(found.a, scaled(wanted), atol=1e-6)
    assert torch.allclose(found.distances, (x - y).square().sum(dim=1), rtol=1e-4)


def test_a_class_activation_map_is_the_weighted_sum(people: Dataset) -> None:
    model = small("dual_attention", last_stride=1)
    seen = shown(people, model)
    A, w = literal_map(model, seen.inputs[0]), model.classifier.weight.detach()
    wanted = torch.stack([sum(w[3, c] * A[row, c] for c in range(A.shape[1])) for row in range(2)])
    wanted = interpolate(wanted[:, None], size=SIZE, mode="bilinear", align_corners=False)[:, 0]
    low, high = (pick(wanted, dim=(1, 2), keepdim=True) for pick in (torch.amin, torch.amax))
    found = class_activation_maps(seen, classes=torch.tensor([3, 3]))
    assert torch.allclose(found, (wanted - low) / (high - low), atol=1e-4)


def test_the_likeliest_identity_is_explained_unless_another_is_named(people: Dataset) -> None:
    model = small("aap_reid")
    seen = shown(people, model)
    chosen = seen.output.logits.argmax(dim=1)
    assert torch.equal(identity_saliency(seen), identity_saliency(seen, classes=chosen))
    assert not torch.allclose(identity_saliency(seen), identity_saliency(seen, classes=(chosen + 1) % 5))


def test_an_image_is_explained_by_its_own_maps(people: Dataset) -> None:
    model = small("attention_driven")
    both, alone = distance_saliency(shown(people, model), shown(people, model, slice(2, 4))), shown(people, model)
    one = distance_saliency(shown(people, model, slice(1, 2)), shown(people, model, slice(3, 4)))
    assert torch.allclose(both.a[1:], one.a, atol=1e-6)
    assert torch.allclose(both.b[1:], one.b, atol=1e-6)
    assert len(alone) == 2


def test_layers_are_averaged_as_equals(people: Dataset) -> None:
    seen = shown(people, small("aap_reid"))
    first, second = (identity_saliency(seen, layers=[name]) for name in ("layer1", "layer2"))
    assert torch.allclose(identity_saliency(seen), (first + second) / 2, atol=1e-7)


class Crops(ReidModel):
    """A model of a whole image and four parts, each pooled; its maps are its inputs."""

    card: ClassVar[ModelCard] = ModelCard(
        name="crops", paper="none, 2026", input_size=SIZE, inputs=("images", "parts"), normalize=False
    )

    def __init__(self) -> None:
        super().__init__()
        self.embedding_size, self.anchor = 1, nn.Parameter(torch.ones(()))
        self.seen = nn.ModuleDict({WHOLE: nn.Identity(), "head": nn.Identity()})

    def map_layers(self) -> dict[str, dict[str, nn.Module]]:
        return {"only": dict(self.seen.items())}

    def forward(self, images: Tensor, parts: Tensor | None = None) -> ModelOutput:
        assert parts is not None
        head = self.seen["head"](parts[:, 0])
        score = (head.mean(dim=(1, 2, 3)) + 0 * self.seen[WHOLE](images).mean(dim=(1, 2, 3)))[:, None] * self.anchor
        return ModelOutput(embedding=score, metric=score, logits=score)


@pytest.fixture
def head_seen(people: Dataset) -> tuple[ModelView, tuple[int, int, int, int]]:
    seen = view_samples(Model(Crops(), SIZE, parts={"by": "pose"}), ImageSet(people.source), people.query[:1])
    assert isinstance(seen.rectangles, Rectangles)
    left, top, right, bottom = np.round(seen.rectangles.parts[0, 0]).astype(int).tolist()
    return seen, (left, top, right, bottom)


def test_maps_of_parts_lie_where_these_were_cut(head_seen: tuple[ModelView, tuple[int, int, int, int]]) -> None:
    seen, (left, top, right, bottom) = head_seen
    found = identity_saliency(seen)[0]
    assert found[top:bottom, left:right].sum() == pytest.approx(1, abs=1e-4)
    assert (bottom - top) * (right - left) < found.numel() / 2


def test_what_cannot_be_explained_is_an_error(people: Dataset) -> None:
    seen = shown(people, small("aap_reid"))
    with pytest.raises(UnknownNameError, match=r"unknown layer of aap_reid 'layer9'\. Did you mean layer"):
        identity_saliency(seen, layers=["layer9"])
    with pytest.raises(UnknownNameError, match="unknown saliency method"):
        identity_saliency(seen, method="magic")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="name some of layer1"):
        identity_saliency(seen, layers=[])
    with pytest.raises(ShapeError, match="got 2 and 1"):
        distance_saliency(seen, shown(people, small("aap_reid"), slice(0, 1)))
    with pytest.raises(ConfigError, match="crops does not tell which layers are maps"):
        ReidModel.map_layers(Crops())


def test_an_attribute_is_explained_by_its_own_score(people: Dataset) -> None:
    seen = shown(people, small("aanet", last_stride=1))
    scores = seen.output.attributes
    assert scores is not None
    likeliest = attribute_saliency(seen, 2)
    assert likeliest.shape == (2, *SIZE)
    assert torch.allclose(likeliest, attribute_saliency(seen, 2, values=scores[2].argmax(dim=1)))
    for other in (attribute_saliency(seen, 2, values=scores[2].argmin(dim=1)), attribute_saliency(seen, 3)):
        assert not torch.allclose(likeliest, other)


def test_models_without_attributes_cannot_explain_them(people: Dataset) -> None:
    with pytest.raises(ConfigError, match="predicts no attributes"):
        attribute_saliency(shown(people, small("strong_baseline")), 0)


def test_limits_of_maps_are_described() -> None:
    assert describe_limits([Protocol()]) == ""
    text = describe_limits([Protocol(flip_tta=True), Protocol(distance="global_local", rerank=Rerank())])
    assert "do not include flip test-time augmentation" in text
    assert "not that of stripes in it (global_local)" in text
    assert "before re-ranking" in text
