"""Parts for models that ask for them: who knows the joints, said as a word or a path."""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path

from passerby.data.keypoints.cache import cached
from passerby.data.keypoints.canonical import shipped_canonical_poses
from passerby.data.keypoints.crops import By, PartCutter, PartMaker
from passerby.data.keypoints.estimator import PoseEstimator
from passerby.data.keypoints.files import coco_keypoints, has_keypoints, market_keypoints, own_keypoints
from passerby.data.keypoints.origin import _WORDS, AUTO, NETWORK, OWN, KeypointOrigin
from passerby.data.keypoints.regions import OVERLAP
from passerby.data.registry import absolute_spec, open_place
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
    keypoints: str = AUTO,
) -> PartMaker:
    """What cuts the pictures of ``source``, resized to ``size`` (height, width), into parts a quarter as high.

    Joints that are work to find are kept (:mod:`passerby.data.keypoints.cache`).

    Args:
        by: ``pose``, or ``strips`` that need none.
        overlap: β as a part of the body's height.
        align: cut the whole body by pose too.
        keypoints: ``auto``, ``own`` or ``network``; a ``.json`` of COCO keypoints; the folder or archive of
            ``market1501_body_point``; the run of a pose network; or a network with heat maps of OpenPose's joints,
            ``.xml`` or ``.onnx``.

    Raises:
        DatasetLayoutError: if the joints are not there.
    """
    height, width = size
    canonical = shipped_canonical_poses() if by == "pose" else None
    cutter = PartCutter(by=by, overlap=overlap, align=align, size=(height // 4, width), canonical=canonical)
    return PartMaker(cutter, cached(pose_estimator(keypoints, source), source) if by == "pose" else None)


def pose_estimator(keypoints: str, source: Source) -> PoseEstimator:
    """Who knows the joints of a source's pictures, by what ``keypoints`` says (see :func:`part_maker`).

    Where ``auto`` falls to the network, a line of the log (which Python prints, if nobody asked for more) says so.
    """
    if keypoints == AUTO:
        keypoints = _own_or_network(source)
        if keypoints == NETWORK:
            _warn_network_keypoints(str(source.root))
    if keypoints in (OWN, NETWORK):
        return own_keypoints(source) if keypoints == OWN else _shipped()
    path = Path(keypoints).expanduser()
    if path.suffix.lower() == ".json":
        if not path.is_file():
            raise DatasetLayoutError(f"{path} does not exist; give a JSON of COCO keypoints")
        return coco_keypoints(path.read_bytes(), origin=str(path))
    if path.suffix.lower() in _NETWORKS:
        return openvino_pose_estimator(path)
    if _is_run(path):
        return NetworkPoseEstimator(load_pose_network(path))
    return market_keypoints(open_place(keypoints), source.names())


def describe_keypoints(keypoints: str, source: Source) -> str:
    """Whose joints :func:`pose_estimator` will use, for a report."""
    if keypoints == AUTO:
        keypoints = _own_or_network(source)
    return _WORDS.get(keypoints, keypoints)


def keypoint_origin(keypoints: str, source: Source) -> KeypointOrigin:
    """Whose joints :func:`pose_estimator` will use, to be compared with other joints later.

    Raises:
        WeightsError: if a network was named that is not there.
    """
    if keypoints == AUTO:
        keypoints = _own_or_network(source)
    if keypoints == OWN:
        return KeypointOrigin(OWN)
    if keypoints == NETWORK:
        return KeypointOrigin(NETWORK, _shipped().fingerprint[:16])
    path = Path(keypoints).expanduser().resolve()
    if path.suffix.lower() in _NETWORKS:
        return KeypointOrigin(str(path), fingerprint(path)[:16])
    if _is_run(path):
        return KeypointOrigin(str(path), NetworkPoseEstimator(load_pose_network(path)).fingerprint[:16])
    return KeypointOrigin(absolute_spec(keypoints))


def _is_run(path: Path) -> bool:
    """Finished or not: a folder of body points has neither file."""
    return (path / ABOUT).is_file() or (path / CONFIG).is_file()


def _own_or_network(source: Source) -> str:
    return OWN if has_keypoints(source) else NETWORK


@cache
def _warn_network_keypoints(root: str) -> None:
    """Once for each place."""
    _LOG.warning(
        "%s has no joints of its own: the pose network of this package, which was trained on drawn people, finds them "
        "(--poses or parts.keypoints names annotations instead; 'network' says that this is meant)",
        root,
    )


@cache
def _shipped() -> NetworkPoseEstimator:
    return shipped_pose_estimator()
