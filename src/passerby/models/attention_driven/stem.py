"""The convolution that all branches share (Table 1, conv1), and its batch statistics.

A batch holds the whole images and, apart from them, their parts: five streams through one convolution. Its scale and
shift are shared with it. The statistics that normalize are, while training, of the whole images and of all parts
together, and at test one moving average of both; or each stream's own, while training and at test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


class StreamNorm(nn.Module):
    """A batch normalization of one scale and shift for all streams, and statistics of each.

    Args:
        streams: the names of the streams.
    """

    def __init__(self, channels: int, streams: Sequence[str]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.statistics = nn.ModuleDict({name: nn.BatchNorm2d(channels, affine=False) for name in streams})

    def forward(self, x: Float[Tensor, "b c h w"], stream: str) -> Float[Tensor, "b c h w"]:
        normalized: Tensor = self.statistics[stream](x)
        return normalized * self.weight[:, None, None] + self.bias[:, None, None]


class Stem(nn.Sequential):
    """The shared convolution, its normalization and ReLU.

    Args:
        streams: the names of the streams that have statistics of their own; none: they share them.
    """

    def __init__(self, channels: int, streams: Sequence[str] = ()) -> None:
        norm = StreamNorm(channels, streams) if streams else nn.BatchNorm2d(channels)
        super().__init__(nn.Conv2d(3, channels, 3, 2, 1, bias=False), norm, nn.ReLU(inplace=True))

    @property
    def _own(self) -> bool:
        return isinstance(self[1], StreamNorm)

    def stream(self, images: Float[Tensor, "b 3 h w"], name: str) -> Float[Tensor, "b c y x"]:
        """Return the map of the images of one stream."""
        conv, norm, relu = self
        found: Tensor = relu(norm(conv(images), name) if self._own else norm(conv(images)))
        return found

    def parts(self, parts: Float[Tensor, "b p 3 h w"], names: Sequence[str]) -> dict[str, Tensor]:
        """Return the maps of the parts, by name: of all at once, if they share statistics."""
        if self._own:
            return {name: self.stream(parts[:, place], name) for place, name in enumerate(names)}
        maps = self(parts.flatten(0, 1)).unflatten(0, parts.shape[:2])
        return {name: maps[:, place] for place, name in enumerate(names)}

    def with_own_statistics(self, tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
        """Return a network's tensors with its shared statistics as those of each stream, if these have their own."""
        norm, found = self[1], dict(tensors)
        if not isinstance(norm, StreamNorm):
            return found
        for key in _STATISTICS:
            if (shared := found.pop(f"{prefix}1.{key}", None)) is not None:
                found |= {f"{prefix}1.statistics.{name}.{key}": shared for name in norm.statistics}
        return found
