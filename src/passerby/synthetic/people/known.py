"""What is known of pictures beside who is in them: of a set that is drawn on demand, or from the files beside one."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from passerby.data.keypoints.skeleton import JOINTS
from passerby.data.source import Source
from passerby.errors import DatasetLayoutError
from passerby.synthetic.annotations import ATTRIBUTES, KEYPOINTS
from passerby.synthetic.dataset import PedestrianSource


class Pose(NamedTuple):
    """The joints of one picture."""

    joints: NDArray[np.float32]
    """``(18, 2)``: x, y in pixels."""
    visibility: NDArray[np.uint8]
    """``(18,)`` of COCO's codes (see :mod:`passerby.data.keypoints.skeleton`)."""


def known_poses(source: Source) -> Mapping[str, Pose]:
    """The joints of each picture by its name.

    Raises:
        DatasetLayoutError: if the source is not drawn and has no ``keypoints.json``, or a broken one.
    """
    return _DrawnPoses(source) if isinstance(source, PedestrianSource) else _read_poses(source)


def twin_groups(source: Source) -> dict[int, int]:
    """The twin group of each person who has one, by the numbers in file names.

    Raises:
        DatasetLayoutError: if the source is not drawn and has no ``attributes.csv`` that names them.
    """
    if isinstance(source, PedestrianSource):
        groups = ((pid, source.world.person(pid).twin_group) for pid in range(source.settings.people))
        return {pid + 1: group for pid, group in groups if group is not None}
    rows = csv.DictReader(io.StringIO(_read(source, ATTRIBUTES).decode()))
    try:
        return {int(row["person"]): int(row["twin_group"]) for row in rows if row["twin_group"]}
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetLayoutError(
            f"{source.root}: {ATTRIBUTES} has no columns person and twin_group of whole numbers ({error})"
        ) from None


class _DrawnPoses(Mapping[str, Pose]):
    """Draws a picture to know its joints."""

    def __init__(self, source: PedestrianSource) -> None:
        self.source = source

    def __getitem__(self, name: str) -> Pose:
        labels = self.source.labels(name)
        return Pose(labels.joints, labels.visibility)

    def __iter__(self) -> Iterator[str]:
        return iter(self.source.names())

    def __len__(self) -> int:
        return len(self.source.names())


def _read_poses(source: Source) -> dict[str, Pose]:
    try:
        whole: dict[str, Any] = json.loads(_read(source, KEYPOINTS))
        names = {image["id"]: image["file_name"] for image in whole["images"]}
        return {names[person["image_id"]]: _pose(person["keypoints"]) for person in whole["annotations"]}
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetLayoutError(
            f"{source.root}: {KEYPOINTS} is not COCO's with {len(JOINTS)} joints ({error!r}); write the set anew"
        ) from None


def _pose(flat: list[float]) -> Pose:
    table = np.asarray(flat, np.float32).reshape(len(JOINTS), 3)
    return Pose(table[:, :2], table[:, 2].astype(np.uint8))


def _read(source: Source, name: str) -> bytes:
    if name not in source.names():
        raise DatasetLayoutError(
            f"{source.root} has no {name}: joints and twins are known of synthetic people only, as "
            "passerby data synthesize writes them"
        )
    return source.read(name)
