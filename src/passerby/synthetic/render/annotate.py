"""The labels of an image from what was rendered in it."""

from __future__ import annotations

import numpy as np

from passerby.data.keypoints.skeleton import KEYPOINT_NAMES, OCCLUDED, OUTSIDE, VISIBLE, Labels, Viewpoint
from passerby.synthetic.mannequin.gait import Floats
from passerby.synthetic.render.renderer import Canvas, Placed
from passerby.synthetic.render.view import View

DEPTHS = {
    "nose": 0.07,
    "eye": 0.07,
    "ear": 0.07,
    "neck": 0.15,
    "shoulder": 0.12,
    "hip": 0.22,
    "elbow": 0.12,
    "wrist": 0.09,
    "knee": 0.14,
    "ankle": 0.14,
}
"""The meters that a keypoint may lie behind the visible surface before another part of the body occludes it."""
REACH = np.array([DEPTHS[name.rsplit("_", 1)[-1]] for name in KEYPOINT_NAMES], dtype=np.float32)
VIEWPOINTS: tuple[Viewpoint, ...] = ("front", "left", "back", "right")
"""The viewpoints by quarter turns of the heading."""


def annotate(
    canvas: Canvas,
    surface: Placed,
    keypoints: Floats,
    view: View,
    size: tuple[int, int],
    *,
    heading: float,
    camid: int,
    time: int,
) -> Labels:
    """Return everything that is known of an image of ``size`` once its person has been rendered on the canvas."""
    rows, columns = ((np.arange(size[i]) + 0.5) * canvas.size[i] // size[i] for i in (0, 1))
    at = np.ix_(rows.astype(np.int64), columns.astype(np.int64))
    parts, depth = np.ascontiguousarray(canvas.parts[at]), canvas.depth[at]
    x, y, keypoint_depth = view.project(keypoints, size)
    inside = (x >= 0) & (x < size[1]) & (y >= 0) & (y < size[0])
    row, column = (np.clip(v, 0, size[i] - 1).astype(np.int64) for i, v in enumerate((y, x)))
    seen = (parts[row, column] > 0) & (keypoint_depth - depth[row, column] < REACH)
    all_x, all_y, _ = view.project(surface.world(surface.points[::5]), size)
    turned = float(heading % (2 * np.pi))
    return Labels(
        keypoints=np.stack([x, y], axis=1).astype(np.float32),
        visibility=np.where(inside, np.where(seen, VISIBLE, OCCLUDED), OUTSIDE).astype(np.uint8),
        parts=parts,
        box=(float(all_x.min()), float(all_y.min()), float(all_x.max()), float(all_y.max())),
        heading=turned,
        viewpoint=VIEWPOINTS[int((turned + np.pi / 4) // (np.pi / 2)) % 4],
        camid=camid,
        time=time,
    )
