"""Checkpoints into models: what is accepted, and what is an error and leaves the model unchanged."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from passerby.errors import WeightsError
from passerby.weights.load import WeightsReport, load_backbone, load_weights, read_state

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
    saved(path, {f"other.{key}": value for key, value in random_state().items()})


REJECTED = {
    _missing: "no checkpoint at .*give a .safetensors or .pth file",
    _directory: "no checkpoint at",
    _random_bytes: "is not a",
    _empty: "not a readable checkpoint",
    _text: "not a readable checkpoint",
    _cut: "not a readable checkpoint",
    _pickled_object: "not a PyTorch file of plain tensors; save its state_dict",
    _pickled_model: "not a PyTorch file of plain tensors; save its state_dict",
    _half: r"does not fit Sequential: 5 of 9 tensors matched; 4 missing .*at least 90%",
    _wrong_shape: r"does not fit .* reshaped \(first.bias",
    _nan: r"1 tensors hold NaN or infinity \(second.weight\)",
    _infinite: r"1 tensors hold NaN or infinity \(norm.running_var\)",
    _too_large: r"1 tensors are too large for the module's precision \(second.weight\)",
    _whole_numbers: r"1 of 10 tensors matched; 9 reshaped \(first.weight",
    _complex: r"1 tensors are sparse, quantized, complex or without values \(second.weight\)",
    _float8: r"1 tensors are sparse, quantized.*\(second.weight\)",
    _sparse: r"1 tensors are sparse, quantized.*\(second.weight\)",
    _without_values: r"1 tensors are sparse, quantized.*\(second.weight\)",
    _empty_dict: "holds dict, not named tensors",
    _lone_tensor: "holds Tensor, not named tensors",
    _foreign: "0 of 9 tensors matched",
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
    with pytest.raises(WeightsError, match=r"not a readable checkpoint|0 of 9"):
        load_weights(net(), tmp_path / "weights.safetensors")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_random_bytes_are_errors(tmp_path: Path) -> None:
    for seed in range(300):
        first = bytes([seed % 256])
        (tmp_path / "weights.pth").write_bytes(first + random.Random(seed).randbytes(200))
        with pytest.raises(WeightsError):
            read_state(tmp_path / "weights.pth")


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "model_state_dict", None])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_wrappers_and_prefixes_are_removed(wrapper: str | None, prefix: str, tmp_path: Path) -> None:
    state = random_state()
    content = {prefix + key: value for key, value in state.items()}
    wrapped = {wrapper: content, "epoch": 3} if wrapper else content
    model = net()
    report = load_weights(model, saved(tmp_path / "weights.pth", wrapped), minimum=1.0)
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
    report = load_weights(model, path, minimum=1.0, ignore=("classifier.",))
    assert len(report.matched) == report.total == 9
    assert report.reshaped == report.unexpected == ()
    assert torch.equal(model.get_parameter("classifier.weight"), classifier)


def test_what_does_not_match_is_named(tmp_path: Path) -> None:
    state = random_state()
    del state["first.bias"]
    state["extra.weight"] = torch.zeros(2)
    report = load_weights(net(), saved(tmp_path / "weights.pth", state), minimum=0.5)
    assert report.missing == ("first.bias",)
    assert report.unexpected == ("extra.weight",)
    assert report.reshaped == ()
    assert (len(report.matched), report.total, report.share) == (9, 10, 0.9)


def test_another_classifier_is_never_skipped_unasked(tmp_path: Path) -> None:
    path = saved(tmp_path / "weights.pth", random_state(classes=7))  # nine of ten tensors match
    with pytest.raises(WeightsError, match=r"1 reshaped \(classifier.weight\).*name in `ignore`"):
        load_weights(net(), path, minimum=0.5)


def test_one_ignored_prefix_may_stand_alone(tmp_path: Path) -> None:
    path = saved(tmp_path / "weights.pth", random_state(classes=7))
    assert load_weights(net(), path, ignore="classifier.").total == 9


def test_a_mixture_of_prefixes_is_left_alone(tmp_path: Path) -> None:
    state = random_state()
    mixed = {**state, "module.first.weight": torch.zeros(4, 4)}
    model = net()
    assert load_weights(model, saved(tmp_path / "weights.pth", mixed)).unexpected == ("module.first.weight",)
    assert torch.equal(model.get_parameter("first.weight"), state["first.weight"])


def test_half_precision_is_loaded_into_float32(tmp_path: Path) -> None:
    state = {key: value.half() for key, value in random_state().items()}  # the batch counter as well
    model = net()
    load_weights(model, saved(tmp_path / "weights.pth", state), minimum=1.0)
    assert {key: value.dtype for key, value in model.state_dict().items()} == {
        key: value.dtype for key, value in net().state_dict().items()
    }
    assert all(torch.equal(value.half(), state[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("source", ["a" * 5000, "~unknown-user/weights.pth", "nul\0byte"])
def test_impossible_paths_are_missing_files(source: str) -> None:
    with pytest.raises(WeightsError, match="no checkpoint at"):
        load_weights(net(), source)


@pytest.mark.parametrize(("minimum", "accepted"), [(0.9, True), (0.91, False)])
def test_nine_of_ten_is_enough_by_default(minimum: float, accepted: bool, tmp_path: Path) -> None:
    state = random_state()
    del state["first.bias"]
    path = saved(tmp_path / "weights.pth", state)
    if accepted:
        assert load_weights(net(), path).share == load_weights(net(), path, minimum=minimum).share == 0.9
    else:
        with pytest.raises(WeightsError, match="at least 91%"):
            load_weights(net(), path, minimum=minimum)


def test_fresh_keys_keep_their_values_and_are_not_missed(tmp_path: Path) -> None:
    state = random_state()
    del state["second.weight"], state["second.bias"]
    model = net()
    before = model.get_parameter("second.weight").clone()
    path = saved(tmp_path / "weights.pth", state)
    report = load_weights(model, path, minimum=1.0, fresh=lambda key: key.startswith("second."))
    assert report.fresh == ("second.bias", "second.weight")
    assert report.missing == ()
    assert torch.equal(model.get_parameter("second.weight"), before)


def test_fresh_keys_that_the_file_has_are_loaded(tmp_path: Path) -> None:
    report = load_weights(net(), saved(tmp_path / "weights.pth", random_state()), minimum=1.0, fresh=lambda key: True)
    assert report.fresh == ()
    assert len(report.matched) == 10


def test_old_files_without_batch_counters_are_whole(tmp_path: Path) -> None:
    state = random_state()
    del state["norm.num_batches_tracked"]
    report = load_weights(net(), saved(tmp_path / "weights.pth", state), minimum=1.0)
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
    load_weights(net(), tmp_path / "model.safetensors", minimum=1.0)
    with pytest.raises(WeightsError, match="no checkpoint at owner/name"):
        load_weights(net(), "owner/name")
    assert asked == []
    load_weights(net(), source, minimum=1.0)
    assert asked == [(repository, file)]


@pytest.mark.parametrize("error", [OSError("no route\nto the hub"), OSError()])
def test_a_hub_that_does_not_answer_is_one_line(error: OSError, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(*_: str) -> str:
        raise error

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    with pytest.raises(WeightsError, match=r"^hf:owner/name could not be fetched \((no route|OSError)\)$"):
        load_weights(net(), "hf:owner/name")


@pytest.mark.parametrize("source", ["hf:name", "hf:", "hf:owner/na me"])
def test_a_bad_hub_name_is_an_error_before_any_request(source: str) -> None:
    with pytest.raises(WeightsError, match="could not be fetched"):
        read_state(source)
