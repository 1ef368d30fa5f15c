"""Heads are blurred in figures of real people: a figure is passed on more easily than a data set.

What is covered goes over the picture's whole width, since who is beside the person is nobody's subject, and down to
below the head where joints say surely where that is; else most of the picture, or all of it where nobody is to be seen
as a whole: what a detector took for a person is often a face from near, or a piece of a street with people in it. It is
no promise: a child in front of somebody, or a face that is somewhere else altogether, may stay. What a model sees is
never blurred.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from passerby.data.keypoints.skeleton import KEYPOINT_NAMES

HEAD = tuple(KEYPOINT_NAMES.index(name) for name in ("nose", "right_eye", "left_eye", "right_ear", "left_ear"))
NECK = KEYPOINT_NAMES.index("neck")
UPPER = 0.3
"""Of a picture's height, which is always covered; heads of pedestrian boxes end at about a fifth."""
UNSURE = 0.7
"""The same, where somebody is seen but nobody surely knows where the head is."""
_SURE_HEAD, _SURE_NECK, _SURE_BODY = 0.8, 0.7, 0.45
"""Confidence of a head's likeliest joint, of the neck, and of all joints on average, below which nothing is sure."""
_MARGIN = 0.6
"""Below the lowest of these joints, of the distance from it to the highest."""
_CELLS = 4
"""What a head is reduced to, along its width, before it is smoothed."""

Box = tuple[int, int, int, int]
"""left, top, right, bottom in pixels."""


def head_box(
    size: tuple[int, int], keypoints: NDArray[np.float32] | None = None, confidence: NDArray[np.float32] | None = None
) -> Box:
    """What is covered of a picture of ``size`` (width, height): all that is above, and beside, the head.

    Args:
        joints: ``(18, 2)``, fractions of width and height; ``None``: the upper part, :data:`UPPER`, is known to do.
        confidence: ``(18,)``; 0 is a joint that was not found.
    """
    width, height = size
    share = UPPER if keypoints is None or confidence is None else max(UPPER, _lower_end(keypoints, confidence))
    return 0, 0, width, min(height, round(share * height))


def _lower_end(keypoints: NDArray[np.float32], confidence: NDArray[np.float32]) -> float:
    """Of the head, of the picture's height, with a margin."""
    if max(confidence[list(HEAD)]) < _SURE_HEAD or confidence[NECK] < _SURE_NECK:
        return 1.0 if confidence.mean() < _SURE_BODY else UNSURE
    heights = keypoints[[*(i for i in HEAD if confidence[i] > 0), NECK], 1]
    return float(heights.max() + _MARGIN * np.ptp(heights))


def blur_box(image: Image.Image, box: Box) -> Image.Image:
    """A copy in which nobody can tell who is in ``box``: a few cells across, smoothed."""
    head = image.crop(box)
    cells = (_CELLS, max(1, round(_CELLS * head.height / max(1, head.width))))
    few = head.resize(cells, Image.Resampling.BOX).resize(head.size, Image.Resampling.BILINEAR)
    covered = image.copy()
    covered.paste(few.filter(ImageFilter.GaussianBlur(max(1, head.width / _CELLS / 3))), box[:2])
    return covered
