"""The weights that the papers' attention modules give to channels and positions of images, for figures and measures.

- AaP-ReID (000), Eq 2–3: channel weights by block, :func:`channel_weights`; its Table 3's SP and BAM, which weigh
  positions, :func:`position_weights`;
- SE and self-attention (001), §II.B and Eq 2: :func:`channel_weights` and :func:`self_attention`;
- AANet (003), Fig 6: :mod:`passerby.explain.attention.attributes`;
- attention-driven (004), Fig 7 and Eq 8: :mod:`passerby.explain.attention.parts`.

Forward hooks read them while the model runs, so that every model with one of these modules has them.
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
"""The modules whose weights each kind shows; the kind ``attributes`` belongs to models that predict attributes."""
_NAMES: dict[type[nn.Module], str] = {SE: "SE", ECA: "ECA", SP: "SP", BAM: "BAM"}
_T = TypeVar("_T")
_BLOCK = re.compile(r"layer(\d+)\.(\d+)\b")


def attention_kinds(model: ReidModel) -> tuple[AttentionKind, ...]:
    """Return the kinds of attention that a model has, the most informative first."""
    found = [kind for kind, types in MODULES.items() if any(isinstance(module, types) for module in model.modules())]
    return ("attributes", *found) if model.schema else tuple(found)


def require_attention(model: ReidModel, kind: AttentionKind | None = None) -> AttentionKind:
    """Return ``kind`` if the model has it; ``None``: the first kind that it has.

    Raises:
        ConfigError: if the model has no attention, or not this kind.
    """
    found = attention_kinds(model)
    if not found:
        raise ConfigError(
            f"{model.card.name} has no attention to show as configured in this run (channels, positions, "
            "self-attention, intra- or inter-attention, attributes). Fix: use passerby figures saliency"
        )
    if kind is not None and kind not in found:
        raise ConfigError(
            f"{model.card.name} has no attention of kind {kind} as configured in this run; it has {' and '.join(found)}"
        )
    return kind or found[0]


@dataclass(frozen=True, eq=False)
class ChannelWeights:
    """The channel weights of one block for some images."""

    where: str
    """The block, as ``layer 3, block 1``."""
    kind: str
    """The module: ``CWA(x)``, ``CWA(+)``, ``SE`` or ``ECA``."""
    weights: Float[Tensor, "b c"]
    """The weights, in (0, 1)."""

    @property
    def mean(self) -> Float[Tensor, " c"]:
        """The mean over images."""
        return self.weights.mean(dim=0)

    @property
    def spread(self) -> Float[Tensor, " c"]:
        """The standard deviation over images: how much a channel's weight depends on the image."""
        return self.weights.std(dim=0, correction=0)

    @property
    def between_channels(self) -> float:
        """The standard deviation of the channels' means."""
        return float(self.mean.std(correction=0))

    @property
    def between_images(self) -> float:
        """The standard deviation over images of an average channel: the root of the mean of the squared spreads."""
        return float(self.spread.square().mean().sqrt())


@dataclass(frozen=True, eq=False)
class PositionWeights:
    """The position weights of one block for some images."""

    where: str
    kind: str
    """The module: ``SP``, or ``BAM``, whose weights are averaged over channels."""
    weights: Float[Tensor, "b h w"]
    """The weights, in (0, 1)."""


@dataclass(frozen=True, eq=False)
class SelfAttentionRows:
    """The self-attention of selected positions of the last feature map."""

    positions: tuple[tuple[int, int], ...]
    """The positions as (row, column), from 0."""
    rows: Float[Tensor, "b p h w"]
    """The rows γ of Eq 2; each map sums to 1, and uniform attention is 1 ÷ (h·w) everywhere."""
    alpha: float
    """The α of Eq 3: the weight of the gathered features beside the position's own."""


def channel_weights(view: ModelView) -> tuple[ChannelWeights, ...]:
    """Return the channel weights of every block, in the order in which the model runs them.

    Raises:
        ConfigError: if the model has no channel attention.
    """
    require_attention(view.model.network, "channels")
    read = capture_activations(view, MODULES["channels"], lambda module, maps: module.weights(maps).cpu())
    return tuple(ChannelWeights(block_name(name), _kind(module), weights) for name, module, weights in read)


def position_weights(view: ModelView) -> tuple[PositionWeights, ...]:
    """Return the position weights of every block, in the order in which the model runs them.

    Raises:
        ConfigError: if the model has neither SP nor BAM.
    """
    require_attention(view.model.network, "positions")
    read = capture_activations(view, MODULES["positions"], lambda module, maps: module.weights(maps).mean(dim=1).cpu())
    return tuple(PositionWeights(block_name(name), _kind(module), weights) for name, module, weights in read)


def self_attention(view: ModelView, positions: Sequence[tuple[int, int]] | None = None) -> SelfAttentionRows:
    """Return the attention of positions of the last map; by default one at the top, in the middle and at the bottom.

    Raises:
        ConfigError: if the model has no self-attention.
        ShapeError: for a position outside the map.
    """
    require_attention(view.model.network, "self")

    def read(module: SelfAttention, maps: Tensor) -> tuple[tuple[tuple[int, int], ...], Tensor, float]:
        places = tuple(positions or default_positions(maps.shape[2], maps.shape[3]))
        rows = torch.stack([module.row(maps, place) for place in places], dim=1)
        return places, rows.cpu(), float(module.alpha.detach())

    [(_, _, found)] = capture_activations(view, MODULES["self"], read)
    return SelfAttentionRows(*found)


def default_positions(height: int, width: int) -> list[tuple[int, int]]:
    """Return positions at about the head, the waist and the feet of a person in the middle of the image.

    >>> default_positions(12, 4)
    [(2, 2), (6, 2), (10, 2)]
    """
    return list(dict.fromkeys((row * height // 6, width // 2) for row in (1, 3, 5)))


@torch.no_grad()
def capture_activations(
    view: ModelView, types: tuple[type[nn.Module], ...], read: Callable[..., _T]
) -> list[tuple[str, nn.Module, _T]]:
    """Return ``read(module, *inputs)`` of every module of some types, each time that the model runs it."""
    model, found = view.model.network, list[tuple[str, nn.Module, _T]]()
    handles = []
    for name, module in model.named_modules():
        if isinstance(module, types):

            def hook(module: nn.Module, inputs: tuple[Tensor, ...], name: str = name) -> None:
                found.append((name, module, read(module, *inputs)))

            handles.append(module.register_forward_pre_hook(hook))
    try:
        model(*view.inputs)
    finally:
        for handle in handles:
            handle.remove()
    return found


def block_name(module: str) -> str:
    """Name the block that contains the module of this name.

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
