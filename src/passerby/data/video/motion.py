"""A Kalman filter of a box that moves at a constant velocity.

Source: Kalman, "A New Approach to Linear Filtering and Prediction Problems", 1960. The state is center, aspect ratio
and height of the box with their velocities, as in Wojke et al., "Simple Online and Realtime Tracking with a Deep
Association Metric", ICIP 2017 (Sec 2.1), which ByteTrack uses; as there, the deviations of noise are shares of the
height: 1/20 of positions and 1/160 of velocities per step.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from passerby.data.video.boxes import Floats

Doubles = NDArray[np.float64]
_POSITION, _VELOCITY = 1 / 20, 1 / 160
_ASPECT = 1e-2
"""The deviation of the aspect ratio per step; its measured one is ten times that."""
_STEP = np.eye(8) + np.eye(8, k=4)
"""The matrix F: positions move by their velocities."""


class Motion:
    """The believed place of one box.

    Args:
        box: the first box, ``(4,)``: left, top, right, bottom.
    """

    def __init__(self, box: Floats) -> None:
        measured = _measured(box)
        height = measured[3]
        position, velocity = 2 * _POSITION * height, 10 * _VELOCITY * height
        deviations = [position, position, _ASPECT, position, velocity, velocity, 1e-5, velocity]
        self.mean: Doubles = np.concatenate([measured, np.zeros(4)])
        """The state ``(8,)``: center x and y, width / height, height, and their velocities per step."""
        self.covariance: Doubles = np.diag(np.square(deviations))

    def predict(self) -> None:
        """Predict the state one step later: x ← F x, P ← F P Fᵀ + Q."""
        height = max(self.mean[3], 1.0)
        position, velocity = _POSITION * height, _VELOCITY * height
        deviations = [position, position, _ASPECT, position, velocity, velocity, 1e-5, velocity]
        self.mean = _STEP @ self.mean
        self.covariance = _STEP @ self.covariance @ _STEP.T + np.diag(np.square(deviations))

    def update(self, box: Floats) -> None:
        """Correct the state by a box that was seen: K = P Hᵀ S⁻¹, x ← x + K (z − H x), P ← P − K S Kᵀ."""
        height = max(self.mean[3], 1.0)
        noise = np.square([_POSITION * height, _POSITION * height, 10 * _ASPECT, _POSITION * height])
        innovation = self.covariance[:4, :4] + np.diag(noise)  # S
        gain = np.linalg.solve(innovation, self.covariance[:4, :]).T  # K, as P and S are symmetric
        self.mean = self.mean + gain @ (_measured(box) - self.mean[:4])
        self.covariance = self.covariance - gain @ innovation @ gain.T

    def hold(self) -> None:
        """Stop the height's change, as that of a person who is hidden is not seen to change."""
        self.mean[7] = 0.0

    @property
    def box(self) -> Floats:
        """The believed box, ``(4,)``."""
        x, y, aspect, height = self.mean[:4]
        width = aspect * height
        return np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2], np.float32)


def _measured(box: Floats) -> Doubles:
    left, top, right, bottom = (float(side) for side in box)
    height = max(bottom - top, 1e-3)
    return np.array([(left + right) / 2, (top + bottom) / 2, (right - left) / height, height])
