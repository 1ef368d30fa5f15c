"""Parts for models that ask for them: who knows the joints, said as a word or a path."""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path

from passerby.data.keypoints.cache import cached
from passerby.data.keypoints.canonical import shipped_canonical_poses
from passerby.data.keypoints.crops import By, PartCutter, PartMaker
from passerby.data.keypoints.estimator import PoseEstimator
from passerby.data.keypoints.files import coco_poses, has_joints, market_poses, synthetic_poses
from passerby.data.keypoints.origin import _WORDS, AUTO, NETWORK, OWN, JointsOrigin
from passerby.data.keypoints.regions import OVERLAP
from passerby.data.registry import from_anywhere, open_place
from passerby.data.source import Source
from passerby.errors import DatasetLayoutError
from passerby.models.keypoints.estimator import (
    ABOUT,
    CONFIG,
    NetworkPoseEstimator,
    load_pose_network,
    shipped_pose_estimator,
)
from passerby.models.keypoints.heatmaps import fingerprint, openvino_pose_estimator

_NETWORKS = (".xml", ".onnx")
_LOG = logging.getLogger(__name__)


def part_maker(
    source: Source,
    *,
    size: tuple[int, int],
    by: By = "pose",
    overlap: float = OVERLAP,
    align: bool = True,
    poses: str = AUTO,
) -> PartMaker:
    """What cuts the pictures of ``source``, resized to ``size`` (height, width), into parts a quarter as high.

    Joints that are work to find are kept (:mod:`passerby.data.keypoints.cache`).

    Args:
        by: ``pose``, or ``strips`` that need none.
        overlap: β as a part of the body's height.
        align: cut the whole body by pose too.
        poses: ``auto``, ``own`` or ``network``; a ``.json`` of COCO keypoints; the folder or archive of
            ``market1501_body_point``; the run of a pose network; or a network with heat maps of OpenPose's joints,
            ``.xml`` or ``.onnx``.

    Raises:
        DatasetLayoutError: if the joints are not there.
    """
    height, width = size
    canonical = shipped_canonical_poses() if by == "pose" else None
    cutter = PartCutter(by=by, overlap=overlap, align=align, size=(height // 4, width), canonical=canonical)
    return PartMaker(cutter, cached(pose_estimator(poses, source), source) if by == "pose" else None)


def pose_estimator(poses: str, source: Source) -> PoseEstimator:
    """Who knows the joints of a source's pictures, by what ``poses`` says (see :func:`part_maker`).

    Where ``auto`` falls to the network, a line of the log (which Python prints, if nobody asked for more) says so.
    """
    if poses == AUTO:
        poses = _own_or_network(source)
        if poses == NETWORK:
            _say_network(str(source.root))
    if poses in (OWN, NETWORK):
        return synthetic_poses(source) if poses == OWN else _shipped()
    path = Path(poses).expanduser()
    if path.suffix.lower() == ".json":
        if not path.is_file():
            raise DatasetLayoutError(f"{path} does not exist; give a JSON of COCO keypoints")
        return coco_poses(path.read_bytes(), origin=str(path))
    if path.suffix.lower() in _NETWORKS:
        return openvino_pose_estimator(path)
    if _is_run(path):
        return NetworkPoseEstimator(load_pose_network(path))
    return market_poses(open_place(poses), source.names())


def joints_in_words(poses: str, source: Source) -> str:
    """Whose joints :func:`pose_estimator` will use, for a report."""
    if poses == AUTO:
        poses = _own_or_network(source)
    return _WORDS.get(poses, poses)


def joints_origin(poses: str, source: Source) -> JointsOrigin:
    """Whose joints :func:`pose_estimator` will use, to be compared with other joints later.

    Raises:
        WeightsError: if a network was named that is not there.
    """
    if poses == AUTO:
        poses = _own_or_network(source)
    if poses == OWN:
        return JointsOrigin(OWN)
    if poses == NETWORK:
        return JointsOrigin(NETWORK, _shipped().fingerprint[:16])
    path = Path(poses).expanduser().resolve()
    if path.suffix.lower() in _NETWORKS:
        return JointsOrigin(str(path), fingerprint(path)[:16])
    if _is_run(path):
        return JointsOrigin(str(path), NetworkPoseEstimator(load_pose_network(path)).fingerprint[:16])
    return JointsOrigin(from_anywhere(poses))


def _is_run(path: Path) -> bool:
    """Finished or not: a folder of body points has neither file."""
    return (path / ABOUT).is_file() or (path / CONFIG).is_file()


def _own_or_network(source: Source) -> str:
    return OWN if has_joints(source) else NETWORK


@cache
def _say_network(root: str) -> None:
    """Once for each place."""
    _LOG.warning(
        "%s has no joints of its own: the pose network of this package, which was trained on drawn people, finds them "
        "(--poses or parts.poses names annotations instead; 'network' says that this is meant)",
        root,
    )


@cache
def _shipped() -> NetworkPoseEstimator:
    return shipped_pose_estimator()
