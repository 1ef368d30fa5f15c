"""Pose networks that a user brings: any that turns pictures into a heat map for each of OpenPose's 18 joints.

OpenPose (Cao et al., "Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields", CVPR 2017) and its
lightweight kin, such as OpenVINO's ``human-pose-estimation-0001``, give 18 maps of joints, in the order that this
project uses, and one of the background. A picture here shows one person, so that a joint is the highest place of its
map, magnified fourfold; part affinity fields, which tell several people apart, are not needed.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from passerby.data.keypoints.estimator import Keypoints
from passerby.data.keypoints.skeleton import KEYPOINT_NAMES
from passerby.errors import ConfigError, ShapeError, WeightsError

Runner = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Pictures ``(b, 3, h, w)``, BGR from 0 to 255 → maps ``(b, 18 or more, h', w')``."""
MAGNIFIED = 4
SIZE = (256, 128)
"""(height, width) that a network is set to."""
REVISION = 1
"""Counts up when the same network gives other joints: those that were kept are found again then."""


class HeatmapPoseEstimator:
    """A :class:`~passerby.data.keypoints.estimator.PoseEstimator` around a network with heat maps.

    Args:
        run: the network.
        size: (height, width) of the pictures that it is given; small ones are enlarged.
        batch: pictures that pass at once.
        fingerprint: hex digits that differ where the network, or what is done with it, does (:func:`fingerprint`); its
            joints are kept under them (:mod:`passerby.data.keypoints.cache`), and not at all without.
    """

    def __init__(self, run: Runner, *, size: tuple[int, int], batch: int = 1, fingerprint: str | None = None) -> None:
        self.run, self.size, self.batch, self.fingerprint = run, size, batch, fingerprint

    def __call__(self, names: Sequence[str], images: UInt8[Tensor, "b 3 h w"]) -> Keypoints:
        """The joints of the people in ``images``, of any size; ``names`` are not looked at.

        Raises:
            ShapeError: if there are more or fewer names than pictures, or the network has no map for each joint.
        """
        if len(names) != len(images):
            raise ShapeError(f"{len(names)} names but {len(images)} pictures: one name a picture is needed")
        keypoints = np.zeros((len(images), len(KEYPOINT_NAMES), 2), np.float32)
        confidence = np.zeros((len(images), len(KEYPOINT_NAMES)), np.float32)
        for first in range(0, len(images), self.batch):
            now = slice(first, first + self.batch)
            keypoints[now], confidence[now] = heatmap_peaks(self._maps(images[now]))
        return Keypoints(keypoints, confidence)

    def _maps(self, images: Tensor) -> Float[Tensor, "b 18 i j"]:
        pixels = F.interpolate(images.float(), self.size, mode="bicubic", antialias=True).clamp(0, 255)
        maps = torch.from_numpy(np.asarray(self.run(pixels.flip(1).contiguous().numpy()), np.float32))
        if maps.ndim != 4 or len(maps) != len(images) or maps.shape[1] < len(KEYPOINT_NAMES):
            raise ShapeError(
                f"the network gave {tuple(maps.shape)} for {len(images)} pictures; wanted heat maps ({len(images)}, "
                f"{len(KEYPOINT_NAMES)} or more, height, width): a network of OpenPose's {len(KEYPOINT_NAMES)} joints"
            )
        return maps[:, : len(KEYPOINT_NAMES)]


def heatmap_peaks(maps: Float[Tensor, "b j h w"]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The highest place of each map, as fractions of its width and height, and how high it is, within [0, 1]."""
    fine = F.interpolate(maps, scale_factor=float(MAGNIFIED), mode="bicubic", align_corners=False)
    height, width = fine.shape[2:]
    best, at = fine.flatten(2).max(-1)
    places = torch.stack([(at % width + 0.5) / width, (at // width + 0.5) / height], dim=-1)
    return places.numpy(), best.clamp(0, 1).numpy()


def fingerprint(path: str | Path, *, size: tuple[int, int] = SIZE) -> str:
    """Hex digits that differ where the files of a network do, or what :func:`openvino_pose_estimator` makes of them.

    Beside an ``.xml`` that is its ``.bin``; beside an ``.onnx`` whatever begins with its name, such as ``.onnx.data``.

    Raises:
        WeightsError: if there is no such file, or it cannot be read.
    """
    file = _existing(path)
    beside = [file.with_suffix(".bin")] if file.suffix.lower() == ".xml" else file.parent.glob(f"{file.name}?*")
    digest = hashlib.sha256(f"heat maps {REVISION} {size} {MAGNIFIED}".encode())
    try:
        for part in (file, *sorted(part for part in beside if part.is_file())):
            digest.update(hashlib.sha256(part.read_bytes()).digest())
    except OSError as error:
        raise WeightsError(f"cannot read {file} ({error.strerror or error}); make it readable") from None
    return digest.hexdigest()


def openvino_pose_estimator(path: str | Path, *, size: tuple[int, int] = SIZE) -> HeatmapPoseEstimator:
    """A network in OpenVINO's format (``.xml`` with its ``.bin``) or in ONNX, run by the package ``openvino``.

    Args:
        size: (height, width) that the network is set to.

    Raises:
        ConfigError: if the package is not installed.
        WeightsError: if the file is no network, or none that takes pictures of that size and gives heat maps.
    """
    try:
        openvino = importlib.import_module("openvino")
    except ImportError:
        raise ConfigError(f"{path} is run by the package openvino: pip install 'passerby[openvino]'") from None
    _existing(path)
    try:
        core = openvino.Core()
        model = core.read_model(str(path))
        model.reshape([1, 3, *size])
        compiled = core.compile_model(model, "CPU")
    except RuntimeError as error:
        raise WeightsError(f"{path} cannot be run on pictures of {size} ({str(error).splitlines()[0]})") from None
    maps = [output for output in compiled.outputs if _is_heatmaps(output)]
    if len(maps) != 1:
        shapes = ", ".join(str(output.partial_shape) for output in compiled.outputs)
        raise WeightsError(
            f"{path} gives {shapes}; wanted one output of {len(KEYPOINT_NAMES)} or {len(KEYPOINT_NAMES) + 1} maps"
        )
    return HeatmapPoseEstimator(
        lambda pictures: compiled(pictures)[maps[0]], size=size, fingerprint=fingerprint(path, size=size)
    )


def _existing(path: str | Path) -> Path:
    file = Path(path).expanduser()
    if not file.is_file():
        raise WeightsError(f"no network at {path}; give an .xml (with its .bin beside it) or .onnx file")
    return file


def _is_heatmaps(output: object) -> bool:
    shape = list(getattr(output, "partial_shape", ()))
    return len(shape) == 4 and str(shape[1]) in (str(len(KEYPOINT_NAMES)), str(len(KEYPOINT_NAMES) + 1))
