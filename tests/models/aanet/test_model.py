"""AANet: golden counts, the embedding, the data flow, the switches of its Table 3, gradients, errors."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from passerby.data.attributes.schema import DUKE, MARKET, Attribute, Schema
from passerby.errors import ConfigError, ShapeError, UnknownNameError
from passerby.models.aanet.map import attention_mask
from passerby.models.aanet.model import VECTORS, AANet, AttributeNetwork, IdentityHead, Top
from passerby.models.aanet.parts import even_stripes, peak_parts
from passerby.models.registry import create_model

LG = {"parts": False, "attributes": False, "attention_map": False}
LG_LP = {"attributes": False, "attention_map": False}
LG_LP_LA = {"attention_map": False}
HANDS = Schema(
    "hands", (Attribute("gloves", ("no", "yes"), ("g",)), Attribute("rings", ("0", "1", "2"), ("r",))), ("g", "r")
)


def images(b: int = 3, *, seed: int = 0) -> Tensor:
    return torch.randn(b, 3, 192, 64, generator=torch.Generator().manual_seed(seed))


def model(**options: object) -> AANet:
    torch.manual_seed(0)
    return AANet(num_classes=4, backbone="resnet18_half", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("backbone", "schema", "classes", "count"),
    [
        ("resnet50", "market1501", 751, 29_785_311),
        ("resnet50", "dukemtmc", 702, 29_682_511),
        ("resnet152", "market1501", 751, 64_421_087),
        ("resnet152", "dukemtmc", 702, 64_318_287),
    ],
)
def test_parameters(backbone: str, schema: str, classes: int, count: int) -> None:
    with torch.device("meta"):
        net = create_model("aanet", num_classes=classes, backbone=backbone, schema=schema)
    assert net.parameter_count() == count
    assert net.embedding_size == 3072


@pytest.mark.parametrize(("last_stride", "size"), [(2, (12, 4)), (1, (24, 8))])
def test_at_the_papers_size(last_stride: int, size: tuple[int, int]) -> None:
    with torch.device("meta"):
        net = create_model("aanet", num_classes=751, last_stride=last_stride).eval()
        X = net.backbone(torch.zeros(1, 3, 384, 128))
    assert X.shape == (1, 2048, *size)
    assert net.head(X.mean(dim=(2, 3)))[0].shape == (1, 256)


@pytest.mark.parametrize(("classes", "count"), [(751, 717_807), (702, 705_214)])
def test_parameters_of_an_identity_head(classes: int, count: int) -> None:
    assert sum(p.numel() for p in IdentityHead(2048, classes).parameters()) == count


@pytest.mark.parametrize(
    ("options", "size", "tasks"),
    [
        (LG, 256, set()),
        (LG_LP, 256 + 6 * 256, {"parts"}),
        (LG_LP_LA, 256 + 6 * 256 + 4 * 256, {"parts"}),
        ({}, 3072, {"parts", "attention"}),
        ({"parts": False}, 256 + 4 * 256 + 256, {"attention"}),
    ],
)
def test_rows_of_table_3(options: dict[str, bool], size: int, tasks: set[str]) -> None:
    output = model(**options).eval()(images())
    assert output.embedding.shape == (3, size)
    assert torch.equal(output.metric, output.embedding)
    assert set(output.branches or {}) == tasks
    assert {name: len(scores) for name, scores in (output.branches or {}).items()} == {
        name: {"parts": 6, "attention": 1}[name] for name in tasks
    }
    has_attributes = options.get("attributes", True)
    assert (output.attributes is not None) == has_attributes
    assert ("aam" in (output.maps or {})) == ("attention" in tasks)


def test_attributes_follow_the_schema() -> None:
    for name, schema in (("market1501", MARKET), ("dukemtmc", DUKE)):
        output = model(schema=name).eval()(images())
        assert output.attributes is not None
        assert tuple(scores.shape[1] for scores in output.attributes) == schema.sizes
        assert output.maps is not None
        assert list(output.maps) == [group.name for group in schema.groups] + ["aam"]
        assert all(m.shape == (3, 6, 2) and m.min() >= 0 and m.max() <= 1 for m in output.maps.values())


def test_which_vector_predicts_which_group() -> None:
    def reading(schema: Schema) -> dict[str, str]:
        reads = {vector: set[str]() for vector in VECTORS}
        for group, i in zip(schema.groups, AttributeNetwork(8, schema).vector_of, strict=True):
            reads[VECTORS[i]].add(group.name)
        return {vector: ", ".join(sorted(names)) for vector, names in reads.items()}

    assert reading(MARKET) == {
        "global": "age, gender",
        "top": "hair length, hat, sleeve length, upper color",
        "middle": "backpack, bag, handbag",
        "bottom": "length of lower, lower color, type of lower",
    }
    assert reading(DUKE) == {
        "global": "gender",
        "top": "hat, length of upper, upper color",
        "middle": "backpack, bag, handbag",
        "bottom": "boots, lower color, shoe color",
    }
    assert reading(HANDS) == {"global": "gloves, rings", "top": "", "middle": "", "bottom": ""}


def test_six_groups_of_each_schema_make_the_attention_map() -> None:
    seen = {
        "market1501": {"gender", "hair length", "upper color", "lower color", "type of lower", "length of lower"},
        "dukemtmc": {"gender", "length of upper", "boots", "shoe color", "upper color", "lower color"},
    }
    for name, schema in (("market1501", MARKET), ("dukemtmc", DUKE)):
        net = model(schema=name)
        assert len(net.attended) == 6
        assert {schema.groups[i].name for i in net.attended} == seen[name]
    output = model(attention_groups=["hat"]).eval()(images())
    assert output.maps is not None
    assert torch.equal(output.maps["aam"], attention_mask(output.maps["hat"][:, None]))


def test_a_custom_schema() -> None:
    output = model(schema=HANDS, attention_groups=("rings",)).eval()(images())
    assert output.attributes is not None
    assert [scores.shape for scores in output.attributes] == [(3, 2), (3, 3)]
    with pytest.raises(ConfigError, match=r"none of the attributes of hands is.*attention_groups"):
        model(schema=HANDS)
    assert model(schema=HANDS, attention_map=False).eval()(images()).attributes is not None


def literal_head(head: IdentityHead, pooled: list[float]) -> tuple[list[float], list[float]]:
    norm = head.norm
    V = []
    for i, row in enumerate(head.reduce.weight.tolist()):
        value = sum(w * x for w, x in zip(row, pooled, strict=True)) - norm.running_mean[i].item()
        value = value / math.sqrt(norm.running_var[i].item() + norm.eps) * norm.weight[i].item() + norm.bias[i].item()
        V.append(max(0.0, value))
    scores = zip(head.classifier.weight.tolist(), head.classifier.bias.tolist(), strict=True)
    return V, [sum(w * v for w, v in zip(row, V, strict=True)) + b for row, b in scores]


def randomised(net: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(4)
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            for tensor in (layer.weight.data, layer.bias.data, layer.running_mean):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) - 0.2)
    return net.double().eval()


def test_an_identity_head_is_the_literal_formula() -> None:
    head = randomised(IdentityHead(5, 3))
    pooled = torch.randn(2, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    V, scores = head(pooled)
    for b in range(2):
        expected = literal_head(head, pooled[b].tolist())
        assert V[b].tolist() == pytest.approx(expected[0], abs=1e-10)
        assert scores[b].tolist() == pytest.approx(expected[1], abs=1e-10)


def test_the_attribute_network_is_the_literal_formula() -> None:
    net = randomised(AttributeNetwork(4, MARKET))
    X = torch.randn(2, 4, 6, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    output = net(X)
    norm = net.norm
    weight = net.reduce.weight[:, :, 0, 0]
    V = torch.einsum("vz,bzhw->bvhw", weight, X) - norm.running_mean[:, None, None]
    V = V / (norm.running_var + norm.eps).sqrt()[:, None, None]
    V = (V * norm.weight[:, None, None] + norm.bias[:, None, None]).clamp_min(0)
    regions = {"global": V, "top": V[:, :, :3], "middle": V[:, :, 2:4], "bottom": V[:, :, 4:]}
    for i, name in enumerate(VECTORS):
        torch.testing.assert_close(output.vectors[:, i], regions[name].mean(dim=(2, 3)))
    expected = {"hat": "top", "bag": "middle", "type of lower": "bottom", "age": "global"}
    for group, region in expected.items():
        head = net.classifiers[MARKET.index(group)]
        scores = regions[region].mean(dim=(2, 3)) @ head.weight.T + head.bias
        torch.testing.assert_close(output.scores[MARKET.index(group)], scores)
        seen = torch.stack([(head.weight[k][:, None, None] * V[b]).sum(0) for b, k in enumerate(scores.argmax(1))])
        low, high = seen.amin((1, 2), keepdim=True), seen.amax((1, 2), keepdim=True)
        torch.testing.assert_close(output.maps[:, MARKET.index(group)], (seen - low) / (high - low))


@pytest.mark.parametrize(("top", "last"), [("half", 12), ("third", 8)])
def test_the_top_feature_map_ignores_the_lower_half(top: Any, last: int) -> None:
    """At the paper's 24 × 8 with last_stride=1, Top averages rows 0 … 11, and none of the lower half."""
    net = randomised(AttributeNetwork(4, MARKET, top=top))
    X = torch.randn(2, 4, 24, 8, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    norm = net.norm
    literal = torch.zeros(2, 256, dtype=torch.float64)
    for b, h, w in itertools.product(range(2), range(last), range(8)):
        reduced = net.reduce.weight[:, :, 0, 0] @ X[b, :, h, w]
        scaled = (reduced - norm.running_mean) / (norm.running_var + norm.eps).sqrt() * norm.weight + norm.bias
        literal[b] += scaled.clamp_min(0) / (last * 8)
    torch.testing.assert_close(net(X).vectors[:, VECTORS.index("top")], literal)
    below = torch.cat([X[:, :, :last], X[:, :, last:] + 5], dim=2)
    assert torch.equal(net(below).vectors[:, VECTORS.index("top")], net(X).vectors[:, VECTORS.index("top")])


def test_the_top_feature_map_is_an_option_and_the_others_are_thirds() -> None:
    assert model().attributes.top == "half"  # type: ignore[union-attr]
    assert model(top="third").attributes.top == "third"  # type: ignore[union-attr]
    rows = {top: AttributeNetwork(4, MARKET, top=top).rows(6).int().tolist() for top in get_args(Top)}
    assert rows["half"][1] == [1, 1, 1, 0, 0, 0]
    assert rows["third"][1] == [1, 1, 0, 0, 0, 0]
    assert rows["half"][::2] == rows["third"][::2] == [[1] * 6, [0, 0, 1, 1, 0, 0]]
    assert rows["half"][3] == rows["third"][3] == [0, 0, 0, 0, 1, 1]
    with pytest.raises(UnknownNameError, match="Did you mean half"):
        model(top="halves")


def test_the_embedding_is_every_v_in_order() -> None:
    net = model().eval()
    X = net.backbone(images())
    output = net(images())
    rows = peak_parts(X)
    vectors = [net.head(X.mean(dim=(2, 3)))]
    for i, head in enumerate(net.parts):
        pooled = [X[b][:, rows[b, i]].mean(dim=(1, 2)) for b in range(3)]
        vectors.append(head(torch.stack(pooled)))
    assert net.attributes is not None
    assert net.attention is not None
    assert output.maps is not None
    masked = torch.stack([X[b] * output.maps["aam"][b] for b in range(3)]).mean(dim=(2, 3))
    attended = net.attention(masked)
    joined = [V for V, _ in vectors] + list(net.attributes(X).vectors.unbind(1)) + [attended[0]]
    torch.testing.assert_close(output.embedding, torch.cat(joined, dim=1))
    torch.testing.assert_close(output.logits, vectors[0][1])
    assert output.branches is not None
    for ours, (_, scores) in zip(output.branches["parts"], vectors[1:], strict=True):
        torch.testing.assert_close(ours, scores)
    torch.testing.assert_close(output.branches["attention"][0], attended[1])


def test_branches_of_the_embedding_are_the_tasks() -> None:
    found = model().branches_of_embedding()
    assert list(found) == ["global", "parts", "attributes", "attention"]
    assert [found[name].stop // 256 for name in found] == [1, 7, 11, 12]
    net = model().eval()
    embedding = net(images()).embedding
    torch.testing.assert_close(net.read_branch(embedding, "global"), net.head(net.backbone(images()).mean((2, 3)))[0])
    assert model(parts=False, attributes=False, attention_map=False).branches_of_embedding() == {}
    some = model(attributes=False, attention_map=False).branches_of_embedding()
    assert {name: columns.stop for name, columns in some.items()} == {"global": 256, "parts": 7 * 256}


def test_the_attention_map_is_the_mask_of_its_groups() -> None:
    for threshold in ("otsu", "mean", "none"):
        output = model(threshold=threshold).eval()(images())
        assert output.maps is not None
        groups = ["gender", "hair length", "upper color", "lower color", "type of lower", "length of lower"]
        joined = torch.stack([output.maps[name] for name in groups], dim=1)
        assert torch.equal(output.maps["aam"], attention_mask(joined, threshold))


def test_the_attention_task_trains_no_attribute() -> None:
    """The map is detached: attribute labels alone decide where it lies."""
    net = model().train()
    output = net(images())
    assert output.branches is not None
    output.branches["attention"][0].square().sum().backward()
    assert net.attributes is not None
    assert all(p.grad is None for p in net.attributes.parameters())
    assert all(p.grad is not None for p in net.backbone.parameters())


def test_each_task_trains_its_own_head_and_the_backbone() -> None:
    net = model().train()
    output = net(images())
    assert output.attributes is not None
    scores = [output.logits, *(output.branches or {})["parts"], *output.attributes]
    sum(each.square().sum() for each in scores if each is not None).backward()  # type: ignore[union-attr]
    assert all(p.grad is not None for name, p in net.named_parameters() if not name.startswith("attention."))


def test_small_maps_have_even_stripes_for_parts() -> None:
    net = model().eval()
    small = images()[:, :, :64, :32]
    X = net.backbone(small)
    assert X.shape[2:] == (2, 1)
    assert torch.equal(peak_parts(X), even_stripes(2, 6).expand(3, -1, -1))
    assert net(small).embedding.shape == (3, 3072)


def test_half_precision_keeps_the_maps_in_float32() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model().train()(images())
    assert output.maps is not None
    assert all(m.dtype == torch.float32 for m in output.maps.values())
    assert set(output.maps["aam"].unique().tolist()) == {0.0, 1.0}
    assert output.embedding.isfinite().all()


def test_last_stride_doubles_the_map() -> None:
    output = model(last_stride=1).eval()(images())
    assert output.maps is not None
    assert output.maps["aam"].shape == (3, 12, 4)


def test_invalid_options_and_batches_raise() -> None:
    with pytest.raises(ConfigError, match="attention_map=True needs attributes=True"):
        model(attributes=False)
    with pytest.raises(UnknownNameError, match=r"unknown attribute schema 'market'\. Did you mean market1501"):
        model(schema="market")
    with pytest.raises(UnknownNameError, match="Did you mean hat"):
        model(attention_groups=("hats",))
    with pytest.raises(ShapeError, match=r"batch of 1 image in training mode.*eval\(\)"):
        model(**LG).train()(images(1))
    with pytest.raises(UnknownNameError, match="Did you mean otsu"):
        create_model("aanet", num_classes=3, backbone="resnet18_half", threshold="ots")
    with pytest.raises(ConfigError, match="cannot be built"):
        create_model("aanet", num_classes=3, backbone="resnet18_half", attention_groups=5)


def test_options_may_come_from_json() -> None:
    options = json.loads('{"schema": "dukemtmc", "attention_groups": ["boots", "gender"], "backbone": "resnet18_half"}')
    net = create_model("aanet", num_classes=3, **options)
    assert isinstance(net, AANet)
    assert net.attended == [DUKE.index("boots"), DUKE.index("gender")]
