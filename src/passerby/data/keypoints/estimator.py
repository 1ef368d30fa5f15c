"""Where a person's joints come from: one protocol, and the estimator that looks them up.

The joints are OpenPose's 18, named in :data:`passerby.data.keypoints.skeleton.KEYPOINT_NAMES`. Their places are fractions of
the picture's width and height, so that resizing a picture does not move them.
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
"""``(18, 3)`` of one person: x and y as fractions of the picture, and confidence."""


class Keypoints(NamedTuple):
    """The people of a batch."""

    xy: NDArray[np.float32]
    """``(b, 18, 2)``: x, y as fractions of width and height; without meaning where the confidence is 0."""
    confidence: NDArray[np.float32]
    """``(b, 18)`` in [0, 1]; 0 is a joint that was not found."""


class PoseEstimator(Protocol):
    """Says where the joints of the people in pictures are. Annotations need the names, networks the pixels."""

    def __call__(self, names: Sequence[str], images: Tensor) -> Keypoints:
        """The joints of pictures called ``names``, whose pixels are ``(b, 3, h, w)``, uint8."""
        ...


@dataclass(frozen=True)
class AnnotatedKeypoints:
    """A :class:`PoseEstimator` that looks joints up by the pictures' names."""

    tables: Mapping[str, Table]
    origin: str
    """Named in errors: the file or the set."""
    fingerprint: str | None = None
    """Of tables that are made when they are asked for, which is worth keeping (:mod:`passerby.data.keypoints.cache`)."""

    def __call__(self, names: Sequence[str], images: Tensor | None = None) -> Keypoints:  # noqa: ARG002 - the protocol's
        """The joints of the pictures.

        Raises:
            DatasetLayoutError: for a picture that the annotations do not know.
        """
        unknown = [name for name in names if name not in self.tables]
        if unknown:
            raise DatasetLayoutError(
                f"{self.origin} has no joints of {len(unknown):,} of {len(names):,} pictures: "
                f"{', '.join(unknown[:3])}; give the annotations that belong to them, or estimate the poses"
            )
        whole = (
            np.stack([self.tables[name] for name in names])
            if names
            else np.zeros((0, len(KEYPOINT_NAMES), 3), np.float32)
        )
        return Keypoints(whole[..., :2], whole[..., 2])
