"""Blur heads in figures of real people: a figure is passed on more easily than a dataset.

The blurred box has the image's whole width, as other people may stand beside the person, and ends below the head if the
keypoints locate it surely. Else it covers most of the image, or all of it if no whole body is found: a false detection
is often a face at close range, or a piece of a street with people in it. This is no guarantee: a child in front of the
person, or a face elsewhere in the image, may stay visible. The input of a model is never blurred.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from passerby.data.keypoints.skeleton import KEYPOINT_NAMES

HEAD = tuple(KEYPOINT_NAMES.index(name) for name in ("nose", "right_eye", "left_eye", "right_ear", "left_ear"))
NECK = KEYPOINT_NAMES.index("neck")
UPPER = 0.3
"""The share of an image's height that is always blurred; heads in pedestrian boxes end at about a fifth."""
UNSURE = 0.7
"""The share that is blurred if there is a person whose head is not located surely."""
_SURE_HEAD, _SURE_NECK, _SURE_BODY = 0.8, 0.7, 0.45
"""The least confidence of the head's best keypoint, of the neck, and of all keypoints on average."""
_MARGIN = 0.6
"""The margin below the lowest keypoint of head and neck, a share of their vertical extent."""
_CELLS = 4
"""The number of cells along the width to which a head is reduced before it is smoothed."""

Box = tuple[int, int, int, int]
"""The box (left, top, right, bottom) in pixels."""


def head_box(
    size: tuple[int, int], keypoints: NDArray[np.float32] | None = None, confidence: NDArray[np.float32] | None = None
) -> Box:
    """Return the box to blur in an image of ``size`` (width, height): everything above and beside the head.

    Args:
        keypoints: ``(18, 2)``, fractions of width and height; ``None``: the upper part, :data:`UPPER`, is enough.
        confidence: ``(18,)``; 0 for a keypoint that was not found.
    """
    width, height = size
    share = UPPER if keypoints is None or confidence is None else max(UPPER, _lower_end(keypoints, confidence))
    return 0, 0, width, min(height, round(share * height))


def _lower_end(keypoints: NDArray[np.float32], confidence: NDArray[np.float32]) -> float:
    """Return the lower end of the head with its margin, a share of the image's height."""
    if max(confidence[list(HEAD)]) < _SURE_HEAD or confidence[NECK] < _SURE_NECK:
        return 1.0 if confidence.mean() < _SURE_BODY else UNSURE
    heights = keypoints[[*(i for i in HEAD if confidence[i] > 0), NECK], 1]
    return float(heights.max() + _MARGIN * np.ptp(heights))


def blur_box(image: Image.Image, box: Box) -> Image.Image:
    """Return a copy whose ``box`` is unrecognizable: reduced to a few cells, and smoothed."""
    head = image.crop(box)
    cells = (_CELLS, max(1, round(_CELLS * head.height / max(1, head.width))))
    few = head.resize(cells, Image.Resampling.BOX).resize(head.size, Image.Resampling.BILINEAR)
    covered = image.copy()
    covered.paste(few.filter(ImageFilter.GaussianBlur(max(1, head.width / _CELLS / 3))), box[:2])
    return covered
