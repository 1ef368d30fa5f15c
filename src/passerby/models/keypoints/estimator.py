"""The pose network as a :class:`~passerby.data.keypoints.estimator.PoseEstimator`, and its file format.

A folder holds a pose network as ``model.safetensors`` (matrices in half precision) and ``model.json`` (its size and
where it comes from). One is shipped with the package; a run of ``passerby train pose`` leaves the same two files.
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

from passerby.data.images.augment import normalize_images
from passerby.data.keypoints.estimator import Keypoints
from passerby.data.keypoints.skeleton import KEYPOINT_NAMES
from passerby.errors import ShapeError, WeightsError
from passerby.files import atomic_write
from passerby.models.keypoints.decode import decode_keypoints, mean_scores, mirror_scores, probabilities
from passerby.models.keypoints.network import PoseNetwork
from passerby.weights.load import digest, load_weights

SHIPPED = Path(__file__).parent / "shipped"
"""The network that comes with the package, trained on people who do not exist."""
WEIGHTS, ABOUT = "model.safetensors", "model.json"
CONFIG = "config.json"
"""What the run of a network has from its beginning; the others come at its end."""
KIND = "pose"
REVISION = 1
"""Counts up when the same weights give other joints: those that were kept are found again then."""


class NetworkPoseEstimator:
    """A :class:`~passerby.data.keypoints.estimator.PoseEstimator` that looks at the pixels.

    Args:
        flip: average with the mirrored picture: more are right, at twice the time.
        batch: pictures that pass the network at once.
    """

    def __init__(self, network: PoseNetwork, *, flip: bool = True, batch: int = 64) -> None:
        self.network, self.flip, self.batch = network.eval(), flip, batch

    @cached_property
    def fingerprint(self) -> str:
        """Hex digits that differ where weights, or what is done with them, do: joints of others are not the same."""
        return digest(self.network, f"{KIND}{REVISION}{self.network.size}{self.flip}")

    def __call__(self, names: Sequence[str], images: UInt8[Tensor, "b 3 h w"]) -> Keypoints:
        """The joints of the people in ``images``, of any size; ``names`` are not looked at.

        Raises:
            ShapeError: if there are more or fewer names than pictures.
        """
        if len(names) != len(images):
            raise ShapeError(f"{len(names)} names but {len(images)} pictures: one name a picture is needed")
        found = [self._estimate(part) for part in images.split(self.batch)] if len(images) else [(torch.empty(0),) * 2]
        keypoints, confidence = (torch.cat(parts).cpu() for parts in zip(*found, strict=True))
        n, j = len(images), len(KEYPOINT_NAMES)
        return Keypoints(keypoints.reshape(n, j, 2).numpy(), confidence.reshape(n, j).numpy())

    @torch.inference_mode()
    def _estimate(self, images: Tensor) -> tuple[Tensor, Tensor]:
        pictures = self._prepared(images)
        found = probabilities(self.network(pictures))
        if self.flip:
            found = mean_scores(found, mirror_scores(probabilities(self.network(pictures.flip(-1)))))
        return decode_keypoints(found)

    def _prepared(self, images: Tensor) -> Tensor:
        """Resized, normalized, on the network's device."""
        pixels = images.to(next(self.network.parameters()).device)
        if tuple(pixels.shape[2:]) != self.network.size:
            pixels = F.interpolate(pixels.float(), self.network.size, mode="bilinear", antialias=True)
        return normalize_images(pixels).contiguous(memory_format=torch.channels_last)


def shipped_pose_estimator(*, flip: bool = True) -> NetworkPoseEstimator:
    """The estimator that comes with the package; nothing is downloaded.

    Raises:
        WeightsError: if the package was built without its weights.
    """
    return NetworkPoseEstimator(load_pose_network(SHIPPED), flip=flip)


def load_pose_network(folder: str | Path = SHIPPED) -> PoseNetwork:
    """The pose network in a folder: the shipped one, or that of a run of ``passerby train pose``.

    Raises:
        WeightsError: if there is none, or its files do not fit together.
    """
    about_file = Path(folder) / ABOUT
    try:
        about = json.loads(about_file.read_text())
        height, width = (int(side) for side in about["size"])
        if about["model"] != KIND:
            raise WeightsError(f"{folder} holds the model {about['model']!r}, wanted {KIND!r}: a run of train pose")
        with torch.random.fork_rng():  # the first weights are drawn, then replaced
            network = PoseNetwork(size=(height, width), width=int(about["width"]), bins=int(about["bins"]))
    except FileNotFoundError:
        if (Path(folder) / CONFIG).is_file():
            raise WeightsError(
                f"{folder} is a run that is not finished (no {ABOUT}); finish it: passerby train --resume {folder}"
            ) from None
        raise WeightsError(
            f"{folder} holds no pose network (no {ABOUT}); train one: passerby train pose --data pedestrians"
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{about_file} is damaged ({error!r}); fetch or train the network again") from None
    load_weights(network, Path(folder) / WEIGHTS, minimum=1.0)
    return network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def save_pose_network(network: PoseNetwork, folder: str | Path, about: dict[str, Any]) -> None:
    """Write a network as :func:`load_pose_network` reads it: first the weights, then the JSON that completes them.

    Args:
        about: whatever else a reader shall know: how and on what it was trained.
    """
    with atomic_write(Path(folder) / WEIGHTS) as partial:
        partial.write_bytes(save({name: _stored(tensor) for name, tensor in network.state_dict().items()}))
    size = {"size": list(network.size), "width": network.width, "bins": network.bins}
    with atomic_write(Path(folder) / ABOUT) as partial:
        partial.write_text(json.dumps({"model": KIND, **size, **about}, indent=2) + "\n")


def _stored(tensor: Tensor) -> Tensor:
    """Matrices in half precision; statistics and biases, which are few, as they are."""
    kept = tensor.half() if tensor.is_floating_point() and tensor.ndim > 1 else tensor
    return kept.detach().cpu().contiguous()
