"""Read images with their keypoints into memory, to train and measure a pose network."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from torch import Tensor

from passerby.data.datasets.layout import preview
from passerby.data.images.decode import decode, read_batches, to_tensor
from passerby.data.keypoints.files import keypoint_table, own_keypoints
from passerby.data.keypoints.skeleton import KEYPOINT_NAMES
from passerby.data.source import SETTINGS, Source
from passerby.types import Sample

Progress = Callable[[int], object]
UNLABELED = -1.0
"""The confidence of a keypoint that annotators of photos left out: COCO's 0 means 'not labeled', not 'outside'."""
MARKS = {
    "hip": ("knee", 0.11),
    "ankle": ("knee", 0.10),
    "knee": ("hip", 0.04),
    "wrist": ("elbow", 0.12),
    "elbow": ("shoulder", 0.07),
}
"""The offsets of annotated keypoints in photos, shares of the way from the joint's center to the next keypoint.

Generated people have their keypoints at the centers of joints. Annotators mark what they see: the hip where the leg
leaves the torso, the ankle above the shoe, the wrist above the hand. On generated people a network trained
on photos (OpenVINO's) marks hips lower and the others higher by as much.
"""
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class PoseSet:
    """The images of n people with their keypoints."""

    images: UInt8[Tensor, "n 3 h w"]
    keypoints: Float[Tensor, "n 18 2"]
    """The places: x, y as fractions of width and height."""
    confidence: Float[Tensor, "n 18"]
    """The confidence: 0 outside the image, place undefined; 0.5 occluded; 1 visible (:data:`.files.CONFIDENCE`).

    :data:`UNLABELED`: it is unknown whether the keypoint is in the image; its place is undefined, too.
    """

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
    """Read images and keypoints of samples, from a generated dataset or one with a ``keypoints.json``.

    A generated dataset is rendered once for both, by one process: write a large one to disk first (``passerby data
    synthesize``, which takes ``--workers``).

    A generator knows which keypoints are outside the image. Annotators of photos leave a keypoint out for any reason
    (:data:`UNLABELED`), and whole images too: those without a single keypoint are left out here, and a warning with
    their number is logged.

    Args:
        source: the source of the images.
        samples: the samples to read.
        size: the size (height, width) of the images.
        threads: the number of decoding threads.
        progress: called with the number of images after each batch.

    Raises:
        DatasetLayoutError: if the keypoints of an image are not known.
    """
    is_synthetic = _is_synthetic(source)
    if source.is_generated:
        parts = _render(source, samples, size)
    else:
        known, wanted = _known(source, samples), len(samples)
        if not is_synthetic:
            samples, known = _annotated(source, samples, known)
        if progress and len(samples) < wanted:
            progress(wanted - len(samples))
        parts = _read(source, samples, known, size, threads)
    images, tables = _gather(parts, len(samples), size, progress)
    keypoints, confidence = tables[..., :2].contiguous(), tables[..., 2].contiguous()
    if is_synthetic:
        return PoseSet(images, move_to_annotated_places(keypoints, confidence), confidence)
    return PoseSet(images, keypoints, torch.where(confidence > 0, confidence, UNLABELED))


def move_to_annotated_places(
    keypoints: Float[Tensor, "n 18 2"], confidence: Float[Tensor, "n 18"]
) -> Float[Tensor, "n 18 2"]:
    """Move generated people's keypoints to where annotators of photos would mark them (:data:`MARKS`)."""
    new = keypoints.clone()
    for side in ("right", "left"):
        for name, (towards, share) in MARKS.items():
            here, there = KEYPOINT_NAMES.index(f"{side}_{name}"), KEYPOINT_NAMES.index(f"{side}_{towards}")
            both = ((confidence[:, here] > 0) & (confidence[:, there] > 0))[:, None]  # places outside are undefined
            new[:, here] += torch.where(both, share * (keypoints[:, there] - keypoints[:, here]), 0.0)
    return new


def _is_synthetic(source: Source) -> bool:
    return source.is_generated or source.has(SETTINGS)


Part = tuple[Tensor, NDArray[np.float32]]
"""The images ``(k, 3, h, w)`` and keypoints ``(k, 18, 3)`` of k people: x, y, confidence."""


def _render(source: Source, samples: Sequence[Sample], size: tuple[int, int]) -> Iterator[Part]:
    for sample in samples:
        content, labels = source.render(sample.path)
        yield to_tensor(decode(content, name=sample.path), size)[None], keypoint_table(labels)[None]


def _known(source: Source, samples: Sequence[Sample]) -> NDArray[np.float32]:
    """Return the annotated keypoints, ``(n, 18, 3)``; it fails before the images are read."""
    keypoints = own_keypoints(source)([sample.path for sample in samples])
    return np.concatenate([keypoints.xy, keypoints.confidence[..., None]], axis=-1)


def _annotated(
    source: Source, samples: Sequence[Sample], known: NDArray[np.float32]
) -> tuple[Sequence[Sample], NDArray[np.float32]]:
    """Return samples and keypoints without the images that have no annotated keypoint."""
    rows = np.flatnonzero((known[..., 2] > 0).any(axis=1)).tolist()
    if len(rows) == len(samples):
        return samples, known
    blank = [samples[row].path for row in sorted(set(range(len(samples))) - set(rows))]
    _LOG.warning(
        "%s: %s of %s images have no annotated keypoint (%s) and are left out",
        source.root,
        f"{len(blank):,}",
        f"{len(samples):,}",
        preview(blank),
    )
    return [samples[row] for row in rows], known[rows]


def _read(
    source: Source, samples: Sequence[Sample], known: NDArray[np.float32], size: tuple[int, int], threads: int
) -> Iterator[Part]:
    done = 0
    for images in read_batches(source, samples, size, batch_size=256, threads=threads):
        yield images, known[done : done + len(images)]
        done += len(images)


def _gather(
    parts: Iterator[Part], n: int, size: tuple[int, int], progress: Progress | None
) -> tuple[UInt8[Tensor, "n 3 h w"], Float[Tensor, "n 18 3"]]:
    """Return all images and keypoints of ``n`` samples."""
    images, tables, done = torch.empty((n, 3, *size), dtype=torch.uint8), torch.zeros(n, len(KEYPOINT_NAMES), 3), 0
    for part, known in parts:
        now = slice(done, done + len(part))
        images[now], tables[now] = part, torch.from_numpy(known)
        done += len(part)
        if progress:
            progress(len(part))
    return images, tables
