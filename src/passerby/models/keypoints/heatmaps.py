"""A user's own pose network: any that turns images into one heat map for each of OpenPose's 18 keypoints.

OpenPose (Cao et al., "Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields", CVPR 2017) and its
lightweight variants, such as OpenVINO's ``human-pose-estimation-0001``, give 18 keypoint maps, in the order that this
project uses, and one of the background. An image here shows one person, so a keypoint is the maximum of its
map, magnified fourfold; part affinity fields, which separate several people, are not needed.
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
"""A network: images ``(b, 3, h, w)``, BGR from 0 to 255 → maps ``(b, 18 or more, h', w')``."""
MAGNIFIED = 4
"""The factor by which maps are enlarged before their maximum is taken."""
SIZE = (256, 128)
"""The input size, as (height, width), that a network is set to."""
REVISION = 1
"""A version, increased when the same network gives other keypoints: cached ones are then estimated again."""


class HeatmapPoseEstimator:
    """A :class:`~passerby.data.keypoints.estimator.PoseEstimator` around a network with heat maps.

    Args:
        run: the network.
        size: input size of the network, as (height, width); images are resized to it.
        batch_size: number of images per forward pass.
        fingerprint: hex digest of the network and of how it is used (:func:`fingerprint`), under which its keypoints
            are cached (:mod:`passerby.data.keypoints.cache`); ``None``: they are not cached.
    """

    def __init__(
        self, run: Runner, *, size: tuple[int, int], batch_size: int = 1, fingerprint: str | None = None
    ) -> None:
        self.run, self.size, self.batch_size, self.fingerprint = run, size, batch_size, fingerprint

    def __call__(self, names: Sequence[str], images: UInt8[Tensor, "b 3 h w"]) -> Keypoints:
        """Return the keypoints of the people in ``images``, of any size; ``names`` are not used.

        Raises:
            ShapeError: if there are more or fewer names than images, or the network lacks a map for a keypoint.
        """
        if len(names) != len(images):
            raise ShapeError(f"got {len(names)} names but {len(images)} images, expected one name per image")
        keypoints = np.zeros((len(images), len(KEYPOINT_NAMES), 2), np.float32)
        confidence = np.zeros((len(images), len(KEYPOINT_NAMES)), np.float32)
        for first in range(0, len(images), self.batch_size):
            rows = slice(first, first + self.batch_size)
            keypoints[rows], confidence[rows] = heatmap_peaks(self._maps(images[rows]))
        return Keypoints(keypoints, confidence)

    def _maps(self, images: Tensor) -> Float[Tensor, "b 18 i j"]:
        pixels = F.interpolate(images.float(), self.size, mode="bicubic", antialias=True).clamp(0, 255)
        maps = torch.from_numpy(np.asarray(self.run(pixels.flip(1).contiguous().numpy()), np.float32))
        if maps.ndim != 4 or len(maps) != len(images) or maps.shape[1] < len(KEYPOINT_NAMES):
            raise ShapeError(
                f"the network gave {tuple(maps.shape)} for {len(images)} images, expected heat maps ({len(images)}, "
                f"{len(KEYPOINT_NAMES)} or more, height, width). Fix: use a network of OpenPose's keypoints"
            )
        return maps[:, : len(KEYPOINT_NAMES)]


def heatmap_peaks(maps: Float[Tensor, "b k h w"]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the maximum of each map: its position as fractions of width and height, and its value, within [0, 1]."""
    fine = F.interpolate(maps, scale_factor=float(MAGNIFIED), mode="bicubic", align_corners=False)
    height, width = fine.shape[2:]
    best, at = fine.flatten(2).max(-1)
    positions = torch.stack([(at % width + 0.5) / width, (at // width + 0.5) / height], dim=-1)
    return positions.numpy(), best.clamp(0, 1).numpy()


def fingerprint(path: str | Path, *, size: tuple[int, int] = SIZE) -> str:
    """Return a hex digest of the files of a network and of how :func:`openvino_pose_estimator` uses them.

    The files are an ``.xml`` and its ``.bin``, or an ``.onnx`` and all files whose names begin with its name, such as
    ``.onnx.data``.

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
        raise WeightsError(f"{file} cannot be read ({error.strerror or error}). Fix: make it readable") from None
    return digest.hexdigest()


def openvino_pose_estimator(path: str | Path, *, size: tuple[int, int] = SIZE) -> HeatmapPoseEstimator:
    """Load a network in OpenVINO's format (``.xml`` with its ``.bin``) or in ONNX, run by the package ``openvino``.

    Args:
        size: input size, as (height, width), that the network is set to.

    Raises:
        ConfigError: if the package is not installed.
        WeightsError: if the file is not a network, or not one that takes images of that size and gives heat maps.
    """
    try:
        openvino = importlib.import_module("openvino")
    except ImportError:
        raise ConfigError(f"{path} needs the package openvino. Fix: pip install 'passerby[openvino]'") from None
    _existing(path)
    try:
        core = openvino.Core()
        model = core.read_model(str(path))
        model.reshape([1, 3, *size])
        compiled = core.compile_model(model, "CPU")
    except RuntimeError as error:
        raise WeightsError(f"{path} cannot be run on images of {size} ({str(error).splitlines()[0]})") from None
    maps = [output for output in compiled.outputs if _is_heatmaps(output)]
    if len(maps) != 1:
        shapes = ", ".join(str(output.partial_shape) for output in compiled.outputs)
        raise WeightsError(
            f"{path} gives {shapes}, expected one output of {len(KEYPOINT_NAMES)} or {len(KEYPOINT_NAMES) + 1} maps. "
            "Fix: give such a network"
        )
    return HeatmapPoseEstimator(
        lambda images: compiled(images)[maps[0]], size=size, fingerprint=fingerprint(path, size=size)
    )


def _existing(path: str | Path) -> Path:
    file = Path(path).expanduser()
    if not file.is_file():
        raise WeightsError(f"no network at {path}. Fix: give an .xml (with its .bin beside it) or .onnx file")
    return file


def _is_heatmaps(output: object) -> bool:
    shape = list(getattr(output, "partial_shape", ()))
    return len(shape) == 4 and str(shape[1]) in (str(len(KEYPOINT_NAMES)), str(len(KEYPOINT_NAMES) + 1))
