"""Inference options: validation, defaults, records, and the device that a name stands for."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch

from passerby.errors import ConfigError, UnknownNameError
from passerby.inference.options import InferenceOptions, resolve_device


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"device": ""}, "device: got '', expected a device such as 'auto'"),
        ({"batch_size": 0}, "batch_size: got 0, expected a whole number from 1"),
        ({"batch_size": True}, "batch_size: got True"),
        ({"batch_size": 2.0}, "batch_size: got 2.0"),
        ({"flip_tta": 1}, "flip_tta: got 1, expected True, False or None"),
        ({"normalize": "yes"}, "normalize: got 'yes'"),
        ({"blur": 0}, "blur: got 0"),
        ({"keypoints": ""}, "keypoints: got '', expected a keypoint source"),
    ],
)
def test_wrong_values_are_errors(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        InferenceOptions(**wrong)


def test_changes_and_defaults_fill_what_is_not_given() -> None:
    options = InferenceOptions(batch_size=8, normalize=False)
    assert options.updated(device="cpu", batch_size=None) == InferenceOptions(
        device="cpu", batch_size=8, normalize=False
    )
    filled = options.with_defaults(normalize=True, flip_tta=True, keypoints="own")
    assert filled == InferenceOptions(batch_size=8, normalize=False, flip_tta=True, keypoints="own")
    with pytest.raises(UnknownNameError, match=r"unknown inference option 'batchsize'\. Did you mean batch_size"):
        options.updated(batchsize=3)


def test_records_hold_plain_values() -> None:
    options = InferenceOptions(device="cpu", keypoints="network", normalize=False)
    assert InferenceOptions(**options.to_dict()) == options
    assert options.describe() == "on cpu, 64 images per batch, unnormalized embeddings, keypoints: network"


def test_auto_is_a_device_that_works() -> None:
    torch.empty(1, device=resolve_device("auto"))
    if not torch.cuda.is_available() and not torch.backends.mps.is_available():
        assert resolve_device("auto") == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda:99", "gpu", "meta", "cpu:x"])
def test_devices_that_cannot_be_used_are_errors(name: str) -> None:
    with pytest.raises(ConfigError, match=f"device '{name}' cannot be used .*Fix: use 'auto'"):
        resolve_device(name)


def test_auto_prefers_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "empty", lambda _, device: asked.append(device))
    assert resolve_device("auto") == torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device("auto") == torch.device("mps")
    assert asked == [torch.device("cuda"), torch.device("mps")]


def test_options_need_no_torch() -> None:
    program = "import sys, passerby.inference.options; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
