"""Rename the keys of known checkpoints to those of the models here."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from passerby.errors import WeightsError

_FLAT_TO_NESTED = {  # position in the flat sequence → position in the nested one
    True: {0: "0.0", 1: "0.1", 3: "1.0", 4: "1.1", 6: "2", 7: "3"},  # with expansion
    False: {0: "0.0", 1: "0.1", 3: "1", 4: "2"},  # block 1, expansion 1
}
_FLAT_KEY = re.compile(r"^features\.(\d+)\.conv\.(\d+)\.([a-z_]+)$")


def flat_to_nested(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return MobileNetV2's state with keys of the older flat layout renamed to torchvision's nested one."""
    renamed = {}
    for key, value in state.items():
        match = _FLAT_KEY.match(key)
        is_flat = match is not None and "features.1.conv.0.weight" in state
        if match is not None and is_flat:
            block, position, name = int(match[1]), int(match[2]), match[3]
            nested = _FLAT_TO_NESTED[block != 1].get(position)
            key = f"features.{block}.conv.{nested}.{name}" if nested else key
        renamed[key] = value
    return renamed


_NECK = (  # of a BN-neck baseline: fast-reid's names, and those of the paper's own code
    ("heads.bottleneck.0.", "neck."),
    ("heads.classifier.weight", "classifier.weight"),
    ("heads.weight", "classifier.weight"),
    ("heads.pool_layer.p", "pool.p"),
    ("bottleneck.", "neck."),
    ("base.", "backbone."),
)
_PIXELS = {"pixel_mean": (123.675, 116.28, 103.53), "pixel_std": (58.395, 57.12, 57.375)}
"""The constants of fast-reid's normalization, by the names of their tensors: ImageNet's, of values up to 255."""
_NEAR = 0.1


def strong_baseline_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state of a BN-neck baseline with fast-reid's names, or those of its paper's code, renamed to ours.

    Raises:
        WeightsError: if it was trained on images of another normalization.
    """
    renamed = {}
    for key, value in state.items():
        if key in _PIXELS:
            _check_pixels(key, value)
        else:
            former, name = next(((f, n) for f, n in _NECK if key.startswith(f)), ("", ""))
            renamed[name + key[len(former) :]] = value
    return renamed


def _check_pixels(name: str, found: Tensor) -> None:
    expected = _PIXELS[name]
    values = [round(value, 3) for value in found.flatten().tolist()]
    if len(values) != len(expected) or any(abs(v - e) > _NEAR for v, e in zip(values, expected, strict=True)):
        raise WeightsError(
            f"the checkpoint's {name} is {values}, expected ImageNet's {list(expected)}: its images were normalized in "
            "another way than here. Fix: do not use it"
        )
