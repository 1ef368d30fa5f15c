"""PCK, the percentage of correct keypoints (Yang and Ramanan, TPAMI 2013), as a share in [0, 1]; larger is better.

A joint is found if it lies no farther from its true place than a share of the person's height: 5 % and 10 % here. Two
heights are in use, and a number is worth nothing without saying which:

- ``box``: the height of the detector's box, which is the picture. It is the usual one, and the default.
- ``joints``: from the highest to the lowest joint that is annotated. Stricter: a picture has a margin, and joints lie
  within the body. People of a single joint have no such height and do not count.

Distances are in heights of the picture, so that columns and rows weigh the same whatever the picture's shape.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

TOLERANCES = (0.05, 0.10)


def keypoint_distances(
    found: Float[Tensor, "n j 2"], true: Float[Tensor, "n j 2"], *, aspect: float
) -> Float[Tensor, "n j"]:
    """How far each joint is from where it should be, in heights of the picture.

    Args:
        found: x, y as fractions of width and height.
        true: the same.
        aspect: width ÷ height of the pictures.

    >>> keypoint_distances(torch.tensor([[[0.8, 0.4]]]), torch.tensor([[[0.2, 0.0]]]), aspect=0.5)
    tensor([[0.5000]])
    """
    apart = found - true
    return torch.hypot(apart[..., 0] * aspect, apart[..., 1])


def keypoint_heights(true: Float[Tensor, "n j 2"], counted: Bool[Tensor, "n j"]) -> Float[Tensor, " n"]:
    """From the highest to the lowest joint that counts, as a share of the picture; 0 where fewer than 2 do."""
    y = true[..., 1]
    lowest = torch.where(counted, y, -torch.inf).amax(1)
    highest = torch.where(counted, y, torch.inf).amin(1)
    return (lowest - highest).clamp_min(0)


def pck(
    distances: Float[Tensor, "n j"],
    counted: Bool[Tensor, "n j"],
    *,
    tolerance: float,
    heights: Float[Tensor, " n"] | None = None,
) -> tuple[float, Float[Tensor, " j"]]:
    """The share of found joints among those that count: of all, and of each joint (NaN where it never counts).

    Args:
        heights: of the people in heights of the picture; 1 by default. Whose height is 0 does not count.
    """
    counted = _measurable(counted, heights)
    reach = tolerance * (torch.ones(len(distances)) if heights is None else heights)
    right = (distances <= reach[:, None].to(distances.dtype)) & counted
    total = counted.sum().double()
    return (right.sum().double() / total).item(), right.sum(0).double() / counted.sum(0)


def summary(
    distances: Float[Tensor, "n j"],
    counted: Bool[Tensor, "n j"],
    names: Sequence[str],
    *,
    heights: Float[Tensor, " n"] | None = None,
) -> dict[str, Any]:
    """PCK at 5 % and 10 % as plain values for JSON, in total and by joint; joints that never count are left out.

    The total is ``None`` where no joint counts at all.
    """
    counted = _measurable(counted, heights)
    result: dict[str, Any] = {"joints": int(counted.sum()), "pictures": len(distances)}
    for tolerance in TOLERANCES:
        total, each = pck(distances, counted, tolerance=tolerance, heights=heights)
        result[f"pck_{100 * tolerance:.0f}"] = _share(total)
        shares = zip(names, each.tolist(), strict=True)
        by_keypoint = {name: _share(share) for name, share in shares}
        result[f"pck_{100 * tolerance:.0f}_by_joint"] = {n: s for n, s in by_keypoint.items() if s is not None}
    return result


def _measurable(counted: Bool[Tensor, "n j"], heights: Float[Tensor, " n"] | None) -> Bool[Tensor, "n j"]:
    """Without the people who have no height: a share of it is nothing, which no estimator could hit."""
    return counted if heights is None else counted & (heights > 0)[:, None]


def _share(value: float) -> float | None:
    """Rounded; of nothing there is no share, and NaN is no JSON."""
    return None if math.isnan(value) else round(value, 4)
