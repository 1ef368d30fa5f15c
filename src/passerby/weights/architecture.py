"""Which known network the names and shapes of a checkpoint's tensors are of, for errors and for foreign checkpoints."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

_DEPTHS: dict[tuple[int, ...], dict[bool, int]] = {
    (2, 2, 2, 2): {False: 18, True: 26},
    (3, 4, 6, 3): {False: 34, True: 50},
    (3, 4, 23, 3): {True: 101},
    (3, 8, 36, 3): {True: 152},
}
"""The depth of a ResNet by the blocks of its layers, and by whether these are bottlenecks."""
_BLOCK = re.compile(r"layer([1-4])\.(\d+)\.conv1\.weight")
_STEMS = {64: "", 32: "_half"}
_OSNET_WIDTHS = {64: "x1_0", 48: "x0_75", 32: "x0_5", 16: "x0_25"}
"""The widths of OSNet, by the channels of the stem."""
_MOBILENET_V2 = (32, 3, 3, 3), (1280, 320, 1, 1)
"""The shapes of the first and the last convolution of a MobileNetV2."""
_VIT_BLOCK = re.compile(r"(?:transformer\.res)?blocks\.(\d+)\.\S+")


def resnet_name(state: Mapping[str, Tensor], prefix: str = "") -> str | None:
    """Return the backbone that the tensors under a prefix are of (``resnet101_ibn_a``), if it is a ResNet."""
    stem = state.get(f"{prefix}conv1.weight")
    names = [name.removeprefix(prefix) for name in state if name.startswith(prefix)]
    found = {(int(match[1]), int(match[2])) for name in names if (match := _BLOCK.fullmatch(name))}
    blocks = tuple(sum(layer == number for layer, _ in found) for number in range(1, 5))
    depth = _DEPTHS.get(blocks, {}).get(f"{prefix}layer1.0.conv3.weight" in state)
    if stem is None or stem.ndim != 4 or depth is None or stem.shape[0] not in _STEMS:
        return None
    ibn = "_ibn_a" if f"{prefix}layer1.0.bn1.IN.weight" in state else ""
    return f"resnet{depth}{_STEMS[stem.shape[0]]}{ibn}"


def osnet_name(state: Mapping[str, Tensor], prefix: str = "") -> str | None:
    """Return the OSNet that the tensors under a prefix are of (``osnet_ain_x1_0``), if they are of one."""
    stem = state.get(f"{prefix}conv1.conv.weight")
    width = _OSNET_WIDTHS.get(stem.shape[0]) if stem is not None and f"{prefix}conv5.conv.weight" in state else None
    if width is None:
        return None
    is_ain = f"{prefix}conv2.0.conv2.0.layers.0.conv1.weight" in state
    variant = "ain_" if is_ain else "ibn_" if f"{prefix}conv2.0.IN.weight" in state else ""
    return f"osnet_{variant}{width}"


def mobilenet_name(state: Mapping[str, Tensor], prefix: str = "") -> str | None:
    """Return the MobileNetV2 that the tensors under a prefix are of (``mobilenet_v2_ibn_a``), if they are of one."""
    first, last = (state.get(f"{prefix}features.{number}.0.weight") for number in (0, 18))
    shapes = tuple(None if tensor is None else tuple(tensor.shape) for tensor in (first, last))
    if shapes != _MOBILENET_V2:
        return None
    return "mobilenet_v2" + ("_ibn_a" if f"{prefix}features.2.conv.0.1.IN.weight" in state else "")


def vit_name(state: Mapping[str, Tensor], prefix: str = "") -> str | None:
    """Return the depth and width of the Vision Transformer that the tensors under a prefix are of, in words."""
    token = state.get(f"{prefix}cls_token", state.get(f"{prefix}class_embedding"))
    if token is None or token.ndim == 0:
        return None
    blocks = {match[1] for name in state if (match := _VIT_BLOCK.fullmatch(name.removeprefix(prefix)))}
    return f"a ViT of {len(blocks)} blocks and width {token.shape[-1]}"


def architecture(state: Mapping[str, Tensor]) -> str | None:
    """Return the known network that is somewhere in a state: ``resnet101``, ``osnet_x0_5``; ``None`` for others."""
    for prefix in _prefixes(state):
        for name in (resnet_name, osnet_name, mobilenet_name, vit_name):
            if found := name(state, prefix):
                return found
    return None


def way_to_build(network: str) -> str:
    """Return how a model of a network that :func:`architecture` names is built, for an error's fix."""
    if network.startswith("osnet"):
        return f"take the model {network}"
    if network.startswith("a ViT"):
        return "set the options depth and width (and heads) of the model to the file's"
    return f"build the model with backbone={network}"


def _prefixes(state: Mapping[str, Tensor]) -> list[str]:
    """Return what stands before the stem's name, shortest first."""
    stems = ("conv1.weight", "conv1.conv.weight", "features.0.0.weight", "cls_token", "class_embedding")
    found = {name.removesuffix(stem) for name in state for stem in stems if name.endswith(stem)}
    return sorted((prefix for prefix in found if prefix == "" or prefix.endswith(".")), key=len)
