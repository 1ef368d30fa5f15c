"""Foreign checkpoints: files with the names of each toolkit, and what their networks compute, written out literally."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from passerby.errors import ConfigError, WeightsError
from passerby.inference.load import load
from passerby.inference.model import Model
from passerby.models.registry import create_model
from passerby.training.checkpoint import import_checkpoint
from passerby.weights.foreign.recognize import recognize, unwrapped
from passerby.weights.load import compare
from passerby.weights.read import read_state

State = dict[str, Tensor]
Shapes = dict[str, tuple[int, ...]]
PEOPLE = 3
SIZE = (64, 32)
"""The size of test images; each architecture is convolutional."""


def conv(name: str, c_in: int, c_out: int, kernel: int = 1) -> Shapes:
    return {f"{name}.weight": (c_out, c_in, kernel, kernel)}


def affine(name: str, channels: int) -> Shapes:
    return {f"{name}.weight": (channels,), f"{name}.bias": (channels,)}


def bn(name: str, channels: int) -> Shapes:
    return affine(name, channels) | {f"{name}.running_mean": (channels,), f"{name}.running_var": (channels,)}


def linear(name: str, c_in: int, c_out: int) -> Shapes:
    return {f"{name}.weight": (c_out, c_in), f"{name}.bias": (c_out,)}


def filled(shapes: Shapes) -> State:
    """Return random tensors that keep the sizes of activations, with a batch counter per BN."""
    generator = torch.Generator().manual_seed(1)
    state = {}
    for name, shape in shapes.items():
        values = torch.randn(shape, generator=generator)
        if name.endswith("running_var"):
            values = 0.5 + values.abs()
            state[name.replace("running_var", "num_batches_tracked")] = torch.tensor(7)
        elif len(shape) == 1:
            values = 0.1 * values + (1 if name.endswith("weight") else 0)
            values = 0.2 * values if name.endswith("bn3.weight") else values
        else:
            values = values * (2 / (values[0].numel())) ** 0.5 * (0.1 if ".NL_" in name else 1)
        state[name] = values
    return state


def thin(shapes: Shapes) -> State:
    """Return tensors of these shapes, each of which stores a single number."""
    return {name: torch.ones(()).expand(shape) for name, shape in shapes.items()}


def images(size: tuple[int, int] = SIZE) -> Tensor:
    return torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(2))


class Reference:
    """The layers of a state by name, each a plain call of ``torch.nn.functional``; notes which tensors were read."""

    def __init__(self, state: State) -> None:
        self.state, self.read = state, set[str]()

    def __getitem__(self, name: str) -> Tensor:
        self.read.add(name)
        return self.state[name]

    def conv(self, name: str, x: Tensor, stride: int = 1, groups: int = 1) -> Tensor:
        weight = self[f"{name}.weight"]
        bias = self[f"{name}.bias"] if f"{name}.bias" in self.state else None
        return F.conv2d(x, weight, bias, stride, weight.shape[2] // 2, groups=groups)

    def bn(self, name: str, x: Tensor) -> Tensor:
        mean, var, weight, bias = (self[f"{name}.{p}"] for p in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, mean, var, weight, bias, eps=1e-5)

    def instance(self, name: str, x: Tensor) -> Tensor:
        """Normalize each channel of each image by its own mean and (biased) variance."""
        mean, var = x.mean(dim=(2, 3), keepdim=True), x.var(dim=(2, 3), keepdim=True, unbiased=False)
        weight, bias = (self[f"{name}.{p}"].view(1, -1, 1, 1) for p in ("weight", "bias"))
        return (x - mean) / (var + 1e-5).sqrt() * weight + bias

    def norm(self, name: str, x: Tensor) -> Tensor:
        """Apply what a name holds: batch normalization, instance normalization, or IBN-a's halves of both."""
        if f"{name}.IN.weight" in self.state:
            half = x.shape[1] // 2
            return torch.cat([self.instance(f"{name}.IN", x[:, :half]), self.bn(f"{name}.BN", x[:, half:])], 1)
        return self.bn(name, x) if f"{name}.running_mean" in self.state else self.instance(name, x)

    def fc(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self[f"{name}.weight"], self[f"{name}.bias"])

    def unread(self) -> set[str]:
        return {name for name in self.state if name not in self.read and not name.endswith("num_batches_tracked")}


# OSNet -------------------------------------------------------------------------------------------------------------
INSIDE = {"conv2.0", "conv2.1", "conv3.1", "conv4.0"}
"""The blocks of OSNet-AIN with instance normalization."""


def conv_norm(name: str, c_in: int, c_out: int, kernel: int = 1, *, instance: bool = False) -> Shapes:
    return conv(f"{name}.conv", c_in, c_out, kernel) | (affine if instance else bn)(f"{name}.bn", c_out)


def streams(kind: str, block: str) -> Iterator[list[str]]:
    """Yield the names of the Lite 3×3 layers of each stream."""
    for t in range(4):
        if kind == "ain":
            yield [f"{block}.conv2.{t}.layers.{i}" for i in range(t + 1)]
        else:
            yield [f"{block}.conv2{'abcd'[t]}{f'.{i}' if t else ''}" for i in range(t + 1)]


def osnet(kind: str, widths: tuple[int, ...] = (16, 64, 96, 128), fill: Callable[[Shapes], State] = filled) -> State:
    shapes = conv_norm("conv1", 3, widths[0], 7, instance=kind != "batch")
    for stage in (2, 3, 4):
        for number in (0, 1):
            block, c_out, middle = f"conv{stage}.{number}", widths[stage - 1], widths[stage - 1] // 4
            c_in = widths[stage - 2] if number == 0 else c_out
            shapes |= conv_norm(f"{block}.conv1", c_in, middle)
            for layer in (layer for stream in streams(kind, block) for layer in stream):
                shapes |= conv(f"{layer}.conv1", middle, middle) | conv(f"{layer}.conv2", 1, middle, 3)
                shapes |= bn(f"{layer}.bn", middle)
            hidden = middle // 16
            shapes |= conv(f"{block}.gate.fc1", middle, hidden) | {f"{block}.gate.fc1.bias": (hidden,)}
            shapes |= conv(f"{block}.gate.fc2", hidden, middle) | {f"{block}.gate.fc2.bias": (middle,)}
            inside = kind == "ain" and block in INSIDE
            shapes |= (
                conv(f"{block}.conv3.conv", middle, c_out) if inside else conv_norm(f"{block}.conv3", middle, c_out)
            )
            shapes |= conv_norm(f"{block}.downsample", c_in, c_out) if number == 0 else {}
            shapes |= affine(f"{block}.IN", c_out) if inside or (kind == "ibn" and stage == 2) else {}
        if stage < 4:
            shapes |= conv_norm(f"pool{stage}.0" if kind == "ain" else f"conv{stage}.2.0", c_out, c_out)
    shapes |= conv_norm("conv5", widths[3], widths[3])
    shapes |= linear("fc.0", widths[3], 512) | bn("fc.1", 512) | linear("classifier", 512, PEOPLE)
    return fill(shapes)


def run_osnet(r: Reference, x: Tensor, kind: str) -> Tensor:
    def layer(name: str, x: Tensor, stride: int = 1) -> Tensor:
        return r.norm(f"{name}.bn", r.conv(f"{name}.conv", x, stride))

    def block(name: str, x: Tensor) -> Tensor:
        squeezed = layer(f"{name}.conv1", x).relu()
        total = torch.zeros_like(squeezed)
        for stream in streams(kind, name):
            y = squeezed
            for lite in stream:
                y = r.conv(f"{lite}.conv2", r.conv(f"{lite}.conv1", y), groups=y.shape[1])
                y = r.bn(f"{lite}.bn", y).relu()
            gate = r.conv(f"{name}.gate.fc1", y.mean((2, 3), keepdim=True)).relu()
            total = total + y * r.conv(f"{name}.gate.fc2", gate).sigmoid()
        shortcut = layer(f"{name}.downsample", x) if f"{name}.downsample.conv.weight" in r.state else x
        if kind == "ain" and name in INSIDE:
            return (r.instance(f"{name}.IN", r.conv(f"{name}.conv3.conv", total)) + shortcut).relu()
        out = layer(f"{name}.conv3", total) + shortcut
        return (r.instance(f"{name}.IN", out) if f"{name}.IN.weight" in r.state else out).relu()

    x = F.max_pool2d(layer("conv1", x, 2).relu(), 3, 2, 1)
    for stage in (2, 3, 4):
        x = block(f"conv{stage}.1", block(f"conv{stage}.0", x))
        if stage < 4:
            x = F.avg_pool2d(layer(f"pool{stage}.0" if kind == "ain" else f"conv{stage}.2.0", x).relu(), 2)
    v = layer("conv5", x).relu().mean((2, 3))
    v = r.bn("fc.1", r.fc("fc.0", v)).relu()
    r.fc("classifier", v)
    return v


# ResNet ------------------------------------------------------------------------------------------------------------
def resnet(prefix: str, blocks: tuple[int, ...], *, deep: bool, ibn: bool = False, non_local: bool = False) -> Shapes:
    shapes = conv(f"{prefix}conv1", 3, 64, 7) | bn(f"{prefix}bn1", 64)
    c_in = 64
    for stage, count in enumerate(blocks, start=1):
        width = 32 * 2**stage
        c_out = width * (4 if deep else 1)
        for number in range(count):
            block = f"{prefix}layer{stage}.{number}"
            shapes |= conv(f"{block}.conv1", c_in, width, 1 if deep else 3)
            halves = affine(f"{block}.bn1.IN", width // 2) | bn(f"{block}.bn1.BN", width // 2)
            shapes |= halves if ibn and stage < 4 else bn(f"{block}.bn1", width)
            shapes |= conv(f"{block}.conv2", width, width, 3) | bn(f"{block}.bn2", width)
            shapes |= conv(f"{block}.conv3", width, c_out) | bn(f"{block}.bn3", c_out) if deep else {}
            if number == 0 and c_in != c_out:
                shapes |= conv(f"{block}.downsample.0", c_in, c_out) | bn(f"{block}.downsample.1", c_out)
            c_in = c_out
        for number in range({2: 2, 3: 3}.get(stage, 0) if non_local else 0):
            name = f"{prefix}NL_{stage}.{number}"
            for part in ("g", "theta", "phi"):
                shapes |= conv(f"{name}.{part}", c_out, 1) | {f"{name}.{part}.bias": (1,)}
            shapes |= conv(f"{name}.W.0", 1, c_out) | {f"{name}.W.0.bias": (c_out,)} | bn(f"{name}.W.1", c_out)
    return shapes


def run_resnet(r: Reference, x: Tensor, prefix: str, *, last_stride: int, stem: str = "padded") -> Tensor:
    def non_local(name: str, x: Tensor) -> Tensor:
        theta, phi, g = (r.conv(f"{name}.{part}", x).flatten(2) for part in ("theta", "phi", "g"))
        pairs = theta.transpose(1, 2) @ phi / phi.shape[2]  # (b, n, n)
        y = (pairs @ g.transpose(1, 2)).transpose(1, 2).unflatten(2, x.shape[2:])
        return x + r.bn(f"{name}.W.1", r.conv(f"{name}.W.0", y))

    x = r.bn(f"{prefix}bn1", r.conv(f"{prefix}conv1", x, 2))
    x = x if stem == "linear" else x.relu()
    x = F.max_pool2d(x, 3, 2, ceil_mode=True) if stem == "unpadded" else F.max_pool2d(x, 3, 2, 1)
    for stage in (1, 2, 3, 4):
        count = sum(f"{prefix}layer{stage}.{n}.conv1.weight" in r.state for n in range(50))
        extra = sum(f"{prefix}NL_{stage}.{n}.g.weight" in r.state for n in range(50))
        for number in range(count):
            block = f"{prefix}layer{stage}.{number}"
            stride = {1: 1, 4: last_stride}.get(stage, 2) if number == 0 else 1
            deep = f"{block}.conv3.weight" in r.state
            y = r.norm(f"{block}.bn1", r.conv(f"{block}.conv1", x, 1 if deep else stride)).relu()
            y = r.bn(f"{block}.bn2", r.conv(f"{block}.conv2", y, stride if deep else 1))
            y = r.bn(f"{block}.bn3", r.conv(f"{block}.conv3", y.relu())) if deep else y
            has_projection = f"{block}.downsample.0.weight" in r.state
            x = r.bn(f"{block}.downsample.1", r.conv(f"{block}.downsample.0", x, stride)) if has_projection else x
            x = (x + y).relu()
            if number >= count - extra:
                x = non_local(f"{prefix}NL_{stage}.{number - count + extra}", x)
    return x


# ViT -----------------------------------------------------------------------------------------------------------------
TOKENS = 1 + 16 * 8
"""The class token and the patches of 256×128 images."""


def vit(width: int, fill: Callable[[Shapes], State] = filled) -> State:
    """Return the state of TransReID's baseline."""
    shapes = {"base.cls_token": (1, 1, width), "base.pos_embed": (1, TOKENS, width)}
    shapes |= conv("base.patch_embed.proj", 3, width, 16) | {"base.patch_embed.proj.bias": (width,)}
    for n in range(12):
        block = f"base.blocks.{n}"
        shapes |= affine(f"{block}.norm1", width) | affine(f"{block}.norm2", width)
        shapes |= linear(f"{block}.attn.qkv", width, 3 * width) | linear(f"{block}.attn.proj", width, width)
        shapes |= linear(f"{block}.mlp.fc1", width, 4 * width) | linear(f"{block}.mlp.fc2", 4 * width, width)
    shapes |= affine("base.norm", width)
    return fill(shapes | bn("bottleneck", width) | {"classifier.weight": (PEOPLE, width)})


def clip_vit(width: int, common: int, fill: Callable[[Shapes], State] = filled) -> State:
    """Return the state of CLIP-ReID's image encoder and its neck."""
    shapes: Shapes = {"class_embedding": (width,), "positional_embedding": (TOKENS, width), "proj": (width, common)}
    shapes |= conv("conv1", 3, width, 16) | affine("ln_pre", width) | affine("ln_post", width)
    for n in range(12):
        block = f"transformer.resblocks.{n}"
        shapes |= {f"{block}.attn.in_proj_weight": (3 * width, width), f"{block}.attn.in_proj_bias": (3 * width,)}
        shapes |= linear(f"{block}.attn.out_proj", width, width)
        shapes |= affine(f"{block}.ln_1", width) | affine(f"{block}.ln_2", width)
        shapes |= linear(f"{block}.mlp.c_fc", width, 4 * width) | linear(f"{block}.mlp.c_proj", 4 * width, width)
    encoder = {f"image_encoder.{name}": shape for name, shape in shapes.items()}
    return fill(encoder | bn("bottleneck", width) | {"classifier.weight": (PEOPLE, width)})


def attention(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """Return softmax(QKᵀ/√d) V of each head, one head behind the other."""
    found = []
    for q_h, k_h, v_h in zip(q.chunk(heads, 2), k.chunk(heads, 2), v.chunk(heads, 2), strict=True):
        scores = q_h @ k_h.transpose(1, 2) / q_h.shape[2] ** 0.5
        found.append(scores.softmax(dim=2) @ v_h)
    return torch.cat(found, dim=2)


def run_vit(r: Reference, x: Tensor, names: dict[str, str], *, heads: int, eps: float) -> Tensor:
    """Return the normalized class token of a ViT whose parts have these names."""

    def norm(name: str, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], r[f"{name}.weight"], r[f"{name}.bias"], eps)

    clip = names["fc1"] == "mlp.c_fc"
    prefix = "image_encoder." if clip else "base."
    bias = None if clip else r["base.patch_embed.proj.bias"]
    x = F.conv2d(x, r[f"{prefix}{names['patches']}.weight"], bias, 16).flatten(2).transpose(1, 2)
    width = x.shape[2]
    token = r[f"{prefix}{names['token']}"].view(1, 1, width).expand(len(x), 1, width)
    x = torch.cat([token, x], 1) + r[f"{prefix}{names['positions']}"].view(1, TOKENS, width)
    x = norm(f"{prefix}ln_pre", x) if clip else x
    for n in range(12):
        block = f"{prefix}{names['block']}.{n}"
        qkv = [r[f"{block}.attn.{names['qkv']}{part}"] for part in ("weight", "bias")]
        q, k, v = F.linear(norm(f"{block}.{names['norm1']}", x), *qkv).chunk(3, dim=2)
        x = x + r.fc(f"{block}.attn.{names['out']}", attention(q, k, v, heads))
        hidden = r.fc(f"{block}.{names['fc1']}", norm(f"{block}.{names['norm2']}", x))
        hidden = hidden * (1.702 * hidden).sigmoid() if clip else F.gelu(hidden)
        x = x + r.fc(f"{block}.{names['fc2']}", hidden)
    return norm(f"{prefix}{names['norm']}", x)[:, 0]


TRANSREID = {
    "patches": "patch_embed.proj", "token": "cls_token", "positions": "pos_embed", "block": "blocks", "qkv": "qkv.",
    "out": "proj", "norm1": "norm1", "norm2": "norm2", "fc1": "mlp.fc1", "fc2": "mlp.fc2", "norm": "norm",
}  # fmt: skip
CLIP = {
    "patches": "conv1", "token": "class_embedding", "positions": "positional_embedding",
    "block": "transformer.resblocks", "qkv": "in_proj_", "out": "out_proj", "norm1": "ln_1", "norm2": "ln_2",
    "fc1": "mlp.c_fc", "fc2": "mlp.c_proj", "norm": "ln_post",
}  # fmt: skip


# Files ---------------------------------------------------------------------------------------------------------------
def written(path: Path, state: State) -> Path:
    torch.save(state, path)
    return path


def check(
    file: Path, state: State, expected: Callable[[Reference], Tensor], shape: tuple[int, int] = SIZE, **given: object
) -> Model:
    """Load a file in one line, and compare what its network computes with the reference, which reads every tensor."""
    model = load(file, device="cpu", **given)  # type: ignore[arg-type]
    reference = Reference(state)
    with torch.inference_mode():
        wanted = expected(reference)
        torch.testing.assert_close(model.network(images(shape)).embedding, wanted, rtol=1e-3, atol=1e-3)
    assert reference.unread() == set()
    assert len(state) == len(model.network.state_dict())
    assert wanted.std(dim=0).mean() > 1e-3  # the images differ
    return model


@pytest.mark.parametrize("kind", ["batch", "ain"])
def test_osnet_of_torchreid(kind: str, tmp_path: Path) -> None:
    state = osnet(kind)
    file = written(tmp_path / "model.pth.tar-60", {"state_dict": {f"module.{k}": v for k, v in state.items()}})
    model = check(file, state, lambda r: run_osnet(r, images(), kind))
    assert model.card.name == ("osnet_x0_25" if kind == "batch" else "osnet_ain_x0_25")


def test_osnet_ibn_of_torchreid(tmp_path: Path) -> None:
    state = osnet("ibn", (64, 256, 384, 512))
    check(written(tmp_path / "osnet.pth", state), state, lambda r: run_osnet(r, images(), "ibn"))


@pytest.mark.parametrize("features", [None, 512])
@pytest.mark.parametrize("deep", [False, True])
def test_resnets_of_torchreid(deep: bool, features: int | None, tmp_path: Path) -> None:
    shapes, channels = resnet("", (3, 4, 6, 3) if deep else (2, 2, 2, 2), deep=deep), 2048 if deep else 512
    shapes |= linear("fc.0", channels, 512) | bn("fc.1", 512) if features else {}
    state = filled(shapes | linear("classifier", features or channels, PEOPLE))

    def expected(r: Reference) -> Tensor:
        v = run_resnet(r, images(), "", last_stride=1 if features else 2).mean((2, 3))
        v = r.bn("fc.1", r.fc("fc.0", v)).relu() if features else v
        r.fc("classifier", v)
        return v

    file = written(tmp_path / "resnet.pth", state)
    assert check(file, state, expected).backbone == ("resnet50" if deep else "resnet18")


def bn_neck(shapes: Shapes, neck: str, classifier: str, channels: int) -> State:
    return filled(shapes | bn(neck, channels) | {classifier: (PEOPLE, channels)})


def after_neck(r: Reference, pooled: Tensor, neck: str, classifier: str) -> Tensor:
    r[classifier]
    return r.bn(neck, pooled)


def test_the_stronger_baseline_of_fast_reid(tmp_path: Path) -> None:
    """ResNet-50-IBN-a, non-local blocks, generalized-mean pooling, BN neck."""
    shapes = resnet("backbone.", (3, 4, 6, 3), deep=True, ibn=True, non_local=True)
    state = bn_neck(shapes, "heads.bottleneck.0", "heads.weight", 2048) | {"heads.pool_layer.p": torch.tensor([2.5])}
    pixels = {"pixel_mean": torch.tensor([123.675, 116.28, 103.53]), "pixel_std": torch.tensor([58.395, 57.12, 57.375])}
    file = written(tmp_path / "model_final.pth", {"model": state | pixels, "iteration": 9})

    def expected(r: Reference) -> Tensor:
        maps = run_resnet(r, images(), "backbone.", last_stride=1, stem="unpadded")
        p = r["heads.pool_layer.p"]
        return after_neck(r, (maps.clamp(min=1e-6) ** p).mean((2, 3)) ** (1 / p), "heads.bottleneck.0", "heads.weight")

    with pytest.raises(
        ConfigError, match=r"does not tell its image size, and 256x128 and 384x128 are usual.*Fix: give"
    ):
        load(file)
    check(file, state, expected, size=(384, 128))


@pytest.mark.parametrize("names", ["fast-reid", "authors"])
def test_bags_of_tricks(names: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The two programs' stems differ: a max pooling without a border, and no ReLU."""
    prefix, neck, classifier, stem = {
        "fast-reid": ("backbone.", "heads.bottleneck.0", "heads.classifier.weight", "unpadded"),
        "authors": ("base.", "bottleneck", "classifier.weight", "linear"),
    }[names]
    state = bn_neck(resnet(prefix, (2, 2, 2, 2), deep=False), neck, classifier, 512)

    def expected(r: Reference) -> Tensor:
        pooled = run_resnet(r, images(), prefix, last_stride=1, stem=stem).mean((2, 3))
        return after_neck(r, pooled, neck, classifier)

    file = written(tmp_path / "model.pth", {key: value.half().float() for key, value in state.items()})
    state = torch.load(file)
    with caplog.at_level(logging.INFO):
        check(written(file, {key: value.half() for key, value in state.items()}), state, expected)
    assert "values were float16" in caplog.text
    assert "a classifier of 3 people" in caplog.text


def test_a_run_folder_of_it_gives_the_same(tmp_path: Path) -> None:
    state = bn_neck(resnet("backbone.", (2, 2, 2, 2), deep=False), "heads.bottleneck.0", "heads.weight", 512)
    file = written(tmp_path / "model.pth", {"model": state})
    made = import_checkpoint(None, file, tmp_path / "run")
    about = json.loads((tmp_path / "run" / "model.json").read_text())
    assert about["options"] == {"backbone": "resnet18", "stem": "unpadded"}
    assert (about["size"], about["normalization"], about["num_classes"]) == ([256, 128], "imagenet", PEOPLE)
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    assert about["weights"]["imported"] == {"source": str(file), "sha256": sha256, "toolkit": "fast-reid"}
    direct, imported = load(file), load(tmp_path / "run")
    assert direct.fingerprint == imported.fingerprint
    with torch.inference_mode():
        assert torch.equal(direct.network(images()).embedding, imported.network(images()).embedding)
    assert "fast-reid's resnet18; 126 of 126 tensors matched" in str(made)


@pytest.mark.parametrize(("file", "model"), [((3, 4, 6, 3), "resnet18"), ((2, 2, 2, 2), "resnet34")])
def test_another_depth_is_refused_by_its_name(file: tuple[int, ...], model: str, tmp_path: Path) -> None:
    state = bn_neck(resnet("backbone.", file, deep=False), "heads.bottleneck.0", "heads.weight", 512)
    path = written(tmp_path / "model.pth", state)
    theirs = "resnet34" if sum(file) == 16 else "resnet18"
    fix = f"Fix: give a checkpoint of {model}, or build the model with backbone={theirs}"
    with pytest.raises(WeightsError, match=f"names and shapes are those of {theirs}, expected {model}. {fix}"):
        import_checkpoint("strong_baseline", path, tmp_path / "run", options={"backbone": model})
    assert not (tmp_path / "run").exists()


def test_a_model_that_it_is_not_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path / "osnet.pth", osnet("batch"))
    with pytest.raises(
        WeightsError, match=r"does not fit OSNetX10.*those of osnet_x0_25, .* take the model osnet_x0_25"
    ):
        load(file, model="osnet_x1_0")
    assert load(file, model="osnet_x0_25").card.name == "osnet_x0_25"


def test_a_file_of_no_toolkit_is_asked_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["osnet_x0_25", "strong_baseline"]
    monkeypatch.setattr("passerby.inference.foreign.list_models", lambda: names)
    with torch.device("meta"):
        ours = create_model("strong_baseline", num_classes=PEOPLE).state_dict()
    state = {name: torch.ones(value.shape, dtype=value.dtype) for name, value in ours.items()}
    file = written(tmp_path / "ours.pth", state)
    with pytest.raises(
        WeightsError, match=r"of no toolkit .*could be one of strong_baseline\. Fix: name it \(model='str"
    ):
        load(file)
    assert load(file, model="strong_baseline").size == (256, 128)
    with pytest.raises(WeightsError, match=r"no model here has such tensors\. Fix: see `passerby models`"):
        load(written(file, {"first.weight": torch.ones(3, 3)}))


def test_the_weights_of_a_run_are_not_a_foreign_checkpoint(tmp_path: Path) -> None:
    import_checkpoint(None, written(tmp_path / "osnet.pth", osnet("batch")), tmp_path / "run")
    with pytest.raises(ConfigError, match=r"is the weights of a run\. Fix: give its folder"):
        load(tmp_path / "run" / "model.safetensors")
    with pytest.raises(ConfigError, match="model and size are of a checkpoint file"):
        load(tmp_path / "run", model="osnet_x0_25")


def test_the_published_osnet_in_one_line(shared: Path) -> None:
    model = load(shared / "weights" / "osnet_x0_25" / "osnet_x0_25_market1501.pth")
    assert (model.card.name, model.size, model.normalization) == ("osnet_x0_25", (256, 128), "imagenet")
    assert model.network.state_dict()["classifier.weight"].shape == (751, 512)


def test_the_vit_of_transreid(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    state = vit(384)
    file = written(tmp_path / "transformer_120.pth", state | filled(linear("base.fc", 384, 1000)))

    def expected(r: Reference) -> Tensor:
        token = run_vit(r, images((256, 128)), TRANSREID, heads=6, eps=1e-6)
        after_neck(r, token, "bottleneck", "classifier.weight")
        return token  # TransReID compares what is before the neck

    with caplog.at_level(logging.INFO):
        model = check(file, state, expected, shape=(256, 128))
    assert "base.fc, the head of its ImageNet start, is not used" in caplog.text
    assert (model.normalization, model.card.name, model.size) == ("half", "vit_b16", (256, 128))


def test_the_vit_of_clip_reid(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    state = clip_vit(384, 64)
    training = bn_neck(linear("text_encoder.ln_final", 8, 8), "bottleneck_proj", "classifier_proj.weight", 64)
    file = written(tmp_path / "ViT-B-16_60.pth", state | training)

    def expected(r: Reference) -> Tensor:
        token = run_vit(r, images((256, 128)), CLIP, heads=6, eps=1e-5)
        after_neck(r, token, "bottleneck", "classifier.weight")
        return torch.cat([token, token @ r["image_encoder.proj"]], dim=1)

    with caplog.at_level(logging.INFO):
        check(file, state, expected, shape=(256, 128))
    assert "8 tensors of its training alone" in caplog.text


def resnet50(toolkit: str, *, ibn: bool = False, stronger: bool = False) -> State:
    """Return the state of torchreid's, or of fast-reid's BoT or SBS."""
    if toolkit == "torchreid":
        return thin(resnet("", (3, 4, 6, 3), deep=True, ibn=ibn) | {"classifier.bias": (PEOPLE,)})
    shapes = resnet("backbone.", (3, 4, 6, 3), deep=True, ibn=ibn, non_local=stronger) | bn("heads.bottleneck.0", 2048)
    return thin(shapes | ({"heads.pool_layer.p": (1,)} if stronger else {}))


WIDTHS = {"x1_0": (64, 256, 384, 512), "x0_75": (48, 192, 288, 384), "x0_5": (32, 128, 192, 256)}
WIDE, BOT = WIDTHS["x1_0"], {"stem": "unpadded"}
SBS = {**BOT, "pooling": "gem", "non_local": True}
VIT = {"size": [256, 128], "stride": 16, "width": 768, "heads": 12}
FAMILIES: dict[str, tuple[Callable[[], State], tuple[str, int], str, dict[str, object]]] = {
    **{
        name: (partial(osnet, kind, widths, thin), ("classifier.weight", 512), name, {})
        for name, kind, widths in (
            *((f"osnet_{width}", "batch", widths) for width, widths in WIDTHS.items()),
            ("osnet_ibn_x1_0", "ibn", WIDE),
            ("osnet_ain_x1_0", "ain", WIDE),
        )
    },
    **{
        name: (partial(resnet50, toolkit, **how), (classifier, 2048), model, options)
        for name, toolkit, how, classifier, model, options in (
            ("resnet50", "torchreid", {}, "classifier.weight", "ide", {"backbone": "resnet50"}),
            ("resnet50_ibn", "torchreid", {"ibn": True}, "classifier.weight", "ide", {"backbone": "resnet50_ibn_a"}),
            ("bot", "fast-reid", {}, "heads.weight", "strong_baseline", {"backbone": "resnet50", **BOT}),
            (
                "bot_ibn",
                "fast-reid",
                {"ibn": True},
                "heads.classifier.weight",
                "strong_baseline",
                {"backbone": "resnet50_ibn_a", **BOT},
            ),
            (
                "sbs",
                "fast-reid",
                {"stronger": True},
                "heads.weight",
                "strong_baseline",
                {"backbone": "resnet50", **SBS},
            ),
            (
                "sbs_ibn",
                "fast-reid",
                {"ibn": True, "stronger": True},
                "heads.weight",
                "strong_baseline",
                {"backbone": "resnet50_ibn_a", **SBS},
            ),
        )
    },
    "transreid": (partial(vit, 768, thin), ("classifier.weight", 768), "vit_b16", VIT),
    "clip_reid": (
        lambda: clip_vit(768, 512, thin) | thin(bn("bottleneck_proj", 512)),
        ("classifier.weight", 768),
        "clip_vit_b16",
        {**VIT, "projection": 512},
    ),
}
"""The file of each family, its classifier and the size of embeddings, the model here and that model's options."""


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_known_in_any_wrapper(family: str, tmp_path: Path) -> None:
    """Half precision, ``module.``, a wrapper, another number of people; all tensors fit the model that they tell."""
    make, (classifier, embedding), model, options = FAMILIES[family]
    people = 1041
    made = make() | {classifier: torch.ones(()).expand(people, embedding)}
    made |= {"classifier.bias": torch.ones(people)} if "classifier.bias" in made else {}
    half = {f"module.{name}": value.half() for name, value in made.items()}
    file = tmp_path / "file.pth"
    torch.save({"model" if "heads.bottleneck.0.bias" in made else "state_dict": half, "epoch": 9, "best": [0.9]}, file)
    state = unwrapped(read_state(file))
    found = recognize(state, str(file))
    assert found is not None
    assert (found.model, {**found.options}) == (model, options)
    assert "a classifier of 1,041 people" in found.said
    with torch.device("meta"):
        network = create_model(model, num_classes=people, **options)
    report = compare(network, found.rename(state))
    assert (report.missing, report.unexpected, report.reshaped) == ((), (), ())
    assert report.share == 1


def names_only(names: str) -> State:
    return {name: torch.ones(2, 2) for name in names.split()}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (names_only("heads.weight backbone.conv1.0.weight"), "a ResNeSt, which is not read"),
        (names_only("heads.bottleneck.1.weight heads.weight"), "a head that reduces the embedding"),
        (names_only("base.cls_token base.pos_embed base.sie_embed"), "an embedding of cameras or viewpoints"),
        (names_only("base.cls_token base.pos_embed b1.0.norm1.weight"), "its jigsaw branch"),
        ({"base.cls_token": torch.ones(1, 1, 768), "base.pos_embed": torch.ones(1, 129, 768)}, "a ViT of 0 blocks"),
        (names_only("image_encoder.layer1.0.conv1.weight bottleneck_proj.weight"), "CLIP-ReID with a ResNet"),
        ({"conv1.conv.weight": torch.ones(7, 3, 7, 7), "conv5.conv.weight": torch.ones(3, 3)}, "stem has 7 channels"),
    ],
)
def test_what_is_known_and_not_read(state: State, message: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=rf"{message}.*Fix: give"):
        load(written(tmp_path / "model.pth", state))


@pytest.mark.parametrize("classes", [1000, None])
def test_what_was_not_trained_to_tell_people_apart(classes: int | None, tmp_path: Path) -> None:
    state = filled(resnet("", (2, 2, 2, 2), deep=False) | (linear("fc", 512, classes) if classes else {}))
    what = "an ImageNet classifier" if classes else "only a backbone"
    with pytest.raises(WeightsError, match=rf"is {what} \(resnet18\).*model\.backbone_weights="):
        load(written(tmp_path / "resnet18.pth", state))


def test_images_of_another_normalization_are_refused(tmp_path: Path) -> None:
    state = bn_neck(resnet("backbone.", (2, 2, 2, 2), deep=False), "heads.bottleneck.0", "heads.weight", 512)
    file = written(tmp_path / "model.pth", state | {"pixel_mean": torch.tensor([127.5, 127.5, 127.5])})
    with pytest.raises(WeightsError, match=r"pixel_mean is \[127\.5, .*normalized in another way"):
        load(file)


@pytest.mark.parametrize(
    ("name", "tokens", "parameters"), [("vit_b16", 197, 85_798_656), ("clip_vit_b16", 197, 86_192_640)]
)
def test_vits_have_the_published_parameters(name: str, tokens: int, parameters: int) -> None:
    """Without a head, of images of 224×224: timm's ``vit_base_patch16_224``, and CLIP's ViT-B/16."""
    with torch.device("meta"):
        model = create_model(name, size=(224, 224))
    assert model.get_parameter("backbone.pos_embed").shape[1] == tokens
    assert model.parameter_count() - sum(p.numel() for p in model.neck.parameters()) == parameters
