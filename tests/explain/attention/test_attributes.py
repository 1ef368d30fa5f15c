"""AANet's maps with what it says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from PIL import Image

from passerby.data.source import DirectorySource
from passerby.errors import ConfigError
from passerby.explain.attention.attributes import attribute_maps, stitch_attribute_maps
from passerby.explain.images import ImageSet, ModelView, view_samples
from passerby.inference.model import Model
from passerby.models.registry import create_model
from passerby.types import Sample

SIZE = (64, 32)


@pytest.fixture(scope="module")
def see(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., ModelView]:
    folder = tmp_path_factory.mktemp("noise")
    for name in ("a.png", "b.png"):
        Image.effect_noise(SIZE[::-1], 60).convert("RGB").save(folder / name)

    def view(**options: Any) -> ModelView:
        torch.manual_seed(0)
        model = create_model("aanet", num_classes=2, backbone="resnet18_half", **options)
        images = ImageSet(DirectorySource(folder), blur=True)
        return view_samples(Model(model, SIZE), images, [Sample(path="a.png"), Sample(path="b.png")])

    return view


def test_every_attribute_has_its_map_value_and_probability(see: Callable[..., ModelView]) -> None:
    view = see(last_stride=1)
    found, output = attribute_maps(view), view.output
    assert list(found.maps) == [group.name for group in found.schema.groups]
    assert output.maps is not None
    assert output.attributes is not None
    assert found.attention_map is not None
    assert torch.equal(found.attention_map, output.maps["aam"])
    place = found.schema.index("upper color")
    shares = output.attributes[place].softmax(dim=1)
    for row, predicted in enumerate(found.predictions):
        assert predicted["upper color"].value == found.schema["upper color"].values[int(shares[row].argmax())]
        assert predicted["upper color"].probability == pytest.approx(float(shares[row].max()), abs=1e-6)
    assert set(found.attended) == {
        "gender", "hair length", "upper color", "lower color", "type of lower", "length of lower"
    }  # fmt: skip


def test_without_the_attention_map_there_are_the_attributes(see: Callable[..., ModelView]) -> None:
    found = attribute_maps(see(attention_map=False))
    assert found.attention_map is None
    assert found.attended == ()
    assert len(found.maps) == 12


def test_a_model_without_attributes_is_an_error(see: Callable[..., ModelView]) -> None:
    with pytest.raises(ConfigError, match="aanet predicts no attributes in this run"):
        attribute_maps(see(attributes=False, attention_map=False))


def test_finer_maps_of_the_models_own_step_are_its_own(see: Callable[..., ModelView]) -> None:
    view = see(last_stride=1)
    own, same = attribute_maps(view).maps, attribute_maps(view, step=16).maps
    for name, maps in own.items():
        assert torch.allclose(maps, same[name], atol=1e-5)


def test_a_finer_position_is_the_models_map_of_the_shifted_image(see: Callable[..., ModelView]) -> None:
    view = see(last_stride=1)
    fine, images = stitch_attribute_maps(view, 8)["hat"], view.inputs[0]
    assert fine.shape == (2, 8, 4)
    moved = torch.cat([images[:, :, 4:], images[:, :, -1:].expand(-1, -1, 4, -1)], dim=2)  # 4 pixels down
    moved = torch.cat([moved[..., :1].expand(-1, -1, -1, 4), moved[..., :-4]], dim=3)  # and 4 to the left
    model: Any = view.model.network
    network, on = model.attributes, [row["hat"].value == "yes" for row in attribute_maps(view).predictions]
    with torch.no_grad():
        V = torch.relu(network.norm(network.reduce(model.backbone(moved))))
        weight = network.classifiers[network.names.index("hat")].weight[torch.tensor(on).long()]
    raw = torch.einsum("bc,bchw->bhw", weight, V)
    for one, other in zip(raw, fine[:, 1::2, 0::2], strict=True):  # alike up to the scale of the whole map
        assert float(torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1]) > 0.9999


def test_steps_that_do_not_divide_the_stride_are_an_error(see: Callable[..., ModelView]) -> None:
    with pytest.raises(ConfigError, match="divide the model's, 32 pixels; got 12"):
        attribute_maps(see(), step=12)
