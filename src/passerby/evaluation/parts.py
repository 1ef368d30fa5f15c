"""Parts for models that ask for them: who knows the joints, said as a word or a path."""

from __future__ import annotations

from pathlib import Path

from passerby.data.canonical import shipped_canonical_poses
from passerby.data.parts import By, PartCutter, PartMaker
from passerby.data.pose_files import coco_poses, market_poses, synthetic_poses
from passerby.data.poses import PoseEstimator
from passerby.data.regions import OVERLAP
from passerby.data.registry import open_place
from passerby.data.source import Source
from passerby.errors import DatasetLayoutError

OWN = "own"
"""The joints that a synthetic set has of its own."""


def part_maker(
    source: Source, *, size: tuple[int, int], by: By = "pose", overlap: float = OVERLAP, poses: str = OWN
) -> PartMaker:
    """What cuts the pictures of ``source``, resized to ``size`` (height, width), into parts a quarter as high.

    Args:
        by: ``pose``, or ``strips`` that need none.
        overlap: β as a part of the body's height.
        poses: ``own``; a ``.json`` of COCO keypoints; or the folder or archive of ``market1501_body_point``.

    Raises:
        DatasetLayoutError: if the joints are not there.
    """
    height, width = size
    canonical = shipped_canonical_poses() if by == "pose" else None
    cutter = PartCutter(by=by, overlap=overlap, size=(height // 4, width), canonical=canonical)
    return PartMaker(cutter, pose_estimator(poses, source) if by == "pose" else None)


def pose_estimator(poses: str, source: Source) -> PoseEstimator:
    """Who knows the joints of a source's pictures, by what ``poses`` says (see :func:`part_maker`)."""
    if poses == OWN:
        return synthetic_poses(source)
    path = Path(poses).expanduser()
    if path.suffix.lower() == ".json":
        if not path.is_file():
            raise DatasetLayoutError(f"{path} does not exist; give a JSON of COCO keypoints")
        return coco_poses(path.read_bytes(), origin=str(path))
    return market_poses(open_place(poses), source.names())
