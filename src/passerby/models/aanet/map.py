"""The attribute attention map of AANet (Tay, Roy, Yap, CVPR 2019, §3.3 ii): where the visible attributes are.

Class activation map (Zhou et al., CVPR 2016) of each group's predicted class: :func:`activation_map` → each scaled to
[0, 1] → maximum over groups → adaptive threshold: :func:`attention_mask`. Nothing here carries a gradient.

*Deviations*: the paper does not name the adaptive threshold; here it is Otsu's, exact over the values of the map, or
their mean. Positions that reach it count fully, the rest not at all. Without a threshold (``none``) the maximum itself
is the map, so that a position counts by its share of the strongest one. The maps are scaled to [0, 1] before the
maximum, so that no group outweighs the others by its range.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

Threshold = Literal["otsu", "mean", "none"]


def activation_map(
    V: Float[Tensor, "b c h w"], weight: Float[Tensor, "n c"], scores: Float[Tensor, "b n"]
) -> Float[Tensor, "b h w"]:
    """Return Σ_c w_kc V_c of the class k with the greatest score: the contribution of each position to it."""
    chosen = weight.detach()[scores.detach().argmax(dim=1)]  # (b, c)
    found = torch.einsum("bc,bchw->bhw", chosen, V.detach())
    return found.to(torch.promote_types(found.dtype, torch.float32))  # half precision is too coarse for a threshold


def min_max(maps: Float[Tensor, "b h w"]) -> Float[Tensor, "b h w"]:
    """Return each map scaled to [0, 1]; a constant one becomes 0."""
    low, high = maps.amin(dim=(1, 2), keepdim=True), maps.amax(dim=(1, 2), keepdim=True)
    return (maps - low) / (high - low).clamp_min(torch.finfo(maps.dtype).tiny)


def otsu(values: Float[Tensor, "b m"]) -> Float[Tensor, "b 1"]:
    """Return Otsu's threshold of each row: values at or above it are the upper class.

    It is the cut of the sorted values with the greatest variance between both classes, the lowest of equal ones; a
    constant row has no cut, and all of it is the upper class.
    """
    ordered = values.sort(dim=1).values
    m = ordered.shape[1]
    n = torch.arange(1, m + 1, dtype=values.dtype, device=values.device)  # below the cut
    sums = ordered.cumsum(dim=1)
    gap = sums / n - (sums[:, -1:] - sums) / (m - n).clamp_min(1)
    between = n * (m - n) * gap**2
    is_cut = F.pad(ordered[:, :-1] < ordered[:, 1:], (0, 1))  # none between equal values, none after the last
    best = torch.where(is_cut, between, -1.0).argmax(dim=1, keepdim=True)
    return ordered.gather(1, (best + 1) * is_cut.any(dim=1, keepdim=True))


def attention_mask(maps: Float[Tensor, "b g h w"], threshold: Threshold = "otsu") -> Float[Tensor, "b h w"]:
    """Return 1 where the maximum of the scaled maps reaches the threshold, 0 elsewhere; for ``none`` the maximum."""
    if threshold == "none":
        return maps.amax(dim=1)
    joined = maps.amax(dim=1).flatten(1)  # (b, m)
    limit = otsu(joined) if threshold == "otsu" else joined.mean(dim=1, keepdim=True)
    return (joined >= limit).to(maps.dtype).view_as(maps[:, 0])
