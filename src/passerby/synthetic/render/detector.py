"""The simulated detector's box: around the person, but misaligned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from passerby.synthetic.mannequin.gait import Array, Floats
from passerby.synthetic.render.camera import Camera
from passerby.synthetic.render.view import View

ASPECT = 0.45
"""The ratio width ÷ height of a usual box, before it is stretched to the image's shape."""
MISSED = 0.08
"""The probability that a box misses a part of the person."""
CROWN = 0.105
"""The distance from the nose to the top of the head, share of the height."""


def eye_of(camera: Camera) -> View:
    """Return the view of the camera itself, with an empty window."""
    sine, cosine = np.sin(camera.pitch), np.cos(camera.pitch)
    axes = np.array([[1.0, 0, 0], [0, -sine, -cosine], [0, cosine, -sine]], dtype=np.float32)
    return View(np.array([0.0, 0.0, camera.height], dtype=np.float32), axes, (0.0, 0.0, 1.0, 1.0))


def detect(rng: np.random.Generator, whole: View, keypoints: Array | Floats, tall: float, loose: float) -> View:
    """Return the view through the box around world ``keypoints (18, 3)`` of a person ``tall`` meters high.

    ``loose`` scales every misalignment; 0 centers the box on the person.
    """
    crown = keypoints[0] + [0.0, 0.0, CROWN * tall]
    sole = np.array([keypoints[:, 0].mean(), keypoints[:, 1].mean(), 0.0])
    x, y, depth = whole.project(np.concatenate([keypoints, [crown, sole]]).astype(np.float32), (1, 1))
    meter = 1 / float(depth[0])
    top, bottom = float(y.min()) - 0.02 * meter, float(y.max()) + 0.05 * meter
    height = (bottom - top) * (1.01 + loose * abs(float(rng.normal(0, 0.06))))
    if rng.random() < MISSED * loose:
        height *= float(rng.uniform(0.72, 0.95))
    width = height * ASPECT * float(np.exp(rng.normal(0, 0.07) * loose))
    middle_x = (
        0.25 * (float(x.min()) + float(x.max())) + 0.5 * float(x[-2]) + width * float(rng.normal(0, 0.05)) * loose
    )
    middle_y = 0.5 * (top + bottom) + height * float(rng.normal(0, 0.025)) * loose
    window = (middle_x - width / 2, middle_y - height / 2, middle_x + width / 2, middle_y + height / 2)
    return replace(whole, window=window)
