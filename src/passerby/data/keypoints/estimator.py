"""The protocol of pose estimators, and the one that looks keypoints up in annotations.

The keypoints are OpenPose's 18 (:data:`passerby.data.keypoints.skeleton.KEYPOINT_NAMES`). Their places are fractions of
the image's width and height, so that resizing an image does not change them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from passerby.data.keypoints.skeleton import KEYPOINT_NAMES
from passerby.errors import DatasetLayoutError

if TYPE_CHECKING:
    from torch import Tensor

Table = NDArray[np.float32]
"""The keypoints of one person, ``(18, 3)``: x and y as fractions of the image, and confidence."""


class Keypoints(NamedTuple):
    """The keypoints of the people in b images."""

    xy: NDArray[np.float32]
    """The places ``(b, 18, 2)``: x and y as fractions of width and height; undefined where the confidence is 0."""
    confidence: NDArray[np.float32]
    """The confidence ``(b, 18)`` in [0, 1]; 0 for a keypoint that was not found."""


class PoseEstimator(Protocol):
    """A function from images to keypoints. Annotations use the names of the images, networks their pixels."""

    def __call__(self, names: Sequence[str], images: Tensor) -> Keypoints:
        """Return the keypoints of images with ``names`` and pixels ``(b, 3, h, w)``, uint8."""
        ...


@dataclass(frozen=True)
class AnnotatedKeypoints:
    """A :class:`PoseEstimator` that looks keypoints up by the images' names."""

    tables: Mapping[str, Table]
    origin: str
    """The file or dataset that errors name."""
    fingerprint: str | None = None
    """The fingerprint of tables that are computed on demand, for :mod:`passerby.data.keypoints.cache`."""

    def __call__(self, names: Sequence[str], images: Tensor | None = None) -> Keypoints:  # noqa: ARG002 - the protocol's
        """Return the keypoints of the images.

        Raises:
            DatasetLayoutError: for an image without annotations.
        """
        unknown = [name for name in names if name not in self.tables]
        if unknown:
            raise DatasetLayoutError(
                f"{self.origin} has no keypoints of {len(unknown):,} of {len(names):,} images: "
                f"{', '.join(unknown[:3])}. Fix: give their annotations, or use a pose network"
            )
        whole = (
            np.stack([self.tables[name] for name in names])
            if names
            else np.zeros((0, len(KEYPOINT_NAMES), 3), np.float32)
        )
        return Keypoints(whole[..., :2], whole[..., 2])
