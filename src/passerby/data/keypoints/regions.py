"""Compute body regions: Yang et al., Attention Driven Person Re-identification (Pattern Recognition 2019), §3.2.

- Eq 1, boundary, center and height of the whole body: :func:`body_frame`;
- Eq 2, the five rectangles: :func:`body_regions`, and :func:`clamp_rectangles` to the image.

A rectangle is (left, top, right, bottom) in pixels; (0, 0) is the outer corner of the first pixel.

*Deviations*: the text lost the keypoints of P_2 and P_3, and garbles those of P_1 and P_4. :data:`REGIONS` has those
that the regions' names mean, and neighbors share the keypoints of their border: neck, hips, knees. So without overlap
no row between crown and soles lies outside every part; and Eq 1–2 put the crown as far above the topmost keypoint of
the head as the lowest lies below it, which fits a person if that is the neck. Without the neck (``head="face"``, as in
version 0.2 and before) most crowns are cut.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from passerby.data.keypoints.skeleton import KEYPOINT_NAMES
from passerby.errors import ConfigError, ShapeError, UnknownNameError

OVERLAP = 1 / 10
"""The overlap β / H of the paper; its Table 11 finds 3/48 best."""
LEAST = 1.0
"""The pixels that a clamped rectangle keeps in each direction, at the image's edge if it lies outside."""


def _places(names: str) -> list[int]:
    return [KEYPOINT_NAMES.index(name) for name in names.split()]


Head = Literal["neck", "face"]
"""The lowest keypoints of the head region P_1: the neck, or those of the face alone."""
WHOLE = "whole_body"
REGIONS: dict[str, list[int]] = {
    WHOLE: list(range(len(KEYPOINT_NAMES))),
    "head": _places("nose neck right_eye left_eye right_ear left_ear"),
    "upper_body": _places(
        "neck right_shoulder left_shoulder right_elbow left_elbow right_wrist left_wrist right_hip left_hip"
    ),
    "upper_leg": _places("right_hip left_hip right_knee left_knee"),
    "lower_leg": _places("right_knee left_knee right_ankle left_ankle"),
}
"""The regions P_0 … P_4: indices of their keypoints among the 18."""
PARTS = tuple(name for name in REGIONS if name != WHOLE)
"""The parts, top to bottom."""
_FACE = _places("nose right_eye left_eye right_ear left_ear")


class BodyFrame(NamedTuple):
    """The boundary and height of Eq 1, each ``(n,)``, in pixels."""

    x_l: NDArray[np.float64]
    x_r: NDArray[np.float64]
    H: NDArray[np.float64]


def body_frame(keypoints: NDArray[np.floating], *, head: Head = "neck") -> BodyFrame:
    """Return boundary and height of whole bodies with keypoints ``(n, 18, 2)`` in pixels."""
    x = keypoints[..., 0].astype(np.float64)
    head_top, _ = _head(keypoints, head)
    _, sole = _feet(keypoints)
    H = sole - head_top
    x_c = x.mean(axis=1)
    return BodyFrame(np.minimum(x_c - H / 4, x.min(axis=1)), np.maximum(x_c + H / 4, x.max(axis=1)), H)


def body_regions(
    keypoints: NDArray[np.floating], *, overlap: float = OVERLAP, head: Head = "neck"
) -> NDArray[np.float64]:
    """Return the rectangles R_0 … R_4 of Eq 2, ``(n, 5, 4)``, not clamped: the whole body, then :data:`PARTS`.

    Args:
        keypoints: ``(n, 18, 2)`` in pixels, all of them (:mod:`passerby.data.keypoints.canonical` fills missing ones).
        overlap: β as a share of H.
        head: whether the head reaches to the ``neck``, or is the ``face`` alone.

    Raises:
        UnknownNameError: for another head.
        ShapeError: for keypoints of another shape, at no finite place, or of a body upside down (H not above 0).
    """
    _check_keypoints(keypoints, overlap)
    check_head(head)
    x_l, x_r, H = body_frame(keypoints, head=head)
    if (H <= 0).any():
        raise ShapeError(
            f"the pose in row {int((H <= 0).argmax())} is {H[H <= 0][0]:.1f} pixels high: its ankles are not below its "
            "head. Fix: leave it out, or treat its keypoints as not found"
        )
    beta = overlap * H
    head_top, head_bottom = _head(keypoints, head)
    knee, sole = _feet(keypoints)
    top, bottom = [head_top, head_top], [sole, head_bottom + beta]
    for name in ("upper_body", "upper_leg"):
        least, most = _extent(keypoints, REGIONS[name])
        top.append(least - beta)
        bottom.append(most + beta)
    top.append(knee - beta)
    bottom.append(sole)
    return np.stack([np.stack([x_l, t, x_r, b], axis=1) for t, b in zip(top, bottom, strict=True)], axis=1)


def are_upright(keypoints: NDArray[np.floating], *, head: Head = "neck") -> NDArray[np.bool_]:
    """Return which poses ``(n,)`` have regions: those with H above 0."""
    return body_frame(keypoints, head=head).H > 0


def check_head(head: str) -> None:
    """Check the name of a head region.

    Raises:
        UnknownNameError: if it is none.
    """
    if head not in get_args(Head):
        raise UnknownNameError("head region", head, get_args(Head))


def horizontal_strips(n: int, size: tuple[int, int]) -> NDArray[np.float64]:
    """Return the fixed parts of the paper's baseline, ``(n, 4, 4)``: equal strips over the full width of an image."""
    height, width = size
    edges = np.linspace(0, height, len(PARTS) + 1)
    one = np.column_stack([np.zeros(len(PARTS)), edges[:-1], np.full(len(PARTS), width), edges[1:]])
    strips: NDArray[np.float64] = np.tile(one, (n, 1, 1))
    return strips


def clamp_rectangles(rectangles: NDArray[np.floating], size: tuple[int, int]) -> NDArray[np.float64]:
    """Clamp rectangles ``(..., 4)`` to an image of ``size`` (height, width); they keep :data:`LEAST` pixels."""
    most = np.array(size[::-1], np.float64)
    start = np.clip(rectangles[..., :2], 0, most - LEAST)
    end = np.clip(rectangles[..., 2:], start + LEAST, most)
    return np.concatenate([start, end], axis=-1)


def _extent(keypoints: NDArray[np.floating], places: list[int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return least and greatest y of some keypoints."""
    y = keypoints[:, places, 1].astype(np.float64)
    return y.min(axis=1), y.max(axis=1)


def _head(keypoints: NDArray[np.floating], head: Head) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the top of the head, 2 min − max of its keypoints, and the lowest of these."""
    least, most = _extent(keypoints, REGIONS["head"] if head == "neck" else _FACE)
    return 2 * least - most, most


def _feet(keypoints: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the highest keypoint of the lower legs, and the soles, 4/3 max − 1/3 min of these."""
    least, most = _extent(keypoints, REGIONS["lower_leg"])
    return least, 4 / 3 * most - 1 / 3 * least


def _check_keypoints(keypoints: NDArray[np.floating], overlap: float) -> None:
    if keypoints.ndim != 3 or keypoints.shape[1:] != (len(KEYPOINT_NAMES), 2):
        raise ShapeError(f"expected keypoints (n, {len(KEYPOINT_NAMES)}, 2), x and y in pixels; got {keypoints.shape}")
    broken = ~np.isfinite(keypoints).all(axis=(1, 2))
    if broken.any():
        raise ShapeError(
            f"the pose in row {int(broken.argmax())} has a keypoint at no finite place. Fix: fill missing ones first "
            "(passerby.data.keypoints.canonical)"
        )
    if overlap < 0:
        raise ConfigError(f"overlap is a share of the body's height from 0, got {overlap}")
