"""A copy of a network for inference on the CPU: batch normalization is part of the convolution before it.

The convolution's weights are multiplied by γ / √(σ² + ε) per output channel, and the rest becomes its bias, so that
a pass over the map is saved; weights lie as maps do, channels last. Embeddings are equal up to rounding.
"""

from __future__ import annotations

import copy
import logging
from collections import Counter
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from passerby.models.backbones.ibn import IBN

_LOG = logging.getLogger(__name__)


class FoldedNetwork:
    """A folded copy of a network, which is made again when the network has changed.

    A change is any operation that PyTorch counts: of an optimizer, ``load_state_dict`` and ``copy_``, but none through
    ``tensor.data``. There is no copy of a network with hooks, on another device than the CPU, or whose copy gives other
    embeddings; nor of one with IBN, whose moments enlarge differences of rounding, and which would gain a twentieth.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self._made_of: _State | None = None
        self._copy: nn.Module | None = None

    def current(self, size: torch.Size) -> nn.Module | None:
        """Return the copy, in evaluation mode; ``None`` if there is none.

        Args:
            size: the height and width of images, on which a new copy is compared with the network.
        """
        if self._made_of is None or self._made_of.changed():
            self._made_of, self._copy = _State(self.network), None
            if self._made_of.suitable:
                self._copy = _folded(self.network, size)
        return None if self._made_of.hooked() else self._copy


class _State:
    """The tensors of a network and their versions at one time."""

    def __init__(self, network: nn.Module) -> None:
        modules = list(network.modules())
        named = [
            (held, name, tensor)
            for module in modules
            for held in (module._parameters, module._buffers)
            for name, tensor in held.items()
            if tensor is not None
        ]
        self.suitable = not any(isinstance(module, IBN) for module in modules) and not any(
            tensor.is_inference() or tensor.device.type != "cpu" for _, _, tensor in named
        )
        self._tensors = [(*each, each[2].data_ptr(), each[2]._version) for each in named] if self.suitable else []
        self._hooks = [hooks for each in modules for hooks in (each._forward_hooks, each._forward_pre_hooks)]

    def changed(self) -> bool:
        """Return whether a tensor is another one, elsewhere, or was written to."""
        return not all(
            held.get(name) is tensor and tensor.data_ptr() == place and tensor._version == version
            for held, name, tensor, place, version in self._tensors
        )

    def hooked(self) -> bool:
        """Return whether a module has hooks, which a copy would not call."""
        return any(self._hooks)


def _agree(network: nn.Module, copied: nn.Module, images: Tensor) -> bool:
    """Return whether both give the same embeddings, up to rounding."""
    ours, theirs = network(images).embedding, copied(images).embedding
    agree = torch.allclose(ours, theirs, rtol=0, atol=1e-5 * ours.abs().max().item())
    if not agree:
        _LOG.debug("%s is not folded: its copy differs by %g", type(network).__name__, (ours - theirs).abs().max())
    return agree


def _folded(network: nn.Module, size: torch.Size) -> nn.Module | None:
    """Return a folded copy; ``None`` if it gives other embeddings of noise."""
    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode(False), torch.no_grad():
        plain = copy.deepcopy(network).eval()
        copied = copy.deepcopy(plain)
        for convolution, norm in _pairs(copied, images):
            fused = fuse_conv_bn_eval(copied.get_submodule(convolution), copied.get_submodule(norm))  # type: ignore[type-var, arg-type]
            copied.set_submodule(convolution, fused)
            copied.set_submodule(norm, nn.Identity())
        copied = copied.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return copied if _agree(plain, copied, images) else None


def _pairs(network: nn.Module, images: Tensor) -> list[tuple[str, str]]:
    """Return the names of each convolution and the batch normalization that takes its output, if both run once."""
    runs, outputs = Counter[str](), dict[str, Tensor]()
    found: list[tuple[str, str]] = []

    def note(name: str, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        runs[name] += 1
        if isinstance(module, nn.Conv2d):
            outputs[name] = output
        else:
            found.extend((before, name) for before, each in outputs.items() if each is inputs[0])

    hooks = [
        module.register_forward_hook(partial(note, name))
        for name, module in network.named_modules()
        if isinstance(module, (nn.Conv2d, nn.BatchNorm2d))
    ]
    network(images)
    for hook in hooks:
        hook.remove()
    return [pair for pair in found if all(runs[name] == 1 for name in pair)]
