"""Attention within and between parts (Yang et al., Pattern Recognition 2019): the maps of Fig 7, the weights of Eq 8.

- Fig 7, maps of blocks 2–4 of the whole body and of its parts: :func:`intra_attention`;
- "attention maps from images of four body parts are fused": :func:`fuse_part_maps`;
- μ of Eq 8: :func:`inter_attention`.

*Deviations*: the paper does not print how it fuses. Here each part's map lies where the part was cropped, and where
parts overlap the map is their mean. Nor does it print how a mask of many channels becomes a map (see
:func:`intra_attention`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import grid_sample

from passerby.data.keypoints.regions import PARTS
from passerby.explain.attention.capture import MODULES, capture_activations, require_attention
from passerby.explain.images import ModelView
from passerby.models.attention_driven.blocks import AttentionBlock
from passerby.models.attention_driven.model import GLOBAL, AttentionDriven, InterAttention

BLOCKS = (2, 3, 4)


@dataclass(frozen=True, eq=False)
class IntraMaps:
    """The masks m of Eq 4 of some images by block: one number in (0, 1) per position."""

    whole: Mapping[int, Float[Tensor, "b _ _"]]
    """The maps of the whole body; empty for a model without that branch."""
    parts: Mapping[str, Mapping[int, Float[Tensor, "b _ _"]]]
    """The maps of each part, in the part's own frame."""
    fused: Mapping[int, Float[Tensor, "b y x"]]
    """The parts' maps in the frame of the whole body, at the model's size; NaN where no part was cropped."""


@dataclass(frozen=True, eq=False)
class PartWeights:
    """The weights μ of Eq 8: the features of a branch count 1 + μ times."""

    names: tuple[str, ...]
    weights: Float[Tensor, "b p"]
    """The weights, in (0, 1)."""


def intra_attention(view: ModelView, *, weighed: bool = True) -> IntraMaps:
    """Return the maps of every branch that the model has.

    Args:
        weighed: Σ_c m_c a_c / Σ_c a_c, the share of the features a at a position that is added to them (Eq 7); else the
            mean of m over channels, in which channels that attend to a position and others cancel out.

    Raises:
        ConfigError: if the model has no intra-attention.
    """
    model = view.model.network
    require_attention(model, "intra")
    maps = _gains(view) if weighed else {name: values.cpu() for name, values in (view.output.maps or {}).items()}
    of = {
        branch: {block: maps[f"{branch}_block{block}"] for block in BLOCKS}
        for branch in cast(AttentionDriven, model).names
    }
    whole = of.pop(GLOBAL, {})
    return IntraMaps(whole, of, {block: _fuse_block(view, of, block) for block in BLOCKS} if of else {})


def _gains(view: ModelView) -> dict[str, Tensor]:
    """Compute the weighted maps under the names of ``ModelOutput.maps``."""

    def read(block: AttentionBlock, v: Tensor) -> Tensor | None:
        if block.attention is None:
            return None
        a, m = block.features(v), block.attention(v)  # a is not negative
        gain: Tensor = (m * a).sum(dim=1) / a.sum(dim=1).clamp_min(torch.finfo(a.dtype).tiny)
        return gain.cpu()

    captured = capture_activations(view, (AttentionBlock,), read)
    named = ((name.split("."), gain) for name, _, gain in captured if gain is not None)  # branches.NAME.blocks.PLACE
    return {f"{branch}_block{int(place) + 1}": gain for (_, branch, _, place), gain in named}


def _fuse_block(view: ModelView, parts: Mapping[str, Mapping[int, Tensor]], block: int) -> Tensor:
    assert view.rectangles is not None  # a model of parts has part crops
    frame, cut = torch.from_numpy(view.rectangles.whole), torch.from_numpy(view.rectangles.parts)
    rows = [PARTS.index(name) for name in parts]
    return fuse_part_maps([maps[block] for maps in parts.values()], cut[:, rows], frame, view.model.size)


def fuse_part_maps(
    maps: Sequence[Float[Tensor, "b _ _"]],
    rectangles: Float[Tensor, "b p 4"],
    frame: Float[Tensor, "b 4"],
    size: tuple[int, int],
) -> Float[Tensor, "b y x"]:
    """Merge the maps of parts into one map of ``frame``, of ``size`` (height, width).

    Args:
        rectangles: crops of the parts; left, top, right, bottom in pixels of the image.
        frame: crop of the whole body, likewise.
    """
    total = torch.zeros(len(frame), *size)
    count = torch.zeros_like(total)
    for part, values in enumerate(maps):
        places = _places(rectangles[:, part], frame, size)
        inside = (places.abs() <= 1).all(dim=3)
        sampled = grid_sample(values[:, None].float(), places, padding_mode="border", align_corners=False)[:, 0]
        total += torch.where(inside, sampled, 0.0)
        count += inside
    return total / count.where(count > 0, torch.nan)


def _places(
    rectangle: Float[Tensor, "b 4"], frame: Float[Tensor, "b 4"], size: tuple[int, int]
) -> Float[Tensor, "b y x 2"]:
    """Locate the center of each pixel of the frame in a rectangle: −1 is its left or top edge, 1 the opposite one."""
    across = []
    for axis in (0, 1):
        start, end = frame[:, axis, None], frame[:, axis + 2, None]
        low, high = rectangle[:, axis, None], rectangle[:, axis + 2, None]
        pixels = (torch.arange(size[1 - axis]) + 0.5) / size[1 - axis]
        across.append(2 * (start + pixels * (end - start) - low) / (high - low) - 1)
    x, y = across
    return torch.stack(torch.broadcast_tensors(x[:, None, :], y[:, :, None]), dim=3)


def inter_attention(view: ModelView) -> PartWeights:
    """Return the weights by which the branches are fused.

    Raises:
        ConfigError: if the model fuses branches without weights.
    """
    model = view.model.network
    require_attention(model, "inter")
    read = capture_activations(view, MODULES["inter"], lambda module, E: cast(InterAttention, module).weights(E).cpu())
    [(_, _, weights)] = read
    return PartWeights(cast(AttentionDriven, model).names[-weights.shape[1] :], weights)
