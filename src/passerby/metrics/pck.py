"""PCK, the percentage of correct keypoints (Yang and Ramanan, TPAMI 2013), as a share in [0, 1]; larger is better.

A keypoint is correct if it lies no farther from its true position than a share of the person's height: 5 % and 10 %
here. Two heights are in use, and a number is meaningless without naming which:

- ``box``: the height of the detector's box, which is the image. It is the usual one, and the default.
- ``joints``: from the highest to the lowest annotated keypoint. It is stricter: an image has a margin, and keypoints
  lie within the body. People with a single keypoint have no such height and do not count.

Distances are in units of the image height, so that columns and rows weigh the same whatever the image's shape.
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
    found: Float[Tensor, "n k 2"], true: Float[Tensor, "n k 2"], *, aspect: float
) -> Float[Tensor, "n k"]:
    """Return the distance of each keypoint from its true position, in units of the image height.

    Args:
        found: estimated x, y as fractions of width and height.
        true: true x, y, likewise.
        aspect: width ÷ height of the images.

    >>> keypoint_distances(torch.tensor([[[0.8, 0.4]]]), torch.tensor([[[0.2, 0.0]]]), aspect=0.5)
    tensor([[0.5000]])
    """
    offset = found - true
    return torch.hypot(offset[..., 0] * aspect, offset[..., 1])


def keypoint_heights(true: Float[Tensor, "n k 2"], counted: Bool[Tensor, "n k"]) -> Float[Tensor, " n"]:
    """Return the height from highest to lowest keypoint that counts, as a share of the image; 0 if fewer than 2 do."""
    y = true[..., 1]
    lowest = torch.where(counted, y, -torch.inf).amax(1)
    highest = torch.where(counted, y, torch.inf).amin(1)
    return (lowest - highest).clamp_min(0)


def pck(
    distances: Float[Tensor, "n k"],
    counted: Bool[Tensor, "n k"],
    *,
    tolerance: float,
    heights: Float[Tensor, " n"] | None = None,
) -> tuple[float, Float[Tensor, " k"]]:
    """Return the share of correct keypoints among those that count: of all, and of each (NaN where it never counts).

    Args:
        heights: heights of the people in units of the image height; 1 by default. People of height 0 do not count.
    """
    counted = _measurable(counted, heights)
    reach = tolerance * (torch.ones(len(distances)) if heights is None else heights)
    correct = (distances <= reach[:, None].to(distances.dtype)) & counted
    total = counted.sum().double()
    return (correct.sum().double() / total).item(), correct.sum(0).double() / counted.sum(0)


def summary(
    distances: Float[Tensor, "n k"],
    counted: Bool[Tensor, "n k"],
    names: Sequence[str],
    *,
    heights: Float[Tensor, " n"] | None = None,
) -> dict[str, Any]:
    """Return PCK at 5 % and 10 % as plain values for JSON, in total and by keypoint, without those that never count.

    The total is ``None`` if no keypoint counts at all. The keys are those of version 0.1.
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


def _measurable(counted: Bool[Tensor, "n k"], heights: Float[Tensor, " n"] | None) -> Bool[Tensor, "n k"]:
    """Return the counted keypoints without those of people of height 0, of which no share can be taken."""
    return counted if heights is None else counted & (heights > 0)[:, None]


def _share(value: float) -> float | None:
    """Return a rounded share; ``None`` for NaN, which JSON lacks."""
    return None if math.isnan(value) else round(value, 4)
