"""The parts of AANet by peak activation (Tay, Roy, Yap, CVPR 2019, §3.2), even stripes, and pooling over rows.

- Eq 1, (h_z, w_z) = arg max X_z(h, w): :func:`peak_rows`; the column plays no further role;
- "clustered into 6 bins based on their vertical positions": :func:`cluster_rows`, :func:`peak_parts`.

*Deviations*: the paper names no clustering. This one is exact: of all ways to cut the ordered rows into bins, the one
with the least squared distance to the means of the bins, by dynamic programming; of equal ones, the one whose first cut
comes earliest, then its second, and so on. A part spans the rows from its bin's first peak to its last, over the full
width, so rows without peaks between two parts belong to none. A channel that is 0 everywhere peaks in the first row.
With fewer distinct peak rows than parts, the parts are even stripes.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

_SAME = 1e-12
"""A relative difference of costs below which they are equal, so that rounding decides no tie."""


def peak_rows(X: Float[Tensor, "b c h w"]) -> Int[Tensor, "b c"]:
    """Return h_z of Eq 1: the row of each channel's greatest activation, the first of equal ones."""
    return X.amax(dim=3).argmax(dim=2)


def even_stripes(height: int, parts: int, *, device: torch.device | None = None) -> Bool[Tensor, "p h"]:
    """Return the rows of each stripe: i covers ⌊i·h/p⌋ … ⌈(i+1)·h/p⌉ − 1. None is empty; neighbors may share a row.

    >>> even_stripes(4, 3).int().tolist()
    [[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]]
    """
    i = torch.arange(parts, device=device)[:, None]
    row = torch.arange(height, device=device)[None]
    return (row >= i * height // parts) & (row < -(-(i + 1) * height // parts))


def _segment_costs(counts: Float[Tensor, "b h"]) -> Float[Tensor, "b g g"]:
    """Return the squared distance of the peaks in rows i … j − 1 to their mean, at ``[i, j]``; infinite without any."""
    rows = torch.arange(counts.shape[1], dtype=counts.dtype, device=counts.device)
    rows = rows - rows.mean()  # smaller numbers round less
    moments = torch.stack([counts, counts * rows, counts * rows**2], dim=1)  # (b, 3, h)
    sums = F.pad(moments.cumsum(dim=2), (1, 0))  # (b, 3, h + 1)
    n, first, second = (sums[:, :, None, :] - sums[:, :, :, None]).unbind(dim=1)
    cost = (second - first**2 / n.clamp_min(1)).clamp_min(0)
    return torch.where(n > 0, cost, torch.inf)


def cluster_rows(counts: Int[Tensor, "b h"], parts: int) -> Int[Tensor, "b p"]:
    """Return where each bin of the cheapest partition of a histogram of rows ends (exclusive).

    Exact one-dimensional k-means: E_k(i) = min over j of cost(i, j) + E_{k−1}(j) is the least cost of the rows from i
    in k bins, none without a peak. It needs at least as many rows with a peak as parts; else the ends are meaningless.
    """
    cost = _segment_costs(counts.double())  # (b, h + 1, h + 1)
    whole = cost[:, 0, -1].clamp_min(1)[:, None, None]
    rest = torch.full_like(cost[:, :, -1], torch.inf)
    rest[:, -1] = 0.0  # without bins left, no row may be left
    choices = []
    for _ in range(parts):
        total = cost + rest[:, None, :]  # (b, i, j)
        rest = total.amin(dim=2)
        choices.append((total <= rest[:, :, None] + _SAME * whole).int().argmax(dim=2))  # the earliest j
    ends = [torch.zeros_like(choices[0][:, :1])]
    for choice in reversed(choices):
        ends.append(choice.gather(1, ends[-1]))
    return torch.cat(ends[1:], dim=1)


def peak_parts(X: Float[Tensor, "b c h w"], parts: int = 6) -> Bool[Tensor, "b p h"]:
    """Return the rows of each part, top to bottom: from its bin's first peak row to its last."""
    height = X.shape[2]
    stripes = even_stripes(height, parts, device=X.device)
    if height < parts:
        return stripes.expand(X.shape[0], -1, -1)
    row = torch.arange(height, device=X.device)
    counts = (peak_rows(X.detach())[:, :, None] == row).sum(dim=1)  # (b, h)
    ends = cluster_rows(counts, parts)[:, :, None]
    starts = F.pad(ends[:, :-1], (0, 0, 1, 0))
    peaks = (row >= starts) & (row < ends) & (counts > 0)[:, None]  # (b, p, h)
    after_first = peaks.int().cumsum(dim=2) > 0
    before_last = peaks.int().flip(2).cumsum(dim=2).flip(2) > 0
    enough = (counts > 0).sum(dim=1) >= parts
    return torch.where(enough[:, None, None], after_first & before_last, stripes)


def pool_rows(maps: Float[Tensor, "b c h w"], rows: Bool[Tensor, "b p h"]) -> Float[Tensor, "b p c"]:
    """Return the average over each part's rows and the full width."""
    share = rows.to(maps.dtype)
    share = share / share.sum(dim=2, keepdim=True)
    return share @ maps.mean(dim=3).transpose(1, 2)
