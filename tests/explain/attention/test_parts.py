"""Attention of parts: where their maps lie on the image, and the weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from passerby.data.registry import load as load_dataset
from passerby.errors import ConfigError
from passerby.explain.attention.parts import fuse_part_maps, inter_attention, intra_attention
from passerby.explain.images import ImageSet, ModelView, view_samples
from passerby.explain.upsample import upsample_maps
from passerby.inference.model import Model
from passerby.models.registry import create_model


@pytest.fixture(scope="module")
def see(draw_people: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., ModelView]:
    dataset = load_dataset(f"market1501:{draw_people(tmp_path_factory.mktemp('parts') / 'people', people=2)}")

    def seen(**options: Any) -> ModelView:
        torch.manual_seed(0)
        model = create_model("attention_driven", num_classes=2, width=0.125, **options).eval()
        return view_samples(Model(model, (96, 48)), ImageSet(dataset.source), dataset.query[:2])

    return seen


def test_a_part_that_is_the_frame_fills_it() -> None:
    values, box = torch.rand(2, 3, 2), torch.tensor([[[4.0, 8, 20, 40]]] * 2)
    assert torch.allclose(
        fuse_part_maps([values], box, box[:, 0], (32, 16)), upsample_maps(values, (32, 16)), atol=1e-6
    )


def test_parts_lie_where_they_were_cut_and_overlap_by_their_mean() -> None:
    frame = torch.tensor([[10.0, 0, 20, 10]])
    boxes = torch.tensor([[[10.0, 0, 15, 10], [14.0, 0, 18, 20]]])
    found = fuse_part_maps([torch.full((1, 2, 2), 1.0), torch.full((1, 1, 1), 3.0)], boxes, frame, (5, 10))[0]
    assert found[:, :4].eq(1).all()
    assert found[:, 4].eq(2).all()
    assert found[:, 5:8].eq(3).all()
    assert found[:, 8:].isnan().all()


def test_the_maps_are_the_models_own(see: Callable[..., ModelView]) -> None:
    seen = see()
    found, maps = intra_attention(seen, weighed=False), seen.output.maps or {}
    assert torch.equal(found.whole[3], maps["global_block3"])
    assert torch.equal(found.parts["upper_leg"][4], maps["upper_leg_block4"])
    assert list(found.parts) == ["head", "upper_body", "upper_leg", "lower_leg"]
    together = found.fused[2]
    assert together.shape == (2, 96, 48)
    values = torch.cat([maps[f"{part}_block2"].flatten() for part in found.parts])
    known = together[~together.isnan()]
    assert float(values.min()) - 1e-6 <= float(known.min()) < float(known.max()) <= float(values.max()) + 1e-6


def test_a_weighed_map_says_how_much_is_added_to_the_features(see: Callable[..., ModelView]) -> None:
    seen = see()
    branch: Any = seen.model.network.branches["global"]  # type: ignore[index]
    v = branch.blocks[0](branch.pool(seen.model.network.stem(seen.inputs[0]))).features  # type: ignore[operator]
    a, raised = branch.blocks[1].features(v), branch.blocks[1](v).features
    added = raised.sum(dim=1) / a.sum(dim=1) - 1
    assert torch.allclose(intra_attention(seen).whole[2], added, atol=1e-5)


def test_parts_weigh_what_eq_8_says(see: Callable[..., ModelView]) -> None:
    seen = see(same_weight=False)  # embeddings are features as they come
    found, model = inter_attention(seen), seen.model.network
    assert found.names == ("head", "upper_body", "upper_leg", "lower_leg")
    plain: Any = create_model("attention_driven", num_classes=2, width=0.125, fusion="concat", same_weight=False).eval()
    plain.load_state_dict(model.state_dict(), strict=False)
    E, raised = (each(*seen.inputs).embedding for each in (plain, model))
    for place in range(4):
        part = slice(256 + 128 * place, 384 + 128 * place)
        assert torch.allclose(raised[:, part], (1 + found.weights[:, place, None]) * E[:, part], atol=1e-5)


def test_the_whole_body_is_weighed_too_where_that_is_asked_for(see: Callable[..., ModelView]) -> None:
    assert inter_attention(see(weigh_global=True)).names[0] == "global"


def test_rows_of_the_ablation_say_what_they_lack(see: Callable[..., ModelView]) -> None:
    with pytest.raises(ConfigError, match="no attention of kind inter"):
        inter_attention(see(fusion="concat"))
    with pytest.raises(ConfigError, match="no attention to show"):
        intra_attention(see(fusion="concat", intra=False))
    assert intra_attention(see(branches=("global",), fusion="concat")).fused == {}
    assert intra_attention(see(branches=("head", "lower_leg"))).whole == {}
