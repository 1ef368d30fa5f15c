"""Pictures with their joints, in memory: what a pose network is trained on and measured with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from torch import Tensor

from passerby.data.decode import decode, read_batches, to_tensor
from passerby.data.pedestrians.annotations import SETTINGS
from passerby.data.pedestrians.dataset import PedestrianSource, encode
from passerby.data.pedestrians.labels import JOINTS
from passerby.data.pose_files import CONFIDENCE, synthetic_poses
from passerby.data.source import Source
from passerby.types import Sample

Progress = Callable[[int], object]
MARKS = {
    "hip": ("knee", 0.11),
    "ankle": ("knee", 0.10),
    "knee": ("hip", 0.04),
    "wrist": ("elbow", 0.12),
    "elbow": ("shoulder", 0.07),
}
"""Where annotators of photographs mark what cannot be seen: the hip where the leg leaves the trunk, the ankle above the
shoe, the wrist above the hand. Shares of the way from the middle of the joint, which drawn people have, to the next
one. On drawn people a network trained on photographs (OpenVINO's) marks hips lower and the others higher by as much.
"""


@dataclass(frozen=True, eq=False)
class PoseSet:
    """Pictures of people whose joints are known."""

    images: UInt8[Tensor, "n 3 h w"]
    joints: Float[Tensor, "n 18 2"]
    """x, y as fractions of width and height."""
    sure: Float[Tensor, "n 18"]
    """0: not in the picture, its place has no meaning; 0.5: hidden; 1: seen (:data:`.pose_files.CONFIDENCE`)."""

    def __len__(self) -> int:
        return len(self.images)


def read_pose_set(
    source: Source,
    samples: Sequence[Sample],
    size: tuple[int, int],
    *,
    threads: int = 2,
    progress: Progress | None = None,
) -> PoseSet:
    """Pictures of ``size`` and joints of samples, from a drawn set or one with a ``keypoints.json``.

    A set that is drawn on demand is drawn once for both, by one process: write a large one to disk before
    (``passerby data synthesize``, which takes ``--workers``).

    Raises:
        DatasetLayoutError: if the joints of a picture are not known.
    """
    if isinstance(source, PedestrianSource):
        parts = _drawn(source, samples, size)
    else:
        parts = _read(source, samples, size, threads)
    images = torch.empty((len(samples), 3, *size), dtype=torch.uint8)
    tables = torch.zeros(len(samples), len(JOINTS), 3)
    done = 0
    for pictures, known in parts:
        now = slice(done, done + len(pictures))
        images[now], tables[now] = pictures, torch.from_numpy(known)
        done += len(pictures)
        if progress:
            progress(len(pictures))
    joints, sure = tables[..., :2].contiguous(), tables[..., 2].contiguous()
    return PoseSet(images, marked(joints, sure) if _is_drawn(source) else joints, sure)


def marked(joints: Float[Tensor, "n 18 2"], sure: Float[Tensor, "n 18"]) -> Float[Tensor, "n 18 2"]:
    """Drawn people's joints where annotators of photographs would mark them (:data:`MARKS`)."""
    new = joints.clone()
    for side in ("right", "left"):
        for name, (towards, share) in MARKS.items():
            here, there = JOINTS.index(f"{side}_{name}"), JOINTS.index(f"{side}_{towards}")
            both = ((sure[:, here] > 0) & (sure[:, there] > 0))[:, None]  # places outside have no meaning
            new[:, here] += torch.where(both, share * (joints[:, there] - joints[:, here]), 0.0)
    return new


def _is_drawn(source: Source) -> bool:
    return isinstance(source, PedestrianSource) or SETTINGS in source.names()


Part = tuple[Tensor, NDArray[np.float32]]
"""Pictures ``(k, 3, h, w)`` and joints ``(k, 18, 3)``: x, y, how sure."""


def _drawn(source: PedestrianSource, samples: Sequence[Sample], size: tuple[int, int]) -> Iterator[Part]:
    for sample in samples:
        shot = source.world.shot(*source.index[sample.path])
        picture = to_tensor(decode(encode(shot), name=sample.path), size)
        extent = np.array(source.settings.size[::-1], np.float32)
        sure = np.array([CONFIDENCE[int(code)] for code in shot.labels.visibility], np.float32)
        yield picture[None], np.column_stack([shot.labels.joints / extent, sure])[None]


def _read(source: Source, samples: Sequence[Sample], size: tuple[int, int], threads: int) -> Iterator[Part]:
    poses = synthetic_poses(source)([sample.path for sample in samples])  # refuses before the pictures are read
    tables = np.concatenate([poses.joints, poses.confidence[..., None]], axis=-1)
    done = 0
    for pictures in read_batches(source, samples, size, batch_size=256, threads=threads):
        yield pictures, tables[done : done + len(pictures)]
        done += len(pictures)
