"""Small JPEGs of images, which a gallery keeps; heads of real people are blurred."""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from functools import lru_cache

import torch
from PIL import Image

from passerby.data.images.blur_faces import blur_box, head_box
from passerby.data.images.decode import to_tensor
from passerby.data.keypoints.origin import NETWORK
from passerby.data.source import Source
from passerby.inference.keypoint_source import pose_estimator

SIDE = 128
"""The longer side of a thumbnail in pixels; smaller images keep their size."""
_QUALITY = 85
_POSE_SIZE = (128, 64)
"""The size (height, width) at which heads are looked for."""
_LOG = logging.getLogger(__name__)


class Thumbnails:
    """The thumbnails of a source's images.

    Args:
        blur: whether to blur heads; ``None``: unless the images are synthetic.
    """

    def __init__(self, source: Source, *, blur: bool | None = None) -> None:
        self._source = source
        self._small: dict[str, Image.Image] = {}
        is_synthetic = blur is not True and source.is_synthetic
        self.blurs = not is_synthetic if blur is None else blur
        if not self.blurs and not is_synthetic:
            _warn_unblurred(str(source.root))

    def take(self, name: str, image: Image.Image) -> None:
        """Reduce an image, for :meth:`jpegs`."""
        small = image.copy()
        small.thumbnail((SIDE, SIDE))
        self._small[name] = small

    def jpegs(self, names: Sequence[str]) -> list[bytes]:
        """Return the thumbnails of images that were taken, and forget all."""
        images = [self._small[name] for name in names]
        self._small = {}
        if self.blurs and images:
            images = self._blurred(names, images)
        return list(map(_jpeg, images))

    def _blurred(self, names: Sequence[str], images: Sequence[Image.Image]) -> list[Image.Image]:
        """Return images with blurred heads, which the pose network looks for."""
        pixels = torch.stack([to_tensor(image, _POSE_SIZE) for image in images])
        xy, confidence = pose_estimator(NETWORK, self._source)(names, pixels)
        boxes = (head_box(image.size, xy[row], confidence[row]) for row, image in enumerate(images))
        return [blur_box(image, box) for image, box in zip(images, boxes, strict=True)]


def _jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()


@lru_cache(maxsize=64)
def _warn_unblurred(root: str) -> None:
    _LOG.warning(
        "%s: thumbnails show the faces of real people, as requested; be careful who may read the gallery", root
    )
