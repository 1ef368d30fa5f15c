"""DMLI, the dynamically matching local information (Luo et al., AlignedReID++, Pattern Recognition 2019).

Stripe distance d = Euclidean of two L2-normalized stripes, then (e^d − 1)/(e^d + 1) = tanh(d/2) = 2σ(d) − 1, which
is a sixth of the work of a tanh: :func:`stripe_distances`. The distance of two images is the cheapest path through
that s × t matrix from top-left to bottom-right, steps right or down: :func:`shortest_path`. The cost is the *sum*
over the s + t − 1 cells, not divided by anything. Unaligned: the diagonal's sum.

Equal stripes cost 5e-7 in float64 (the bound that keeps the root's gradient finite) and up to about
5e-4 in float32 (rounding of ‖x‖² + ‖y‖² − 2 x·y), against 0.61 for orthogonal ones.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from passerby.retrieval.distance.euclidean import to_float32

_EPSILON = 1e-12
"""The least d² under the root, d = 1e-6: equal stripes get the gradient 0, not NaN."""
_TILE = 32, 64
"""The numbers of images whose stripes are aligned at a time, so that their s × t matrices stay in the CPU cache."""


def _saturate(squared: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Return tanh(d/2) of d², overwriting it."""
    return squared.clamp_min_(_EPSILON).sqrt_().sigmoid().mul(2).sub_(1)


def stripe_distances(x: Float[Tensor, "m s c"], y: Float[Tensor, "n t c"]) -> Float[Tensor, "m n s t"]:
    """Return tanh(d/2) of every stripe of every x with every stripe of every y, in [0, tanh 1].

    One matrix product, in memory ``(s, m, t, n)``: a step of :func:`shortest_path` then reads whole runs of n.
    """
    X, Y = x.transpose(0, 1).flatten(0, 1), y.transpose(0, 1).flatten(0, 1)
    squared = torch.addmm(Y.pow(2).sum(1), X, Y.T, alpha=-2).add_(X.pow(2).sum(1, keepdim=True))
    (m, s, _), (n, t, _) = x.shape, y.shape
    return _saturate(squared).view(s, m, t, n).permute(1, 3, 0, 2)


def shortest_path(cost: Float[Tensor, "*b s t"]) -> Float[Tensor, "*b"]:
    """Return the least sum over the cells of a monotone path from (0, 0) to (s−1, t−1).

    A wavefront: all cells of one anti-diagonal at once, over the whole batch, s + t − 1 steps. Mirrored
    left to right, anti-diagonals are diagonals, which are views.
    """
    t = cost.shape[-1]
    mirrored = cost.flip(-1)
    best = mirrored.diagonal(t - 1, -2, -1).movedim(-1, 0)  # (1, *b): cell (0, 0)
    border = torch.full_like(best, torch.inf)
    for step in range(1, sum(cost.shape[-2:]) - 1):
        cells = mirrored.diagonal(t - 1 - step, -2, -1).movedim(-1, 0)  # (length, *b), from the top down
        before = torch.cat([border, best, border])
        first = 1 if step >= t else 0  # past the last column each diagonal begins one row lower
        from_above, from_left = (before[i : i + len(cells)] for i in (first, first + 1))
        best = cells + torch.minimum(from_above, from_left)
    return best[0]


def _align(cost: Float[Tensor, "*b s t"], *, aligned: bool) -> Float[Tensor, "*b"]:
    return shortest_path(cost) if aligned else cost.diagonal(dim1=-2, dim2=-1).sum(-1)


def dmli(x: Float[Tensor, "m s c"], y: Float[Tensor, "n t c"], *, aligned: bool = True) -> Float[Tensor, "m n"]:
    """Return the local distances of all pairs."""
    return _align(stripe_distances(x, y), aligned=aligned)


def dmli_pairs(x: Float[Tensor, "b s c"], y: Float[Tensor, "b t c"], *, aligned: bool = True) -> Float[Tensor, " b"]:
    """Return the local distance of each row of x to the same row of y."""
    products = torch.einsum("bsc,btc->bst", x, y)
    norms = x.pow(2).sum(2)[:, :, None] + y.pow(2).sum(2)[:, None, :]
    return _align(_saturate(norms - 2 * products), aligned=aligned)


class StripeDistance:
    """The DMLI distances of stripes of ``x`` to stripes of ``y``."""

    def __init__(self, x: Float[Tensor, "m s c"], y: Float[Tensor, "n s c"]) -> None:
        self.x, self.y = x, y

    def block(self, rows: Int[Tensor, " b"], columns: slice) -> Float[Tensor, "b c"]:
        """Return the distances of some rows to a run of columns, computed in tiles."""
        x, y = self.x[rows].split(_TILE[0]), self.y[columns].split(_TILE[1])
        return torch.cat([torch.cat([dmli(to_float32(i), to_float32(j)) for j in y], dim=1) for i in x])

    def pairs(self, rows: Int[Tensor, " e"], columns: Int[Tensor, " e"]) -> Float[Tensor, " e"]:
        """Return the distance of each row to the column at the same place."""
        return dmli_pairs(to_float32(self.x[rows]), to_float32(self.y[columns]))
