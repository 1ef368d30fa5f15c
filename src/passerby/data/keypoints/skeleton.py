"""The keypoint skeleton, and the labels of a generated image: keypoints, masks, box and viewpoint."""

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
"""The 18 keypoints of OpenPose, in its order; right and left are the person's."""
MIRRORED = tuple(
    KEYPOINT_NAMES.index(name.replace("left", "right") if "left" in name else name.replace("right", "left"))
    for name in KEYPOINT_NAMES
)
"""The index of the keypoint that each becomes in a mirror image."""
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
"""The pairs of keypoints that a skeleton connects."""
OUTSIDE, OCCLUDED, VISIBLE = 0, 1, 2
"""The visibility codes of COCO: outside the image; inside, but occluded; visible."""
PARTS = ("background", "hair", "face", "upper", "lower", "arms", "legs", "shoes", "hat", "carried")
"""The values of the part mask: ``arms`` and ``legs`` are bare skin, ``arms`` includes neck and hands."""
Viewpoint = Literal["front", "back", "left", "right"]
"""The side of the person that the camera sees."""


@dataclass(frozen=True, eq=False)
class Labels:
    """The labels of one image."""

    keypoints: NDArray[np.float32]
    """The places ``(18, 2)``: x, y in pixels; (0, 0) is the outer corner of the first pixel."""
    visibility: NDArray[np.uint8]
    """The visibility codes ``(18,)``."""
    parts: NDArray[np.uint8]
    """The part mask ``(h, w)``: indices into :data:`PARTS`."""
    box: tuple[float, float, float, float]
    """The box (x0, y0, x1, y1) of the whole person in pixels; it may extend beyond the image."""
    heading: float
    """The angle in radians: facing the camera (0), showing the left side (π/2), the back (π)."""
    viewpoint: Viewpoint
    camid: int
    time: int
    """The frame number of the camera's clock."""

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The person's visible pixels ``(h, w)``, with clothes and bags."""
        return self.parts > 0
