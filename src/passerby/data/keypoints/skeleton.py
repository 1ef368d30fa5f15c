"""What is known of a synthetic picture because it was drawn: joints, masks, box and viewpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

KEYPOINT_NAMES = (
    "nose",
    "neck",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "right_hip",
    "right_knee",
    "right_ankle",
    "left_hip",
    "left_knee",
    "left_ankle",
    "right_eye",
    "left_eye",
    "right_ear",
    "left_ear",
)
"""The 18 of OpenPose, in its order; right and left are the person's."""
MIRRORED = tuple(
    KEYPOINT_NAMES.index(name.replace("left", "right") if "left" in name else name.replace("right", "left"))
    for name in KEYPOINT_NAMES
)
"""The keypoint that each one becomes in a mirror image, by index."""
BONES = (
    (0, 1),
    (1, 2),
    (2, 3),
    (3, 4),
    (1, 5),
    (5, 6),
    (6, 7),
    (1, 8),
    (8, 9),
    (9, 10),
    (1, 11),
    (11, 12),
    (12, 13),
    (0, 14),
    (14, 16),
    (0, 15),
    (15, 17),
)
OUTSIDE, OCCLUDED, VISIBLE = 0, 1, 2
"""COCO's visibility codes: not in the picture; in it, but hidden; seen."""
PARTS = ("background", "hair", "face", "upper", "lower", "arms", "legs", "shoes", "hat", "carried")
"""Values of the part mask: ``arms`` and ``legs`` are bare skin, neck and hands included with ``arms``."""
Viewpoint = Literal["front", "back", "left", "right"]
"""The side of the person that the camera sees."""


@dataclass(frozen=True, eq=False)
class Labels:
    """Of one picture."""

    keypoints: NDArray[np.float32]
    """``(18, 2)``: x, y in pixels, (0, 0) is the outer corner of the first pixel."""
    visibility: NDArray[np.uint8]
    """``(18,)`` of the codes above."""
    parts: NDArray[np.uint8]
    """``(h, w)``: index into :data:`PARTS`."""
    box: tuple[float, float, float, float]
    """x0, y0, x1, y1 of the whole person in pixels; it may reach beyond the picture."""
    heading: float
    """Radians from facing the camera (0) over showing her left side (π/2) to her back (π)."""
    viewpoint: Viewpoint
    camid: int
    time: int
    """Frame number of the camera's clock."""

    @property
    def mask(self) -> NDArray[np.bool_]:
        """``(h, w)``: the person's visible pixels, with what she wears and carries."""
        return self.parts > 0
