"""Read annotated keypoints: of synthetic people, from COCO's keypoints JSON, and Market-1501's body points."""

from __future__ import annotations

import importlib
import io
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from passerby.data.keypoints.estimator import AnnotatedKeypoints, Table
from passerby.data.keypoints.skeleton import KEYPOINT_NAMES, OCCLUDED, OUTSIDE, VISIBLE, Labels
from passerby.data.source import KEYPOINTS, Source, is_image
from passerby.errors import DatasetLayoutError

CONFIDENCE: dict[float, float] = {OUTSIDE: 0.0, OCCLUDED: 0.5, VISIBLE: 1.0}
"""The confidence by COCO's visibility code: the annotated place of an occluded keypoint is a guess, if a good one."""


def own_keypoints(source: Source) -> AnnotatedKeypoints:
    """Return a source's own keypoints: of generated images, or from its ``keypoints.json``.

    Raises:
        DatasetLayoutError: if it has none.
    """
    if source.is_generated:
        return AnnotatedKeypoints(_Generated(source), str(source.root), source.fingerprint())
    return coco_keypoints(source.read(KEYPOINTS), origin=f"{source.root}/{KEYPOINTS}")


def has_keypoints(source: Source) -> bool:
    """Return whether a source has its own keypoints: it is generated, or has a ``keypoints.json``."""
    return source.is_generated or source.has(KEYPOINTS)


class _Generated(Mapping[str, Table]):
    """The keypoints of generated images; an image is rendered when it is looked up."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def __getitem__(self, name: str) -> Table:
        return keypoint_table(self.source.labels(name))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and is_image(name) and self.source.has(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.source.names())

    def __len__(self) -> int:
        return len(self.source.names())


def keypoint_table(labels: Labels) -> Table:
    """Return the keypoints of a generated image, ``(18, 3)``: x and y as fractions, and confidence."""
    confidence = np.array([CONFIDENCE[int(code)] for code in labels.visibility], np.float32)
    return np.column_stack([labels.keypoints / np.array(labels.parts.shape[::-1], np.float32), confidence])


# COCO


def coco_keypoints(content: bytes, *, origin: str) -> AnnotatedKeypoints:
    """Read COCO's keypoints JSON; images are looked up by their ``file_name``.

    Keypoints are identified by the category's names. COCO has no neck: it is midway between the shoulders, with the
    lower confidence of the two. Of several people in an image the one with the largest box counts; in an image without
    annotations no keypoint is found.

    Args:
        content: the content of the file.
        origin: the name of the file in errors.

    Raises:
        DatasetLayoutError: if it is not such a file.
    """
    try:
        whole: dict[str, Any] = json.loads(content)
        names = {category["id"]: tuple(category["keypoints"]) for category in whole["categories"]}
        people: dict[Any, dict[str, Any]] = {}
        for person in sorted(whole["annotations"], key=_area):  # the largest comes last and stays
            people[person["image_id"]] = person
        tables = {}
        for image in whole["images"]:
            person = people.get(image["id"], {"keypoints": [], "category_id": None})
            size = np.array([image["width"], image["height"]], np.float32)
            tables[image["file_name"]] = _from_named(names.get(person["category_id"], ()), person["keypoints"], size)
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetLayoutError(
            f"{origin} is not COCO's keypoints JSON ({error!r}); expected images with width and height, "
            "annotations with x, y, visibility 0 to 2 of every keypoint, and categories that name the keypoints"
        ) from None
    return AnnotatedKeypoints(tables, origin)


def _area(person: dict[str, Any]) -> float:
    _, _, width, height = person["bbox"]
    return float(width) * float(height)


def _from_named(names: tuple[str, ...], flat: Sequence[float], size: NDArray[np.float32]) -> Table:
    given = np.asarray(flat, np.float32).reshape(len(names), 3)
    known = {
        name: np.array([*(row[:2] / size), CONFIDENCE[float(row[2])]], np.float32)
        for name, row in zip(names, given, strict=True)
    }
    if "neck" not in known and {"left_shoulder", "right_shoulder"} <= known.keys():
        known["neck"] = _between(known["left_shoulder"], known["right_shoulder"])
    return np.stack([known.get(name, np.zeros(3, np.float32)) for name in KEYPOINT_NAMES])


def _between(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.array([*(a + b)[:2] / 2, min(a[2], b[2])], np.float32)


# Market-1501's 14 body points

BODY_POINTS = {
    "bounding_box_train": "market1501_14point_train.mat",
    "query": "market1501_14point_query.mat",
    "bounding_box_test": "market1501_14point_gallery.mat",
}
_POINT_KEYPOINTS = KEYPOINT_NAMES[1:14]
"""The keypoints of points 2–14; the first, the top of the head, is not one of OpenPose's."""
_POINTS = 1 + len(_POINT_KEYPOINTS)
_MARKET_SIZE = (128, 64)


def market_keypoints(annotations: Source, names: Iterable[str], *, own_neck: bool = False) -> AnnotatedKeypoints:
    """Read Market-1501's machine-made keypoints (``market1501_body_point``): neck, arms and legs with confidence 1.

    Nose, eyes and ears are not among them: their confidence is 0. OpenPose's neck is midway between the shoulders; the
    neck of these files is higher, by 3 % of the image's height.

    Args:
        annotations: the source of the ``.mat`` files of :data:`BODY_POINTS`; folders without images need none.
        names: the dataset's files, whole folders: row i of a ``.mat`` is the folder's i-th image by name.
        own_neck: use the files' neck instead of OpenPose's.

    Raises:
        DatasetLayoutError: if a file does not match the images, or the package that reads it is missing.
    """
    tables: dict[str, Table] = {}
    for folder, images in _by_folder(names).items():
        points = _read_points(annotations, BODY_POINTS[folder])  # (n, 28)
        if len(points) != len(images):
            raise DatasetLayoutError(
                f"{annotations.root}: {BODY_POINTS[folder]} has {len(points):,} rows, but {folder} has "
                f"{len(images):,} images; rows belong to the images of the original, in the order of their names"
            )
        tables |= zip(images, _from_points(points, own_neck=own_neck), strict=True)
    return AnnotatedKeypoints(tables, str(annotations.root))


def _by_folder(names: Iterable[str]) -> dict[str, list[str]]:
    images = defaultdict(list)
    for name in filter(is_image, names):
        folder = name.split("/")[-2:-1]
        if folder and folder[0] in BODY_POINTS:
            images[folder[0]].append(name)
    return {folder: sorted(found, key=lambda name: name.rsplit("/", 1)[-1]) for folder, found in images.items()}


def _from_points(points: NDArray[np.float64], *, own_neck: bool) -> NDArray[np.float32]:
    """Convert MATLAB's pixels, which count from 1: pixel v has its center at v − 1/2."""
    tables = np.zeros((len(points), len(KEYPOINT_NAMES), 3), np.float32)
    height, width = _MARKET_SIZE
    places = [KEYPOINT_NAMES.index(name) for name in _POINT_KEYPOINTS]
    tables[:, places, 0] = (points[:, 1:_POINTS] - 0.5) / width
    tables[:, places, 1] = (points[:, _POINTS + 1 :] - 0.5) / height
    tables[:, places, 2] = 1
    if not own_neck:
        neck, right, left = (KEYPOINT_NAMES.index(name) for name in ("neck", "right_shoulder", "left_shoulder"))
        tables[:, neck, :2] = (tables[:, right, :2] + tables[:, left, :2]) / 2
    return tables


def _read_points(annotations: Source, name: str) -> NDArray[np.float64]:
    try:
        h5py = importlib.import_module("h5py")
    except ImportError:
        raise DatasetLayoutError(
            f"{name} is a MATLAB 7.3 file, which needs the package h5py: pip install h5py"
        ) from None
    try:
        with h5py.File(io.BytesIO(annotations.read(name)), "r") as file:
            points = np.asarray(file["pp"], np.float64)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DatasetLayoutError(f"{annotations.root}: {name} cannot be read ({error}). Fix: fetch it again") from None
    if points.ndim != 2 or points.shape[1] != 2 * _POINTS:
        raise DatasetLayoutError(
            f"{annotations.root}: {name} has the shape {points.shape}, expected (images, {2 * _POINTS}): {_POINTS} x, "
            "then y"
        )
    return points
