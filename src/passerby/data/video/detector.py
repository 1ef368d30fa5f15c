"""What finds people in a frame: any function from a frame to boxes with scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from passerby.data.video.boxes import Floats
from passerby.errors import ShapeError


@dataclass(frozen=True, eq=False)
class Detections:
    """The people that were found in one frame.

    Raises:
        ShapeError: if there are not as many scores as boxes.
    """

    boxes: Floats
    """The boxes ``(n, 4)``: left, top, right, bottom in pixels; they may reach out of the frame."""
    scores: Floats
    """The confidence of each, 0…1."""

    def __post_init__(self) -> None:
        if self.boxes.shape != (len(self.scores), 4):
            raise ShapeError(
                f"a detector returned boxes of shape {self.boxes.shape} with {len(self.scores)} scores, "
                f"expected ({len(self.scores)}, 4). Fix: one box of four numbers per score"
            )


class Detector(Protocol):
    """A detector of people.

    It should return uncertain people, too (down to a score of 0.1): the tracker keeps a person by them who is hidden
    for a while, and begins no tracklet with them.
    """

    def __call__(self, frame: NDArray[np.uint8]) -> Detections:
        """Return the people in a frame ``(h, w, 3)``, RGB."""
