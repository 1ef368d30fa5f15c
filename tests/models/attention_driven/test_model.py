"""The five-branch network: the paper's counts, its switches, inter-attention, and errors."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import jaxtyping
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from passerby.compat import former_defaults
from passerby.errors import ConfigError, ShapeError, UnknownNameError
from passerby.losses.branches import BranchLoss
from passerby.models.attention_driven.blocks import IntraAttention
from passerby.models.attention_driven.model import BRANCHES, AttentionDriven, InterAttention
from passerby.models.registry import create_model
from passerby.types import Batch, ModelOutput
from passerby.weights.load import load_backbone

MARKET, DUKE, CUHK03 = 751, 702, 1367
BASE: dict[str, object] = {"intra": False, "fusion": "concat"}
FULL: dict[str, object] = {}
SIZES = {"global": 256, "head": 128, "upper_body": 128, "upper_leg": 128, "lower_leg": 128}


def on_meta(classes: int = MARKET, **options: object) -> AttentionDriven:
    with torch.device("meta"):
        return AttentionDriven(num_classes=classes, **options).eval()  # type: ignore[arg-type]


@cache
def at_the_papers_size(*, full: bool) -> tuple[AttentionDriven, ModelOutput, int]:
    """Return, computed on shapes alone, the network, its output for one 384×192 image, and torch's operation count."""
    model = on_meta(**(FULL if full else BASE))
    with FlopCounterMode(display=False) as counter:
        output = model(torch.zeros(1, 3, 384, 192, device="meta"), torch.zeros(1, 4, 3, 96, 192, device="meta"))
    return model, output, counter.get_total_flops()


def small(**options: object) -> AttentionDriven:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return AttentionDriven(num_classes=5, width=0.25, **options)  # type: ignore[arg-type]


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def inputs(b: int = 3) -> tuple[Tensor, Tensor]:
    return randn(b, 3, 64, 32), randn(b, 4, 3, 16, 32, seed=1)


@pytest.mark.parametrize(
    ("options", "classes", "count"),
    [
        (BASE, MARKET, 7_494_219),
        (BASE, DUKE, 7_456_342),
        (BASE, CUHK03, 7_970_387),
        (FULL, MARKET, 11_681_613),
        (FULL, DUKE, 11_606_055),
        (FULL, CUHK03, 12_631_485),
    ],
)
def test_all_parameters(options: dict[str, object], classes: int, count: int) -> None:
    with torch.device("meta"):
        assert create_model("attention_driven", num_classes=classes, **options).parameter_count() == count


@pytest.mark.parametrize(
    ("options", "weights", "multiply_adds"),
    [(BASE, 6_879_072, 1_959_657_472), (FULL, 10_457_056, 2_390_106_624)],
)
def test_weights_and_multiply_adds_without_classifiers(
    options: dict[str, object], weights: int, multiply_adds: int
) -> None:
    """Table 12 prints 6.8 and 10.4 million, 2.26 and 2.69 billion: only the difference of the latter agrees (0.43)."""
    model, _, flops = at_the_papers_size(full=options is FULL)
    counted = [p for name, p in model.named_parameters() if p.ndim > 1 and not name.startswith("classifier")]
    assert sum(p.numel() for p in counted) == weights
    scores = sum(p.numel() for name, p in model.named_parameters() if p.ndim > 1 and name.startswith("classifier"))
    assert flops == 2 * (multiply_adds + scores)  # torch counts two a multiply-add


def test_attention_adds_what_the_paper_adds() -> None:
    """Attention adds 10.4 − 6.8 million weights and 2.69 − 2.26 billion multiply-adds (Table 12)."""
    assert round((10_457_056 - 6_879_072) / 1e6, 1) == round(10.4 - 6.8, 1)
    assert round((2_390_106_624 - 1_959_657_472) / 1e9, 2) == round(2.69 - 2.26, 2)


def test_the_base_network_has_the_layers_of_table_1() -> None:
    model, _, _ = at_the_papers_size(full=False)
    assert (model.stem[0].kernel_size, model.stem[0].stride, model.stem[0].out_channels) == ((3, 3), (2, 2), 32)
    for name, branch in model.branches.items():
        whole = name == "global"
        assert (branch.pool.kernel_size, branch.pool.stride) == (3, 2 if whole else (1, 2))
        widths = [[unit.conv2.out_channels for unit in block.features] for block in branch.blocks]
        outputs = [[unit.conv3.out_channels for unit in block.features] for block in branch.blocks]
        strides = [[unit.conv2.stride[0] for unit in block.features] for block in branch.blocks]
        scale = 1 if whole else 2
        assert widths == [[c // scale] * 3 for c in (32, 64, 128, 256)]
        assert outputs == [[c // scale] * 3 for c in (64, 128, 256, 512)]
        assert strides == [[1, 1, 1], [2, 1, 1], [2, 1, 1], [1, 1, 1]]
        assert (branch.reduce.in_features, branch.reduce.out_features) == ((512, 256) if whole else (256, 128))
        assert branch.reduce.bias is None
    assert model.dropout.p == 0.5


def test_the_attention_path_is_a_quarter_as_wide_as_its_block() -> None:
    model, _, _ = at_the_papers_size(full=True)
    for branch in model.branches.values():
        assert branch.blocks[0].attention is None
        for block, levels in zip(list(branch.blocks)[1:], (2, 1, 1), strict=True):
            path = block.attention.score
            assert [len(level) for level in path.levels] == [2] * levels
            units = [path.entry, *(unit for level in path.levels for unit in level)]
            assert {unit.conv2.out_channels * 4 for unit in units} == {block.features[0].conv3.out_channels}


def test_maps_have_the_sizes_of_table_1() -> None:
    _, output, _ = at_the_papers_size(full=True)
    assert output.maps is not None
    assert len(output.maps) == 15
    shapes = {name: tuple(m.shape) for name, m in output.maps.items()}
    for number, whole, part in ((2, (48, 24), (24, 24)), (3, (24, 12), (12, 12)), (4, (24, 12), (12, 12))):
        assert shapes[f"global_block{number}"] == (1, *whole)
        assert all(shapes[f"{name}_block{number}"] == (1, *part) for name in BRANCHES[1:])


def saturated(model: AttentionDriven, images: Tensor, parts: Tensor) -> float:
    """Return the share of mask values outside [0.1, 0.9]."""
    values: list[Tensor] = []
    blocks = [module for module in model.modules() if isinstance(module, IntraAttention)]
    hooks = [block.register_forward_hook(lambda _m, _i, mask: values.append(mask.flatten())) for block in blocks]
    with torch.no_grad():
        model(images, parts)
    for hook in hooks:
        hook.remove()
    assert len(values) == len(blocks) == 15
    return float(((torch.cat(values) - 0.5).abs() > 0.4).float().mean())


def smooth(b: int, size: tuple[int, int], seed: int) -> Tensor:
    """Return noise as coarse as the shapes in images."""
    return torch.nn.functional.interpolate(1.5 * randn(b, 3, 8, 8, seed=seed), size, mode="bilinear")


@pytest.mark.parametrize("training", [False, True])
def test_masks_are_not_saturated_at_the_papers_size(training: bool) -> None:
    """The product of bare convolutions saturates the sigmoid before the first step: there nothing can be learned."""
    images, parts = smooth(2, (384, 192), 0), smooth(8, (96, 192), 1).unflatten(0, (2, 4))
    shares = {}
    for normalized in (True, False):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = AttentionDriven(num_classes=751, normalized_attention=normalized)
        shares[normalized] = saturated(model.train(training), images, parts)
    assert shares[True] < 0.01  # accepted: 0.05
    assert shares[False] > 0.3


@pytest.mark.parametrize(("mask", "limit"), [("residual", 0.1), ("plain", 0.25)])
@pytest.mark.parametrize("decomposed", [True, False])
def test_the_weights_of_a_base_network_keep_their_embeddings(
    mask: str, limit: float, decomposed: bool, tmp_path: Path
) -> None:
    """Rows with attention start from a base network: what that has learned must not be lost before the first step.

    The paper's masks (Eq 7) weigh features by 1 + m, those of Eq 5 by m, which the same change of m changes three times
    as much.
    """
    base = small(**BASE).train()
    images, parts = smooth(8, (64, 32), 0), smooth(32, (16, 32), 1).unflatten(0, (8, 4))
    for module in base.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # one pass decides the statistics
    with torch.no_grad():
        base(images, parts)
    save_file(base.state_dict(), tmp_path / "base.safetensors")
    model = small(fusion="concat", mask=mask, decomposed=decomposed)
    load_backbone(model, tmp_path / "base.safetensors", heads=model.heads)
    with torch.no_grad():
        before, after = (m.eval()(images, parts).embedding for m in (base, model))
    assert float((after - before).norm() / before.norm()) < limit


def test_the_literal_product_is_an_option() -> None:
    normalized, literal = on_meta(), on_meta(normalized_attention=False)
    assert list(normalized.state_dict()) == list(literal.state_dict())
    assert not any(block.normalized for block in literal.modules() if isinstance(block, IntraAttention))


@pytest.mark.parametrize("intra", [False, True])
@pytest.mark.parametrize("fusion", ["inter", "equal", "fc", "concat"])
def test_every_row_has_five_heads_and_768_features(intra: bool, fusion: str) -> None:
    output = small(intra=intra, fusion=fusion).eval()(*inputs())
    assert output.embedding.shape == (3, 768)
    assert output.logits is not None
    assert output.logits.shape == (3, 5)
    assert output.branches is not None
    assert [tuple(s.shape) for s in output.branches["intra"]] == [(3, 5)] * 5
    assert (output.maps is not None) == intra
    for m in (output.maps or {}).values():
        assert ((m > 0) & (m < 1)).all()


@pytest.mark.parametrize("name", BRANCHES)
def test_a_single_branch_is_that_of_the_whole_network(name: str) -> None:
    """In Table 7 a region alone has nothing to fuse."""
    whole, alone = small(fusion="concat", same_weight=False).eval(), small(branches=(name,), same_weight=False).eval()
    place = BRANCHES.index(name)
    alone.stem.load_state_dict(whole.stem.state_dict())
    alone.branches[name].load_state_dict(whole.branches[name].state_dict())
    alone.classifiers[0].load_state_dict(whole.classifiers[place].state_dict())
    images, parts = inputs()
    output, among_all = alone(images, parts), whole(images, parts)
    start = sum(SIZES[other] for other in BRANCHES[:place])
    assert alone.embedding_size == SIZES[name]
    assert torch.allclose(output.embedding, among_all.embedding[:, start : start + SIZES[name]], atol=1e-5)
    assert among_all.branches is not None
    assert output.logits is not None
    assert torch.allclose(output.logits, among_all.branches["intra"][place], atol=1e-5)


@pytest.mark.parametrize("name", [*BRANCHES, "parts"])
def test_a_branch_that_is_read_is_compared_as_a_network_of_it_alone(name: str) -> None:
    names = BRANCHES[1:] if name == "parts" else (name,)
    whole, alone = small().eval(), small(branches=names).eval()
    alone.stem.load_state_dict(whole.stem.state_dict())
    for each in names:
        alone.branches[each].load_state_dict(whole.branches[each].state_dict())
    if alone.inter is not None:
        assert whole.inter is not None
        alone.inter.load_state_dict(whole.inter.state_dict())
    images, parts = inputs()
    read = whole.read_branch(whole(images, parts).embedding, name)
    assert torch.allclose(read, alone(images, parts).embedding, atol=1e-5)
    assert not torch.allclose(read[:1], read[1:2], atol=1e-3)


def test_branches_of_the_embedding_are_its_columns() -> None:
    found = small().branches_of_embedding()
    assert list(found) == [*BRANCHES, "parts"]
    assert [found[name] for name in ("global", "head", "parts")] == [slice(0, 256), slice(256, 384), slice(256, 768)]
    assert [found[name].stop for name in BRANCHES] == [256, 384, 512, 640, 768]
    raw = small(same_weight=False).eval()
    embedding = raw(*inputs()).embedding
    assert torch.equal(raw.read_branch(embedding, "upper_leg"), embedding[:, 512:640])
    assert small(fusion="fc").branches_of_embedding() == {}, "one layer mixes them"
    assert small(branches=("head",)).branches_of_embedding() == {}
    assert list(small(branches=("global", "head")).branches_of_embedding()) == ["global", "head"]


def test_part_fusion_without_the_whole_body() -> None:
    model = small(branches=BRANCHES[1:])
    assert model.embedding_size == 512
    assert model.inter is not None
    assert model(*inputs()).embedding.shape == (3, 512)


def test_the_whole_body_alone_needs_no_parts() -> None:
    images, _ = inputs()
    assert small(branches=("global",)).eval()(images).embedding.shape == (3, 256)


def test_branches_have_one_order() -> None:
    assert small(branches=("lower_leg", "global")).names == ("global", "lower_leg")


def test_eq_8_and_9_are_the_literal_formulas() -> None:
    module = InterAttention((6, 6, 6, 6)).double()
    E = tuple(randn(3, 6, seed=i).double() for i in range(4))
    fused = module(E)
    for i in range(4):
        w, b = module.weigh[i].weight[0].tolist(), module.weigh[i].bias.item()
        for row in range(3):
            e = E[i][row].tolist()
            mu = 1 / (1 + math.exp(-sum(x * y for x, y in zip(w, e, strict=True)) - b))
            assert fused[i][row].tolist() == pytest.approx([(mu + 1) * x for x in e], abs=1e-12)


def test_inter_attention_scales_the_parts_and_not_the_whole_body() -> None:
    model = small(same_weight=False).eval()
    images, parts = inputs()
    fused = model(images, parts).embedding
    model.inter = None
    plain = model(images, parts).embedding
    ratio = fused / plain
    assert torch.equal(fused[:, :256], plain[:, :256])
    for i in range(4):
        mu = ratio[:, 256 + 128 * i : 384 + 128 * i] - 1
        assert torch.allclose(mu, mu[:, :1].expand_as(mu), atol=1e-3)
        assert ((mu > 0) & (mu < 1)).all()


def literal_fused(model: AttentionDriven, E: dict[str, list[float]], *, mu: bool) -> tuple[list[float], list[float]]:
    """Return E_g and E_l of one image, from Eq 8 and 9."""
    E_l: list[float] = []
    for place, name in enumerate(BRANCHES[1:]):
        weight = 0.0
        if mu:
            assert model.inter is not None
            w, b = model.inter.weigh[place].weight[0].tolist(), model.inter.weigh[place].bias.item()
            weight = 1 / (1 + math.exp(-(sum(x * y for x, y in zip(w, E[name], strict=True)) + b)))
        E_l += [(weight + 1) * value for value in E[name]]
    return E["global"], E_l


@pytest.mark.parametrize("mu", [True, False])
@pytest.mark.parametrize("same_weight", [True, False])
def test_embeddings_are_the_literal_halves_with_the_same_weight(mu: bool, same_weight: bool) -> None:
    """A distance between embeddings must not depend on how long the features of an image happen to be."""
    model = small(fusion="inter" if mu else "equal", same_weight=same_weight).double().eval()
    images, parts = (t.double() for t in inputs())
    E = {name: output.features for name, output in model._branches(images, parts).items()}
    output = model(images, parts)
    for row in range(len(images)):
        halves = literal_fused(model, {name: e[row].tolist() for name, e in E.items()}, mu=mu)
        lengths = [math.sqrt(sum(x * x for x in half)) if same_weight else 1.0 for half in halves]
        literal = [x / length for half, length in zip(halves, lengths, strict=True) for x in half]
        assert output.embedding[row].tolist() == pytest.approx(literal, abs=1e-9)
        assert model.classifier is not None
        scores = model.classifier(torch.tensor([*halves[0], *halves[1]], dtype=torch.float64))
        assert output.logits is not None
        assert torch.allclose(output.logits[row], scores, atol=1e-9)  # as they come


@pytest.mark.parametrize("options", [{"fusion": "fc"}, {"weigh_global": True}, {"branches": BRANCHES[1:]}])
def test_what_one_weight_or_layer_is_over_is_compared_as_a_whole(options: dict[str, object]) -> None:
    (model, as_it_comes), images = (small(**options, same_weight=on).eval() for on in (True, False)), inputs()
    embedding, features = model(*images).embedding, as_it_comes(*images).embedding
    assert torch.allclose(embedding, features / features.norm(dim=1, keepdim=True), atol=1e-6)


def test_runs_from_before_keep_their_masks_and_their_distance() -> None:
    former = former_defaults({"model": "attention_driven", "options": {"intra": True}})["options"]
    assert former == {"intra": True, "normalized_attention": False, "same_weight": False}


def test_the_whole_body_may_be_weighed_too() -> None:
    """The paper tried it (§3.4); the other numbers stay the same."""
    model, images, parts = small(weigh_global=True, same_weight=False).eval(), *inputs()
    assert model.inter is not None
    assert [weigh.in_features for weigh in model.inter.weigh] == list(SIZES.values())
    fused = model(images, parts).embedding
    weigh, model.inter = model.inter.weigh[0], None
    E_g = model(images, parts).embedding[:, :256]
    mu = 1 / (1 + (-(E_g * weigh.weight[0]).sum(dim=1, keepdim=True) - weigh.bias).exp())
    assert torch.allclose(fused[:, :256], (mu + 1) * E_g, atol=1e-5)
    assert small(weigh_global=True).parameter_count() == small().parameter_count() + 257


def test_without_fusion_the_scores_are_the_mean_of_the_branches() -> None:
    output = small(fusion="concat").eval()(*inputs())
    assert output.branches is not None
    assert torch.allclose(output.logits, sum(output.branches["intra"]) / 5, atol=1e-6)  # type: ignore[arg-type]


@pytest.mark.parametrize("part", range(4))
def test_each_part_reaches_its_own_branch_only(part: int) -> None:
    model = small(fusion="concat", same_weight=False).eval()  # which divides all parts by their common length
    images, parts = inputs()
    other = parts.clone()
    other[:, part] += 1
    change = (model(images, other).embedding - model(images, parts).embedding).abs().amax(0)
    changed = [bool(piece.max() > 1e-6) for piece in change.split([256, 128, 128, 128, 128])]
    assert changed == [False] + [i == part for i in range(4)]


def test_all_branches_share_the_first_convolution_and_nothing_else() -> None:
    model = small()
    output = model(*inputs())
    assert output.branches is not None
    output.branches["intra"][1].sum().backward()
    touched = {name.split(".")[1] for name, p in model.branches.named_parameters(prefix="b") if p.grad is not None}
    assert touched == {"head"}
    assert all(p.grad is not None for p in model.stem.parameters())


@pytest.mark.parametrize("options", [FULL, BASE, {"fusion": "fc"}, {"decomposed": False}, {"mask": "plain"}])
def test_the_papers_loss_gives_every_parameter_a_gradient(options: dict[str, object]) -> None:
    model = small(**options).train()
    fused = options.get("fusion") != "concat"
    loss = BranchLoss(intra=0.5, inter=1.0 if fused else 0.0)
    images, parts = inputs(4)
    batch = Batch(images=images, labels=torch.tensor([0, 1, 2, 3]), parts=parts)
    loss(model(images, parts), batch).total.backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []
    dead = [name for name, p in model.named_parameters() if not p.grad.any()]  # type: ignore[union-attr]
    dead = [name for name in dead if not name.endswith(".spatial.bias")]  # the normalization removes it again
    assert dead == []


def test_attention_without_decomposition_has_more_parameters() -> None:
    assert on_meta(decomposed=False).parameter_count() > on_meta().parameter_count()


def test_half_the_width_is_about_a_quarter_of_the_weights() -> None:
    convolutions = [sum(p.numel() for p in on_meta(width=width).parameters() if p.ndim == 4) for width in (1.0, 0.5)]
    assert convolutions[1] == pytest.approx(convolutions[0] / 4, rel=0.01)
    assert on_meta(width=0.5).embedding_size == 768


@pytest.mark.parametrize("size", [(32, 16), (50, 30), (128, 64)])
def test_odd_and_small_sizes_pass(size: tuple[int, int]) -> None:
    h, w = size
    output = small().eval()(randn(1, 3, h, w), randn(1, 4, 3, h // 4, w))
    assert output.embedding.isfinite().all()


def test_missing_and_misshapen_parts_raise() -> None:
    model = small()
    images, parts = inputs()
    with pytest.raises(ShapeError, match=r"needs the parts of each image.*got none.*crop_parts"):
        model(images)
    for wrong in (parts[:, :3], parts[:2], parts[:, :, :2], parts[:, 0]):
        with pytest.raises(ShapeError, match=r"parts must be \(b, 4, 3, height, width\).*b = 3; got"):
            model(images, wrong)


def test_unknown_options_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as outside the test suite
    with pytest.raises(UnknownNameError, match=r"unknown branch 'heads'. Did you mean head"):
        small(branches=("heads",))
    with pytest.raises(UnknownNameError, match="unknown fusion 'sum'"):
        small(fusion="sum")
    with pytest.raises(UnknownNameError, match="unknown mask 'hard'"):
        small(mask="hard")
    with pytest.raises(ConfigError, match="at least one branch"):
        small(branches=())
    with pytest.raises(ConfigError, match="width is a factor above 0"):
        AttentionDriven(num_classes=2, width=0)
