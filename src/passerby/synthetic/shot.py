"""A rendered image with its labels, and both as files."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from passerby.data.keypoints.skeleton import Labels


@dataclass(frozen=True, eq=False)
class Shot:
    """An image with its labels."""

    image: NDArray[np.uint8]
    """The RGB image ``(h, w, 3)``, before JPEG."""
    quality: int
    """The JPEG quality of the camera."""
    labels: Labels
    """The labels of the person."""


def encode(shot: Shot) -> bytes:
    """Encode the image as the camera's JPEG."""
    content = io.BytesIO()
    Image.fromarray(shot.image).save(content, "JPEG", quality=shot.quality)
    return content.getvalue()


def encode_mask(labels: Labels) -> bytes:
    """Encode the part mask as PNG."""
    content = io.BytesIO()
    Image.fromarray(labels.parts).save(content, "PNG")
    return content.getvalue()
