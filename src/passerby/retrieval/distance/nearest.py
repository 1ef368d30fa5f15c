"""The k nearest of every row of a block of distances."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor


def nearest(distances: Float[Tensor, "b n"], k: int) -> tuple[Float[Tensor, "b k"], Int[Tensor, "b k"]]:
    """Each row's k smallest distances, ascending, and their columns; of equal ones the earlier column first.

    >>> nearest(torch.tensor([[3.0, 1.0, 2.0, 1.0]]), 2)[1].tolist()
    [[1, 3]]
    """
    # a selection names the k smallest values, but of equal ones any, in any order: those rows are looked at again
    wanted = min(k + 1, distances.shape[1])
    values, columns = distances.topk(wanted, dim=1, largest=False, sorted=True)
    tied = (values[:, 1:] == values[:, :-1]).any(1).nonzero().squeeze(1)
    values, columns = values[:, :k].contiguous(), columns[:, :k].contiguous()
    if len(tied):
        values[tied], columns[tied] = _nearest_among_equals(distances[tied], k)
    return values, columns


def _nearest_among_equals(distances: Float[Tensor, "b n"], k: int) -> tuple[Float[Tensor, "b k"], Int[Tensor, "b k"]]:
    """As :func:`nearest`: all that reach the k-th smallest value, sorted."""
    bound = distances.topk(k, dim=1, largest=False).values[:, -1:]
    rows, columns = (distances <= bound).nonzero(as_tuple=True)  # row by row, columns ascending
    values, order = distances[rows, columns].sort(stable=True)
    rows, columns = rows[order], columns[order]
    rows, order = rows.sort(stable=True)
    reached = torch.bincount(rows, minlength=len(distances))
    kept = (reached.cumsum(0) - reached)[:, None] + torch.arange(k, device=rows.device)
    return values[order][kept], columns[order][kept]
