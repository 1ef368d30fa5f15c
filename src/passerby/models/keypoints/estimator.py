"""The pose network as a :class:`~passerby.data.keypoints.estimator.PoseEstimator`, and its file format.

A folder holds a pose network as ``model.safetensors`` (matrices in half precision) and ``model.json`` (its size and
origin). One is shipped with the package; a run of ``passerby train pose`` writes the same two files.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from jaxtyping import UInt8
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional as F

from passerby.data.images.normalize import normalize_images
from passerby.data.keypoints.estimator import Keypoints
from passerby.data.keypoints.skeleton import KEYPOINT_NAMES
from passerby.errors import ShapeError, WeightsError
from passerby.files import atomic_write
from passerby.models.keypoints.decode import decode_keypoints, mean_scores, mirror_scores, probabilities
from passerby.models.keypoints.network import PoseNetwork
from passerby.weights.load import digest, load_weights

SHIPPED = Path(__file__).parent / "shipped"
"""The network that comes with the package, trained on synthetic pedestrians."""
WEIGHTS, ABOUT = "model.safetensors", "model.json"
CONFIG = "config.json"
"""The file that a training run of a pose network writes at its start; the others come at its end."""
KIND = "pose"
REVISION = 1
"""A version, increased when the same weights give other keypoints: cached ones are then estimated again."""


class NetworkPoseEstimator:
    """A :class:`~passerby.data.keypoints.estimator.PoseEstimator` that runs a pose network on the pixels.

    Args:
        flip_tta: average with the mirrored image: more accurate, at twice the time.
        batch_size: number of images per forward pass.
    """

    def __init__(self, network: PoseNetwork, *, flip_tta: bool = True, batch_size: int = 64) -> None:
        self.network, self.flip_tta, self.batch_size = network.eval(), flip_tta, batch_size

    @cached_property
    def fingerprint(self) -> str:
        """A hex digest of the weights and of how they are used: other digests mean other keypoints."""
        return digest(self.network, f"{KIND}{REVISION}{self.network.size}{self.flip_tta}")

    def __call__(self, names: Sequence[str], images: UInt8[Tensor, "b 3 h w"]) -> Keypoints:
        """Return the keypoints of the people in ``images``, of any size; ``names`` are not used.

        Raises:
            ShapeError: if there are more or fewer names than images.
        """
        if len(names) != len(images):
            raise ShapeError(f"got {len(names)} names but {len(images)} images, expected one name per image")
        found = (
            [self._estimate(part) for part in images.split(self.batch_size)] if len(images) else [(torch.empty(0),) * 2]
        )
        keypoints, confidence = (torch.cat(parts).cpu() for parts in zip(*found, strict=True))
        n, k = len(images), len(KEYPOINT_NAMES)
        return Keypoints(keypoints.reshape(n, k, 2).numpy(), confidence.reshape(n, k).numpy())

    @torch.inference_mode()
    def _estimate(self, images: Tensor) -> tuple[Tensor, Tensor]:
        prepared = self._prepare(images)
        found = probabilities(self.network(prepared))
        if self.flip_tta:
            found = mean_scores(found, mirror_scores(probabilities(self.network(prepared.flip(-1)))))
        return decode_keypoints(found)

    def _prepare(self, images: Tensor) -> Tensor:
        """Return images resized and normalized, on the network's device."""
        pixels = images.to(next(self.network.parameters()).device)
        if tuple(pixels.shape[2:]) != self.network.size:
            pixels = F.interpolate(pixels.float(), self.network.size, mode="bilinear", antialias=True)
        return normalize_images(pixels).contiguous(memory_format=torch.channels_last)


def shipped_pose_estimator(*, flip_tta: bool = True) -> NetworkPoseEstimator:
    """Load the estimator that comes with the package; nothing is downloaded.

    Raises:
        WeightsError: if the package was built without its weights.
    """
    return NetworkPoseEstimator(load_pose_network(SHIPPED), flip_tta=flip_tta)


def load_pose_network(folder: str | Path = SHIPPED) -> PoseNetwork:
    """Load the pose network of a folder: the shipped one, or that of a run of ``passerby train pose``.

    Raises:
        WeightsError: if there is none, or its files do not fit together.
    """
    about_file = Path(folder) / ABOUT
    try:
        about = json.loads(about_file.read_text())
        height, width = (_whole(side, 16, 4096) for side in about["size"])
        if about["model"] != KIND:
            raise WeightsError(
                f"{folder} holds the model {about['model']!r}, expected {KIND!r}. Fix: give a run of `train pose`"
            )
        with torch.random.fork_rng():  # initial weights are drawn, and then replaced
            channels, bins = _whole(about["width"], 1, 1024), _whole(about["bins"], 1, 64)
            network = PoseNetwork(size=(height, width), width=channels, bins=bins)
    except FileNotFoundError:
        if (Path(folder) / CONFIG).is_file():
            raise WeightsError(
                f"{folder} is an unfinished run (no {ABOUT}). Fix: finish it with `passerby train --resume {folder}`"
            ) from None
        raise WeightsError(
            f"{folder} holds no pose network (no {ABOUT}). Fix: train one with `passerby train pose --data pedestrians`"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:  # RecursionError is a RuntimeError
        raise WeightsError(f"{about_file} is damaged ({error!r}). Fix: copy or train the network again") from None
    load_weights(network, Path(folder) / WEIGHTS)
    return network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _whole(value: object, low: int, high: int) -> int:
    """Return a whole number within bounds.

    Raises:
        ValueError: if it is something else.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"got {value!r}, expected a whole number from {low} to {high}")
    return value


def save_pose_network(network: PoseNetwork, folder: str | Path, about: dict[str, Any]) -> None:
    """Write the files that :func:`load_pose_network` reads: first the weights, then the JSON that completes them.

    Args:
        about: further entries of the JSON: how, and on which data, the network was trained.
    """
    with atomic_write(Path(folder) / WEIGHTS) as partial:
        partial.write_bytes(save({name: _for_storage(tensor) for name, tensor in network.state_dict().items()}))
    size = {"size": list(network.size), "width": network.width, "bins": network.bins}
    with atomic_write(Path(folder) / ABOUT) as partial:
        partial.write_text(json.dumps({"model": KIND, **size, **about}, indent=2) + "\n")


def _for_storage(tensor: Tensor) -> Tensor:
    """Return matrices in half precision; statistics and biases, which are few, unchanged."""
    kept = tensor.half() if tensor.is_floating_point() and tensor.ndim > 1 else tensor
    return kept.detach().cpu().contiguous()
