"""Checkpoints into models: what is accepted, and what is an error and leaves the model unchanged."""

from __future__ import annotations

import argparse
import gzip
import hashlib
import os
import random
import tarfile
import zipfile
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from passerby.errors import WeightsError
from passerby.models.attention import attention_factory
from passerby.models.backbones import create_backbone
from passerby.models.registry import create_model
from passerby.weights.load import WeightsReport, compare, load_backbone, load_model, load_weights
from passerby.weights.read import read_state

State = dict[str, Tensor]


def net(classes: int = 3) -> nn.Sequential:
    """Ten tensors: two linear layers, a BN with its counter, and a classifier without a bias."""
    model = nn.Sequential()
    model.add_module("first", nn.Linear(4, 4))
    model.add_module("norm", nn.BatchNorm1d(4))
    model.add_module("second", nn.Linear(4, 4))
    model.add_module("classifier", nn.Linear(4, classes, bias=False))
    return model


def random_state(classes: int = 3) -> State:
    generator = torch.Generator().manual_seed(7)
    state = net(classes).state_dict()
    return {k: torch.rand(v.shape, generator=generator) if v.is_floating_point() else v for k, v in state.items()}


def saved(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


class _Payload:
    """What a pickle could carry in place of tensors."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, ("executed",)


def _missing(path: Path) -> None:
    pass


def _random_bytes(path: Path) -> None:
    path.write_bytes(random.Random(0).randbytes(1000))


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _text(path: Path) -> None:
    path.write_bytes(b"hello world, this is no checkpoint\n")


def _directory(path: Path) -> None:
    path.mkdir()


def _cut(path: Path) -> None:
    saved(path, random_state())
    path.write_bytes(path.read_bytes()[:-200])


def _pickled_object(path: Path) -> None:
    saved(path, _Payload())


def _pickled_model(path: Path) -> None:
    saved(path, net())


def _half(path: Path) -> None:
    saved(path, dict(list(random_state().items())[:5]))


def _wrong_shape(path: Path) -> None:
    saved(path, {key: value.repeat(2) if value.ndim == 1 else value for key, value in random_state().items()})


def _nan(path: Path) -> None:
    state = random_state()
    state["second.weight"][1, 2] = float("nan")
    saved(path, state)


def _infinite(path: Path) -> None:
    saved(path, {**random_state(), "norm.running_var": torch.full((4,), float("inf"))})


def _too_large(path: Path) -> None:
    saved(path, {**random_state(), "second.weight": torch.full((4, 4), 1e300, dtype=torch.float64)})


def _whole_numbers(path: Path) -> None:
    saved(path, {key: value.to(torch.int8) for key, value in random_state().items()})


def _complex(path: Path) -> None:
    saved(path, {**random_state(), "second.weight": torch.full((4, 4), 1j)})


def _float8(path: Path) -> None:
    saved(path, {**random_state(), "second.weight": torch.zeros(4, 4).to(torch.float8_e4m3fn)})


def _sparse(path: Path) -> None:
    saved(path, {**random_state(), "second.weight": torch.eye(4).to_sparse()})


def _without_values(path: Path) -> None:
    saved(path, {**random_state(), "second.weight": torch.zeros(4, 4, device="meta")})


def _empty_dict(path: Path) -> None:
    saved(path, {})


def _lone_tensor(path: Path) -> None:
    saved(path, torch.zeros(3))


def _foreign(path: Path) -> None:
    saved(path, {f"{key.replace('.', '_')}.other": value for key, value in random_state().items()})


def _html(path: Path) -> None:
    path.write_bytes(b"\n<!DOCTYPE html><html>Virus scan warning</html>")


def _lfs(path: Path) -> None:
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")


def _gzip(path: Path) -> None:
    saved(path, random_state())
    path.write_bytes(gzip.compress(path.read_bytes()))


def _zip(path: Path) -> None:
    inner = saved(path.with_name("inner.pth"), random_state())
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(inner, "download/inner.pth")


def _tar(path: Path) -> None:
    inner = saved(path.with_name("inner.pth"), random_state())
    with tarfile.open(path, "w") as archive:
        archive.add(inner, "inner.pth")


def _torchscript(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("data.pkl", "constants.pkl", "code/__torch__.py"):
            archive.writestr(f"net/{name}", b"\x80\x02.")


def _onnx(path: Path) -> None:
    path.write_bytes(b"\x08\x08\x12\x07pytorch\x1a\x052.1.0:\xff\x01\n\x04conv")


def _npz(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, **{key: value.numpy() for key, value in random_state().items()})


def _hdf5(path: Path) -> None:
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))


def _optimizer(path: Path) -> None:
    saved(path, torch.optim.Adam(net().parameters()).state_dict())


def _only_numbers(path: Path) -> None:
    saved(path, {"epoch": 3, "rank1": 0.9})


def _student_and_teacher(path: Path) -> None:
    saved(path, {"student": random_state(), "teacher": random_state(), "epoch": 1})


def _queries_and_keys(path: Path) -> None:
    saved(
        path, {f"{name}.{key}": value for name in ("encoder_q", "encoder_k") for key, value in random_state().items()}
    )


def _zero(path: Path) -> None:
    saved(path, {key: torch.zeros_like(value) for key, value in random_state().items()})


def _negative_variance(path: Path) -> None:
    saved(path, {**random_state(), "norm.running_var": torch.full((4,), -0.5)})


def _left_over(path: Path) -> None:
    saved(path, {**random_state(), "norm.IN.weight": torch.ones(4)})


def _one_missing(path: Path) -> None:
    saved(path, {key: value for key, value in random_state().items() if key != "first.bias"})


REJECTED = {
    _missing: "no checkpoint at .*give a .safetensors or .pth file",
    _directory: "no checkpoint at",
    _random_bytes: "is not a",
    _empty: "not a readable checkpoint: it is empty",
    _text: "not a readable checkpoint: it is a text file",
    _cut: "not a readable checkpoint: it is a zip archive that is cut short",
    _pickled_object: r"not a PyTorch file of plain tensors: it holds an object of \w+\.mkdir.*save its state_dict",
    _pickled_model: r"it holds an object of torch\.nn\.modules\.container\.Sequential.*save its state_dict",
    _half: r"does not fit Sequential: 5 of 9 tensors matched; 4 missing .*allow by name what may be missing",
    _one_missing: r"9 of 10 tensors matched; 1 missing \(first\.bias\)",
    _left_over: r"10 of 10 tensors matched; 1 unexpected \(norm\.IN\.weight\).*allow by name what may be unexpected",
    _wrong_shape: r"does not fit .* reshaped \(first.bias",
    _nan: r"1 tensors hold NaN or infinity \(second.weight\)",
    _infinite: r"1 tensors hold NaN or infinity \(norm.running_var\)",
    _too_large: r"1 tensors are too large for the module's precision \(second.weight\)",
    _zero: r"3 tensors are 0 everywhere, and there are no others \(first.weight",
    _negative_variance: r"1 tensors are negative variances \(norm.running_var\)",
    _whole_numbers: r"1 of 10 tensors matched; 9 reshaped \(first.weight",
    _complex: r"1 tensors are sparse, quantized, complex or empty \(second.weight\)",
    _float8: r"1 tensors are sparse, quantized.*\(second.weight\)",
    _sparse: r"1 tensors are sparse, quantized.*\(second.weight\)",
    _without_values: r"1 tensors are sparse, quantized.*\(second.weight\)",
    _empty_dict: r"holds dict, not named tensors \(nothing\)",
    _only_numbers: r"holds dict, not named tensors \(epoch, rank1\)",
    _lone_tensor: "holds Tensor, not named tensors",
    _foreign: "0 of 9 tensors matched",
    _html: r"it is a web page \(HTML\)\. Fix: fetch",
    _lfs: "it is a Git LFS pointer.*git lfs pull",
    _gzip: "it is compressed by gzip. Fix: unpack",
    _zip: r"it is a zip archive that holds download/inner\.pth. Fix: unpack",
    _tar: "it is a tar archive. Fix: unpack",
    _torchscript: "it is a TorchScript program",
    _onnx: "it is an ONNX model",
    _npz: r"it is a NumPy archive \(\.npz\)",
    _hdf5: r"it is an HDF5 file \(Keras\)",
    _optimizer: "holds the state of an optimizer, not of a network",
    _student_and_teacher: r"holds several networks: student, teacher\. Fix: name one of them, weights\.pth#student",
    _queries_and_keys: r"several networks: encoder_\w\., encoder_\w\.\. Fix: name one of them, .*#encoder_\w",
}


@pytest.mark.parametrize(("write", "message"), REJECTED.items(), ids=lambda x: getattr(x, "__name__", ""))
def test_errors_are_one_line_and_change_nothing(
    write: Callable[[Path], None], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "weights.pth")
    model = net()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(WeightsError, match=message) as caught:
        load_weights(model, tmp_path / "weights.pth")
    assert "\n" not in str(caught.value)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("content", [b"", b"hello world", bytes(8), b"\xff" * 100, random.Random(1).randbytes(500)])
def test_damaged_safetensors_are_errors(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(content)
    with pytest.raises(WeightsError, match=r"not a readable checkpoint|not a PyTorch file|0 of 9"):
        load_weights(net(), tmp_path / "weights.safetensors")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_random_bytes_are_errors(tmp_path: Path) -> None:
    for seed in range(300):
        first = bytes([seed % 256])
        (tmp_path / "weights.pth").write_bytes(first + random.Random(seed).randbytes(200))
        with pytest.raises(WeightsError):
            read_state(tmp_path / "weights.pth")


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "net", "teacher", None])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod.", "model.", "model.backbone."])
def test_wrappers_and_prefixes_are_removed(wrapper: str | None, prefix: str, tmp_path: Path) -> None:
    state = random_state()
    content = {prefix + key: value for key, value in state.items()}
    wrapped = {wrapper: content, "epoch": 3} if wrapper else content
    model = net()
    report = load_weights(model, saved(tmp_path / "weights.pth", wrapped))
    assert set(report.matched) == set(state)
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())


def test_safetensors_and_pytorch_files_are_read_alike(tmp_path: Path) -> None:
    state = random_state()
    save_file(state, tmp_path / "weights.safetensors")
    saved(tmp_path / "weights.pth", state)
    one, other = (read_state(tmp_path / f"weights.{suffix}") for suffix in ("safetensors", "pth"))
    assert one.keys() == other.keys() == state.keys()
    assert all(torch.equal(one[key], other[key]) for key in state)


def test_ignored_prefixes_are_left_out_on_both_sides(tmp_path: Path) -> None:
    model = net(classes=3)
    classifier = model.get_parameter("classifier.weight").clone()
    path = saved(tmp_path / "weights.pth", random_state(classes=7))
    report = load_weights(model, path, ignore=("classifier.",))
    assert len(report.matched) == report.total == 9
    assert report.reshaped == report.unexpected == ()
    assert torch.equal(model.get_parameter("classifier.weight"), classifier)


def test_what_does_not_match_is_named(tmp_path: Path) -> None:
    state = random_state()
    del state["first.bias"]
    state["extra.weight"] = torch.zeros(2)
    report = compare(net(), state)
    assert report.missing == ("first.bias",)
    assert report.unexpected == ("extra.weight",)
    assert report.reshaped == ()
    assert (len(report.matched), report.total, report.share) == (9, 10, 0.9)
    path = saved(tmp_path / "weights.pth", state)
    for allowed in ({}, {"missing": ["first."]}, {"unexpected": ["extra."]}):
        with pytest.raises(WeightsError):
            load_weights(net(), path, **allowed)
    report = load_weights(net(), path, missing=["first.bias"], unexpected="extra.")
    assert (report.fresh, report.unexpected) == (("first.bias",), ("extra.weight",))


def test_another_classifier_is_never_skipped_unasked(tmp_path: Path) -> None:
    path = saved(tmp_path / "weights.pth", random_state(classes=7))  # nine of ten tensors match
    with pytest.raises(WeightsError, match=r"1 reshaped \(classifier.weight\).*may be missing and unexpected"):
        load_weights(net(), path)
    named = {"missing": ["classifier."], "unexpected": ["classifier."]}
    assert load_weights(net(), path, **named).total == 9


def test_one_ignored_prefix_may_stand_alone(tmp_path: Path) -> None:
    path = saved(tmp_path / "weights.pth", random_state(classes=7))
    assert load_weights(net(), path, ignore="classifier.").total == 9


def test_a_mixture_of_prefixes_is_left_over(tmp_path: Path) -> None:
    mixed = {**random_state(), "module.first.weight": torch.zeros(4, 4)}
    with pytest.raises(WeightsError, match=r"1 unexpected \(module.first.weight\)"):
        load_weights(net(), saved(tmp_path / "weights.pth", mixed))


def test_one_of_several_networks_is_read_by_its_name(tmp_path: Path) -> None:
    one, other = random_state(), {key: value + 1 for key, value in random_state().items()}
    nested = saved(tmp_path / "nested.pth", {"student": one, "teacher": {"module": other}})
    flat = saved(tmp_path / "flat.pth", {f"{n}.{k}": v for n, s in (("q", one), ("k", other)) for k, v in s.items()})
    for source, wanted in (
        (f"{nested}#student", one),
        (f"{nested}#teacher", other),
        (f"{nested}#teacher.module", other),
    ):
        model = net()
        load_weights(model, source)
        assert torch.equal(model.get_parameter("first.weight"), wanted["first.weight"])
    model = net()
    report = load_weights(model, f"{flat}#k", part_of_model=True)
    assert (report.prefix, len(report.outside)) == ("k.", 10)
    assert torch.equal(model.get_parameter("first.weight"), other["first.weight"])
    with pytest.raises(WeightsError, match="no tensors under 'z'"):
        load_weights(net(), f"{flat}#z")


def test_numbers_of_numpy_beside_the_weights_are_read(tmp_path: Path) -> None:
    """As torchreid stores its rank-1, and others their curves and options; nothing else may be constructed."""
    beside = {
        "rank1": np.float32(0.9),
        "best": np.float64(0.5),
        "epoch": np.int64(60),
        "cmc": np.arange(3.0),
        "args": argparse.Namespace(lr=0.1),
        "time": datetime(2020, 1, 2, tzinfo=timezone.utc),
        "folder": Path("runs/x"),
    }
    path = saved(tmp_path / "model.pth.tar-60", {"state_dict": random_state(), **beside})
    assert len(load_weights(net(), path).matched) == 10


def test_counters_that_half_precision_cannot_hold_are_no_weights(tmp_path: Path) -> None:
    state = {key: value.half() for key, value in random_state().items()}
    counters = [key for key in state if key.endswith("num_batches_tracked")]
    assert counters
    for key in counters:
        state[key] = torch.full_like(state[key], float("inf"))
    report = load_weights(net(), saved(tmp_path / "half.pth", state))
    assert len(report.matched) == 10 - len(counters)


def test_safetensors_are_read_whatever_their_name(tmp_path: Path) -> None:
    save_file(random_state(), tmp_path / "weights.pth")
    saved(tmp_path / "weights.safetensors", random_state())
    assert all(len(load_weights(net(), tmp_path / f"weights.{end}").matched) == 10 for end in ("pth", "safetensors"))


def test_a_run_folder_stands_for_its_weights_and_an_unfinished_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(WeightsError, match=r"is a run without model\.safetensors\. Fix: finish it"):
        load_weights(net(), tmp_path)
    save_file(random_state(), tmp_path / "model.safetensors")
    report = load_weights(net(), tmp_path)
    content = (tmp_path / "model.safetensors").read_bytes()
    assert report.origin == {"source": str(tmp_path), "sha256": hashlib.sha256(content).hexdigest()}


def test_half_precision_is_loaded_into_float32(tmp_path: Path) -> None:
    state = {key: value.half() for key, value in random_state().items()}  # the batch counter as well
    model = net()
    report = load_weights(model, saved(tmp_path / "weights.pth", state))
    assert "values were float16" in str(report)
    assert {key: value.dtype for key, value in model.state_dict().items()} == {
        key: value.dtype for key, value in net().state_dict().items()
    }
    assert all(torch.equal(value.half(), state[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("source", ["a" * 5000, "~unknown-user/weights.pth", "nul\0byte"])
def test_impossible_paths_are_missing_files(source: str) -> None:
    with pytest.raises(WeightsError, match="no checkpoint at"):
        load_weights(net(), source)


def test_fresh_keys_keep_their_values_and_are_not_missed(tmp_path: Path) -> None:
    state = random_state()
    del state["second.weight"], state["second.bias"]
    model = net()
    before = model.get_parameter("second.weight").clone()
    path = saved(tmp_path / "weights.pth", state)
    report = load_weights(model, path, fresh=lambda key: key.startswith("second."))
    assert report.fresh == ("second.bias", "second.weight")
    assert report.missing == ()
    assert torch.equal(model.get_parameter("second.weight"), before)


def test_fresh_keys_that_the_file_has_are_loaded(tmp_path: Path) -> None:
    report = load_weights(net(), saved(tmp_path / "weights.pth", random_state()), fresh=lambda key: True)
    assert report.fresh == ()
    assert len(report.matched) == 10


def test_a_file_with_some_of_the_added_modules_is_of_another_variant(tmp_path: Path) -> None:
    state = random_state()
    del state["second.bias"]
    with pytest.raises(WeightsError, match=r"1 missing \(second.bias\)"):
        load_weights(net(), saved(tmp_path / "weights.pth", state), fresh=lambda key: key.startswith("second."))


def test_old_files_without_batch_counters_are_whole(tmp_path: Path) -> None:
    state = random_state()
    del state["norm.num_batches_tracked"]
    report = load_weights(net(), saved(tmp_path / "weights.pth", state))
    assert (len(report.matched), report.total, report.fresh) == (9, 9, ("norm.num_batches_tracked",))


def test_report_reads_as_one_line() -> None:
    report = WeightsReport(("a", "b"), ("c",), tuple("defg"), (), ("h",))
    assert str(report) == "2 of 3 tensors matched; 1 missing (c); 4 unexpected (d, e, f, …); 1 fresh (h)"
    assert WeightsReport((), (), (), ()).share == 0.0


def test_trunk_leaves_the_files_classifier_out(tmp_path: Path) -> None:
    backbone = nn.Sequential()
    backbone.add_module("first", nn.Linear(4, 4))
    state = {**backbone.state_dict(), "fc.weight": torch.zeros(9, 4), "classifier.1.bias": torch.zeros(9)}
    report = load_backbone(backbone, saved(tmp_path / "weights.pth", state))
    assert report.matched == ("first.weight", "first.bias")
    assert report.unexpected == ()


@pytest.mark.parametrize(
    ("source", "repository", "file"),
    [
        ("hf:owner/name", "owner/name", "model.safetensors"),
        ("hf:owner/name/sub/weights.safetensors", "owner/name", "sub/weights.safetensors"),
    ],
)
def test_the_hub_is_asked_by_name_only(
    source: str, repository: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_file(random_state(), tmp_path / "model.safetensors")
    asked: list[tuple[str, str]] = []

    def download(repo_id: str, filename: str) -> str:
        asked.append((repo_id, filename))
        return str(tmp_path / "model.safetensors")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    load_weights(net(), tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match="no checkpoint at 'owner/name'"):
        load_weights(net(), "owner/name")
    assert asked == []
    load_weights(net(), source)
    assert asked == [(repository, file)]


@pytest.mark.parametrize("error", [OSError("no route\nto the hub"), OSError()])
def test_a_hub_that_does_not_answer_is_one_line(error: OSError, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(*_: str) -> str:
        raise error

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    with pytest.raises(
        WeightsError, match=r"^hf:owner/name could not be fetched \((no route|OSError)\)\. Fix: [^\n]*$"
    ):
        load_weights(net(), "hf:owner/name")


@pytest.mark.parametrize("source", ["hf:name", "hf:", "hf:owner/na me"])
def test_a_bad_hub_name_is_an_error_before_any_request(source: str) -> None:
    with pytest.raises(WeightsError, match="could not be fetched"):
        read_state(source)


def with_heads(backbone: nn.Module) -> State:
    """The file of a whole model around a backbone."""
    state = {f"backbone.{key}": value for key, value in backbone.state_dict().items()}
    return {**state, "neck.weight": torch.ones(3), "classifier.weight": torch.ones(5, 3)}


def test_a_backbone_takes_its_part_of_a_whole_model(tmp_path: Path) -> None:
    backbone = create_backbone("resnet18_half")
    report = load_backbone(create_backbone("resnet18_half"), saved(tmp_path / "whole.pth", with_heads(backbone)))
    assert report.prefix == "backbone."
    assert report.outside == ("neck.weight", "classifier.weight")
    assert len(report.matched) == len(backbone.state_dict())


def test_attention_that_a_paper_adds_is_new_and_reported(tmp_path: Path) -> None:
    path = saved(tmp_path / "imagenet.pth", create_backbone("resnet18_half").state_dict())
    attended = create_backbone("resnet18_half", attention=attention_factory("cwa_mul"))
    report = load_backbone(attended, path)
    assert report.fresh
    assert all(".attention." in key for key in report.fresh)
    saved(path, attended.state_dict())
    with pytest.raises(WeightsError, match=r"unexpected \(layer3\.0\.attention"):
        load_backbone(create_backbone("resnet18_half"), path)
    stages = create_backbone("resnet18_half", attention=attention_factory("cwa_mul"), attention_stages=(1, 2, 3, 4))
    with pytest.raises(WeightsError, match=r"missing \(layer1\.0\.attention"):
        load_backbone(stages, path)


SIBLINGS = [
    *(("resnet101", "resnet50"), ("resnet50", "resnet101"), ("resnet152", "resnet101"), ("resnet26", "resnet50")),
    *(("resnet34", "resnet18"), ("resnet18", "resnet34"), ("resnet34", "resnet50"), ("resnet18", "resnet18_half")),
    *(("resnet50_ibn_a", "resnet50"), ("resnet50", "resnet50_ibn_a"), ("resnet101_ibn_a", "resnet50_ibn_a")),
    *(("mobilenet_v2_ibn_a", "mobilenet_v2"), ("mobilenet_v2", "resnet18"), ("resnet18", "mobilenet_v2_ibn_a")),
]


def thin_file(path: Path, module: nn.Module) -> Path:
    """Write a state with a module's names and shapes; each tensor stores a single number."""
    state = module.state_dict()
    return saved(path, {k: torch.ones((), dtype=v.dtype).expand(v.shape) for k, v in state.items()})


@pytest.mark.parametrize("prefix", ["", "backbone."])
@pytest.mark.parametrize(("file", "model"), SIBLINGS)
def test_another_depth_or_variant_is_refused_by_its_name(file: str, model: str, prefix: str, tmp_path: Path) -> None:
    """All tensors of the shallower one may exist in the deeper one's file, with equal shapes."""
    with torch.device("meta"):
        other, backbone = nn.Module(), create_backbone(model)
        other.add_module(prefix[:-1] or "x", create_backbone(file))
    path = thin_file(tmp_path / "other.pth", other if prefix else other.get_submodule("x"))
    fix = f"Fix: give a checkpoint of {model}, or build the model with backbone={file}$"
    with pytest.raises(WeightsError, match=rf"names and shapes are those of {file}, expected {model}\. {fix}"):
        load_backbone(backbone, path)


def test_weights_without_ibn_start_a_mobilenet_with_it(tmp_path: Path) -> None:
    """It is the only variant that a file of another one starts: ImageNet weights with IBN-a are not published."""
    path = thin_file(tmp_path / "imagenet.pth", create_backbone("mobilenet_v2"))
    report = load_backbone(create_backbone("mobilenet_v2_ibn_a"), path)
    assert (report.missing, report.unexpected, report.reshaped) == ((), (), ())


VIT = {"size": (32, 16), "width": 48, "heads": 4}


@pytest.mark.parametrize(
    ("file", "model", "named", "fix"),
    [
        (("osnet_x0_5", {}), ("osnet_x0_25", {}), "osnet_x0_5, expected osnet_x0_25", "take the model osnet_x0_5"),
        (("osnet_x0_25", {}), ("osnet_x1_0", {}), "osnet_x0_25, expected osnet_x1_0", "take the model osnet_x0_25"),
        (("osnet_ain_x1_0", {}), ("osnet_x1_0", {}), "osnet_ain_x1_0, expected", "take the model osnet_ain_x1_0"),
        (("osnet_x1_0", {}), ("osnet_ibn_x1_0", {}), "osnet_x1_0, expected osnet_ibn", "take the model osnet_x1_0"),
        (
            ("vit_b16", {**VIT, "depth": 5}),
            ("vit_b16", {**VIT, "depth": 3}),
            "a ViT of 5 blocks and width 48, expected a ViT of 3 blocks and width 48",
            "set the options depth and width",
        ),
        (
            ("clip_vit_b16", {**VIT, "depth": 3}),
            ("clip_vit_b16", {**VIT, "depth": 5}),
            "a ViT of 3 blocks and width 48, expected a ViT of 5 blocks and width 48",
            "set the options depth and width",
        ),
        (
            ("strong_baseline", {"backbone": "resnet101"}),
            ("strong_baseline", {"backbone": "resnet50"}),
            "resnet101, expected resnet50",
            "backbone=resnet101",
        ),
        (
            ("strong_baseline", {"backbone": "mobilenet_v2"}),
            ("strong_baseline", {"backbone": "mobilenet_v2_ibn_a"}),
            "mobilenet_v2, expected mobilenet_v2_ibn_a",
            "backbone=mobilenet_v2",
        ),
    ],
)
def test_another_size_of_a_whole_model_is_refused_by_its_name(
    file: tuple[str, dict[str, Any]], model: tuple[str, dict[str, Any]], named: str, fix: str, tmp_path: Path
) -> None:
    with torch.device("meta"):
        theirs, ours = (create_model(name, num_classes=3, **options) for name, options in (file, model))
    path = thin_file(tmp_path / "other.pth", theirs)
    with pytest.raises(WeightsError, match=rf"names and shapes are those of {named}.*Fix: .*{fix}"):
        load_model(ours, path)
