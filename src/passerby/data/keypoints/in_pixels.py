"""The annotated keypoints in pixels with their visibility: of generated images, or from ``keypoints.json``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from passerby.data.keypoints.skeleton import KEYPOINT_NAMES
from passerby.data.source import KEYPOINTS, Source
from passerby.errors import DatasetLayoutError


class PixelKeypoints(NamedTuple):
    """The keypoints of one image."""

    xy: NDArray[np.float32]
    """The places ``(18, 2)``: x, y in pixels."""
    visibility: NDArray[np.uint8]
    """The codes of COCO, ``(18,)`` (see :mod:`passerby.data.keypoints.skeleton`)."""


def keypoints_in_pixels(source: Source) -> Mapping[str, PixelKeypoints]:
    """Return the keypoints of each image by its name.

    Raises:
        DatasetLayoutError: if the source is not generated and has no ``keypoints.json``, or a broken one.
    """
    return _Generated(source) if source.is_generated else _from_file(source)


class _Generated(Mapping[str, PixelKeypoints]):
    """The keypoints of generated images; an image is rendered when it is looked up."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def __getitem__(self, name: str) -> PixelKeypoints:
        labels = self.source.labels(name)
        return PixelKeypoints(labels.keypoints, labels.visibility)

    def __iter__(self) -> Iterator[str]:
        return iter(self.source.names())

    def __len__(self) -> int:
        return len(self.source.names())


def _from_file(source: Source) -> dict[str, PixelKeypoints]:
    content = source.sidecar(KEYPOINTS)
    if content is None:
        raise DatasetLayoutError(
            f"{source.root} has no {KEYPOINTS}, and its images are not generated: where the keypoints are is unknown. "
            "Fix: use a synthetic dataset, such as passerby data synthesize writes"
        )
    try:
        whole: dict[str, Any] = json.loads(content)
        names = {image["id"]: image["file_name"] for image in whole["images"]}
        return {names[person["image_id"]]: _person(person["keypoints"]) for person in whole["annotations"]}
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetLayoutError(
            f"{source.root}: {KEYPOINTS} is not COCO's with {len(KEYPOINT_NAMES)} keypoints ({error!r}). Fix: write "
            "the dataset anew with passerby data synthesize"
        ) from None


def _person(flat: list[float]) -> PixelKeypoints:
    table = np.asarray(flat, np.float32).reshape(len(KEYPOINT_NAMES), 3)
    return PixelKeypoints(table[:, :2], table[:, 2].astype(np.uint8))
