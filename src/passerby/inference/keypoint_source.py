"""Body parts for models that see them: the keypoint source, named by a word or a path, and the cutter."""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path

from passerby.data.keypoints.cache import cached
from passerby.data.keypoints.canonical import shipped_canonical_poses
from passerby.data.keypoints.crops import By, PartCutter, PartMaker
from passerby.data.keypoints.estimator import PoseEstimator
from passerby.data.keypoints.files import coco_keypoints, has_keypoints, market_keypoints, own_keypoints
from passerby.data.keypoints.origin import AUTO, DESCRIPTIONS, NETWORK, OWN, KeypointOrigin
from passerby.data.keypoints.regions import OVERLAP, Head
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
    head: Head = "neck",
    align: bool = True,
    keypoints: str = AUTO,
) -> PartMaker:
    """Return what cuts the images of ``source``, resized to ``size`` (height, width), into parts a quarter as high.

    Keypoints that a network finds are cached (:mod:`passerby.data.keypoints.cache`).

    Args:
        by: ``pose``, or ``strips``, which need no keypoints.
        overlap: β, as a share of the body's height.
        head: whether the head reaches to the ``neck``, or is the ``face`` alone.
        align: cut the whole body by pose too.
        keypoints: ``auto``, ``own`` or ``network``; a ``.json`` of COCO keypoints; the folder or archive of
            ``market1501_body_point``; the run of a pose network; or a network with heat maps of OpenPose's keypoints,
            ``.xml`` or ``.onnx``.

    Raises:
        DatasetLayoutError: if the keypoints do not exist.
    """
    height, width = size
    canonical = shipped_canonical_poses() if by == "pose" else None
    cutter = PartCutter(by=by, overlap=overlap, head=head, align=align, size=(height // 4, width), canonical=canonical)
    return PartMaker(cutter, cached(pose_estimator(keypoints, source), source) if by == "pose" else None)


def pose_estimator(keypoints: str, source: Source) -> PoseEstimator:
    """Return what finds the keypoints of a source's images, named as for :func:`part_maker`.

    Where ``auto`` stands for the network, a warning says so.
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
            raise DatasetLayoutError(f"'{path}' does not exist, expected a JSON of COCO keypoints. Fix: give its path")
        return coco_keypoints(path.read_bytes(), origin=str(path))
    if path.suffix.lower() in _NETWORKS:
        return openvino_pose_estimator(path)
    if _is_run(path):
        return NetworkPoseEstimator(load_pose_network(path))
    return market_keypoints(open_place(keypoints), source.names())


def describe_keypoints(keypoints: str, source: Source) -> str:
    """Return the keypoints that :func:`pose_estimator` will use, in words, for a report."""
    if keypoints == AUTO:
        keypoints = _own_or_network(source)
    return DESCRIPTIONS.get(keypoints, keypoints)


def keypoint_origin(keypoints: str, source: Source) -> KeypointOrigin:
    """Return the keypoints that :func:`pose_estimator` will use, to be compared with others later.

    Raises:
        WeightsError: if a network is named that does not exist.
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
    """Return whether a folder is a run, finished or not; a folder of body points has neither file."""
    return (path / ABOUT).is_file() or (path / CONFIG).is_file()


def _own_or_network(source: Source) -> str:
    return OWN if has_keypoints(source) else NETWORK


@cache
def _warn_network_keypoints(root: str) -> None:
    """Warn once for each place."""
    _LOG.warning(
        "%s has no keypoints of its own: the pose network of this package, which was trained on synthetic pedestrians, "
        "finds them (--keypoints or parts.keypoints names annotations instead; 'network' silences this warning)",
        root,
    )


@cache
def _shipped() -> NetworkPoseEstimator:
    return shipped_pose_estimator()
