"""What the papers' attentions do to pictures, as values; figures are drawn and measures taken of them.

- AaP-ReID (000), Eq 2–3: channel weights by block, :func:`channel_weights`; its Table 3's SP and BAM, which weigh
  positions, :func:`position_weights`;
- SE and self-attention (001), §II.B and Eq 2: :func:`channel_weights` and :func:`self_attention`;
- AANet (003), Fig 6: :mod:`passerby.explain.attention.attributes`;
- attention-driven (004), Fig 7 and Eq 8: :mod:`passerby.explain.attention.parts`.

They are read off the modules while a model looks at pictures, so that another model with one of these has them too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from passerby.errors import ConfigError
from passerby.explain.images import ModelView
from passerby.models.attention.bam import BAM
from passerby.models.attention.cwa import CWA
from passerby.models.attention.eca import ECA
from passerby.models.attention.se import SE
from passerby.models.attention.self_attention import SelfAttention
from passerby.models.attention.sp import SP
from passerby.models.attention_driven.blocks import IntraAttention
from passerby.models.attention_driven.model import InterAttention
from passerby.models.base import ReidModel

AttentionKind = Literal["attributes", "intra", "inter", "self", "positions", "channels"]
MODULES: dict[AttentionKind, tuple[type[nn.Module], ...]] = {
    "intra": (IntraAttention,),
    "inter": (InterAttention,),
    "self": (SelfAttention,),
    "positions": (SP, BAM),
    "channels": (CWA, SE, ECA),
}
"""Whose weights each kind shows; ``attributes`` are a model's that predicts some."""
_NAMES: dict[type[nn.Module], str] = {SE: "SE", ECA: "ECA", SP: "SP", BAM: "BAM"}
_T = TypeVar("_T")
_BLOCK = re.compile(r"layer(\d+)\.(\d+)\b")


def attention_kinds(model: ReidModel) -> tuple[AttentionKind, ...]:
    """The kinds of attention that a model has, what says most of a picture first."""
    found = [kind for kind, types in MODULES.items() if any(isinstance(module, types) for module in model.modules())]
    return ("attributes", *found) if model.schema else tuple(found)


def require_attention(model: ReidModel, kind: AttentionKind | None = None) -> AttentionKind:
    """The kind that is asked for, else the first that the model has.

    Raises:
        ConfigError: if it has none, or not that one.
    """
    found = attention_kinds(model)
    if not found:
        raise ConfigError(
            f"{model.card.name} has no attention to show as this run has it (channel weights, weights of positions, "
            "self-attention, intra- or inter-attention, attributes); passerby figures saliency shows what it looks at"
        )
    if kind is not None and kind not in found:
        raise ConfigError(
            f"{model.card.name} has no attention of kind {kind} as this run has it; it has {' and '.join(found)}"
        )
    return kind or found[0]


@dataclass(frozen=True, eq=False)
class ChannelWeights:
    """Of one block, of some pictures."""

    where: str
    """The block, as ``layer 3, block 1``."""
    kind: str
    """``CWA(x)``, ``CWA(+)``, ``SE`` or ``ECA``."""
    weights: Float[Tensor, "b c"]
    """In (0, 1)."""

    @property
    def mean(self) -> Float[Tensor, " c"]:
        """Over pictures."""
        return self.weights.mean(dim=0)

    @property
    def spread(self) -> Float[Tensor, " c"]:
        """Standard deviation over pictures: how much a channel's weight depends on what is seen."""
        return self.weights.std(dim=0, correction=0)

    @property
    def between_channels(self) -> float:
        """Standard deviation of the channels' means."""
        return float(self.mean.std(correction=0))

    @property
    def between_pictures(self) -> float:
        """Of an average channel: the root of the mean of the squared spreads."""
        return float(self.spread.square().mean().sqrt())


@dataclass(frozen=True, eq=False)
class PositionWeights:
    """Of one block, of some pictures."""

    where: str
    kind: str
    """``SP``, or ``BAM``, whose weights are averaged over channels."""
    weights: Float[Tensor, "b h w"]
    """In (0, 1)."""


@dataclass(frozen=True, eq=False)
class SelfAttentionRows:
    """Where chosen positions of the last map look."""

    positions: tuple[tuple[int, int], ...]
    """(row, column), from 0."""
    rows: Float[Tensor, "b p h w"]
    """γ of Eq 2; each map sums to 1, and even attention is 1 ÷ (h·w) everywhere."""
    alpha: float
    """α of Eq 3: what is gathered counts so much beside the position's own features."""


def channel_weights(seen: ModelView) -> tuple[ChannelWeights, ...]:
    """Block by block, in the order in which the model runs them.

    Raises:
        ConfigError: if the model weighs no channels.
    """
    require_attention(seen.model.network, "channels")
    read = capture_activations(seen, MODULES["channels"], lambda module, maps: module.weights(maps).cpu())
    return tuple(ChannelWeights(block_name(name), _kind(module), weights) for name, module, weights in read)


def position_weights(seen: ModelView) -> tuple[PositionWeights, ...]:
    """Block by block, in the order in which the model runs them.

    Raises:
        ConfigError: if the model has neither SP nor BAM.
    """
    require_attention(seen.model.network, "positions")
    read = capture_activations(seen, MODULES["positions"], lambda module, maps: module.weights(maps).mean(dim=1).cpu())
    return tuple(PositionWeights(block_name(name), _kind(module), weights) for name, module, weights in read)


def self_attention(seen: ModelView, positions: Sequence[tuple[int, int]] | None = None) -> SelfAttentionRows:
    """Where positions of the last map look; by default one at the top, one in the middle and one at the bottom.

    Raises:
        ConfigError: if the model has no self-attention.
        ShapeError: for a position outside the map.
    """
    require_attention(seen.model.network, "self")

    def read(module: SelfAttention, maps: Tensor) -> tuple[tuple[tuple[int, int], ...], Tensor, float]:
        asked = tuple(positions or default_positions(maps.shape[2], maps.shape[3]))
        rows = torch.stack([module.row(maps, place) for place in asked], dim=1)
        return asked, rows.cpu(), float(module.alpha.detach())

    [(_, _, found)] = capture_activations(seen, MODULES["self"], read)
    return SelfAttentionRows(*found)


def default_positions(height: int, width: int) -> list[tuple[int, int]]:
    """About the head, the waist and the feet of who stands in the middle.

    >>> default_positions(12, 4)
    [(2, 2), (6, 2), (10, 2)]
    """
    return list(dict.fromkeys((row * height // 6, width // 2) for row in (1, 3, 5)))


@torch.no_grad()
def capture_activations(
    seen: ModelView, types: tuple[type[nn.Module], ...], read: Callable[..., _T]
) -> list[tuple[str, nn.Module, _T]]:
    """What ``read(module, *inputs)`` makes of every module of some types, each time the model runs it."""
    model, found = seen.model.network, list[tuple[str, nn.Module, _T]]()
    handles = []
    for name, module in model.named_modules():
        if isinstance(module, types):

            def hear(module: nn.Module, inputs: tuple[Tensor, ...], name: str = name) -> None:
                found.append((name, module, read(module, *inputs)))

            handles.append(module.register_forward_pre_hook(hear))
    try:
        model(*seen.inputs)
    finally:
        for handle in handles:
            handle.remove()
    return found


def block_name(module: str) -> str:
    """What people call the block that a module of that name stands in.

    >>> block_name("backbone.layer3.0.attention")
    'layer 3, block 1'
    """
    if found := _BLOCK.search(module):
        return f"layer {found[1]}, block {int(found[2]) + 1}"
    return module.removeprefix("backbone.").removesuffix(".attention").replace(".", " ")


def _kind(module: nn.Module) -> str:
    if isinstance(module, CWA):
        return "CWA(x)" if module.mode == "mul" else "CWA(+)"
    return _NAMES[type(module)]
