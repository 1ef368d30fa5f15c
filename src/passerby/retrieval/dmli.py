"""DMLI, dynamically matching local information (Luo et al., AlignedReID++, Pattern Recognition 2019).

Stripe distance d = Euclidean of two L2-normalised stripes, then (e^d − 1)/(e^d + 1) = tanh(d/2):
:func:`stripe_distances`. The distance of two images is the cheapest path through that s × t matrix
from top-left to bottom-right, steps right or down: :func:`shortest_path`. The cost is the *sum* over
the s + t − 1 cells, not divided by anything. Unaligned: the diagonal's sum.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

_EPSILON = 1e-12
"""Under the root, so that equal stripes (distance 1e-6 instead of 0) have a finite gradient."""


def _saturate(squared: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    return torch.tanh(squared.clamp_min(_EPSILON).sqrt() / 2)


def stripe_distances(x: Float[Tensor, "m s c"], y: Float[Tensor, "n t c"]) -> Float[Tensor, "m n s t"]:
    """tanh(d/2) of every stripe of every x with every stripe of every y, in [0, tanh 1]."""
    products = torch.einsum("msc,ntc->mnst", x, y)
    norms = x.pow(2).sum(2)[:, None, :, None] + y.pow(2).sum(2)[None, :, None, :]
    return _saturate(norms - 2 * products)


def shortest_path(cost: Float[Tensor, "*b s t"]) -> Float[Tensor, "*b"]:
    """Least sum over the cells of a monotone path from (0, 0) to (s−1, t−1).

    A wavefront: all cells of one anti-diagonal at once, over the whole batch, s + t − 1 steps. Row i
    of the cost is shifted right by i, which turns anti-diagonals into columns.
    """
    *batch, s, t = cost.shape
    steps = s + t - 1
    padded = F.pad(cost, (0, s), value=torch.inf).flatten(-2)[..., : s * steps]
    columns = padded.view(*batch, s, steps).movedim(-1, 0).movedim(-1, 1)  # (steps, s, *b): row of a diagonal
    outside = torch.full_like(columns[0, :1], torch.inf)
    best = columns[0]
    for step in range(1, steps):
        from_above = torch.cat([outside, best[:-1]])
        best = columns[step] + torch.minimum(best, from_above)
    return best[-1]


def _align(cost: Float[Tensor, "*b s t"], *, aligned: bool) -> Float[Tensor, "*b"]:
    return shortest_path(cost) if aligned else cost.diagonal(dim1=-2, dim2=-1).sum(-1)


def dmli(x: Float[Tensor, "m s c"], y: Float[Tensor, "n t c"], *, aligned: bool = True) -> Float[Tensor, "m n"]:
    """Local distance of all pairs."""
    return _align(stripe_distances(x, y), aligned=aligned)


def dmli_pairs(x: Float[Tensor, "b s c"], y: Float[Tensor, "b t c"], *, aligned: bool = True) -> Float[Tensor, " b"]:
    """Local distance of each row of x with the same row of y."""
    products = torch.einsum("bsc,btc->bst", x, y)
    norms = x.pow(2).sum(2)[:, :, None] + y.pow(2).sum(2)[:, None, :]
    return _align(_saturate(norms - 2 * products), aligned=aligned)
