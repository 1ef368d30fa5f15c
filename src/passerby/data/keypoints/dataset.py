"""Pictures with their joints, in memory: what a pose network is trained on and measured with."""

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
"""How sure a joint is of which an annotator of photographs said nothing: COCO's 0 is 'not labeled', not 'outside'."""
MARKS = {
    "hip": ("knee", 0.11),
    "ankle": ("knee", 0.10),
    "knee": ("hip", 0.04),
    "wrist": ("elbow", 0.12),
    "elbow": ("shoulder", 0.07),
}
"""Where annotators of photographs mark what cannot be seen: the hip where the leg leaves the backbone, the ankle above the
shoe, the wrist above the hand. Shares of the way from the middle of the joint, which drawn people have, to the next
one. On drawn people a network trained on photographs (OpenVINO's) marks hips lower and the others higher by as much.
"""
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class PoseSet:
    """Pictures of people whose joints are known."""

    images: UInt8[Tensor, "n 3 h w"]
    keypoints: Float[Tensor, "n 18 2"]
    """x, y as fractions of width and height."""
    confidence: Float[Tensor, "n 18"]
    """0: not in the picture, its place has no meaning; 0.5: hidden; 1: seen (:data:`.pose_files.CONFIDENCE`).

    :data:`UNLABELED`: nobody knows whether it is in the picture, and its place has no meaning either.
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
    """Pictures of ``size`` and joints of samples, from a drawn set or one with a ``keypoints.json``.

    A set that is drawn on demand is drawn once for both, by one process: write a large one to disk before
    (``passerby data synthesize``, which takes ``--workers``).

    Whoever draws people knows which joints are outside. Whoever annotates photographs leaves a joint out for any reason
    (:data:`UNLABELED`), and pictures too: those without a single joint are left out here, and a line of the log (which
    Python prints, if nobody asked for more) says how many.

    Raises:
        DatasetLayoutError: if the joints of a picture are not known.
    """
    drawn = _is_drawn(source)
    if source.is_generated:
        parts = _drawn(source, samples, size)
    else:
        known, wanted = _known(source, samples), len(samples)
        if not drawn:
            samples, known = _annotated(source, samples, known)
        if progress and len(samples) < wanted:
            progress(wanted - len(samples))
        parts = _read(source, samples, known, size, threads)
    images, tables = _gathered(parts, len(samples), size, progress)
    keypoints, confidence = tables[..., :2].contiguous(), tables[..., 2].contiguous()
    if drawn:
        return PoseSet(images, move_to_annotated_places(keypoints, confidence), confidence)
    return PoseSet(images, keypoints, torch.where(confidence > 0, confidence, UNLABELED))


def move_to_annotated_places(
    keypoints: Float[Tensor, "n 18 2"], confidence: Float[Tensor, "n 18"]
) -> Float[Tensor, "n 18 2"]:
    """Drawn people's joints where annotators of photographs would mark them (:data:`MARKS`)."""
    new = keypoints.clone()
    for side in ("right", "left"):
        for name, (towards, share) in MARKS.items():
            here, there = KEYPOINT_NAMES.index(f"{side}_{name}"), KEYPOINT_NAMES.index(f"{side}_{towards}")
            both = ((confidence[:, here] > 0) & (confidence[:, there] > 0))[:, None]  # places outside have no meaning
            new[:, here] += torch.where(both, share * (keypoints[:, there] - keypoints[:, here]), 0.0)
    return new


def _is_drawn(source: Source) -> bool:
    return source.is_generated or source.has(SETTINGS)


Part = tuple[Tensor, NDArray[np.float32]]
"""Pictures ``(k, 3, h, w)`` and joints ``(k, 18, 3)``: x, y, how sure."""


def _drawn(source: Source, samples: Sequence[Sample], size: tuple[int, int]) -> Iterator[Part]:
    for sample in samples:
        content, labels = source.render(sample.path)
        yield to_tensor(decode(content, name=sample.path), size)[None], keypoint_table(labels)[None]


def _known(source: Source, samples: Sequence[Sample]) -> NDArray[np.float32]:
    """``(n, 18, 3)``: the annotated joints; refuses before the pictures are read."""
    keypoints = own_keypoints(source)([sample.path for sample in samples])
    return np.concatenate([keypoints.xy, keypoints.confidence[..., None]], axis=-1)


def _annotated(
    source: Source, samples: Sequence[Sample], known: NDArray[np.float32]
) -> tuple[Sequence[Sample], NDArray[np.float32]]:
    """Without the samples in which nobody marked a joint."""
    rows = np.flatnonzero((known[..., 2] > 0).any(axis=1)).tolist()
    if len(rows) == len(samples):
        return samples, known
    blank = [samples[row].path for row in sorted(set(range(len(samples))) - set(rows))]
    _LOG.warning(
        "%s: %s of %s pictures have no annotated joint (%s) and are left out",
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
    for pictures in read_batches(source, samples, size, batch_size=256, threads=threads):
        yield pictures, known[done : done + len(pictures)]
        done += len(pictures)


def _gathered(
    parts: Iterator[Part], n: int, size: tuple[int, int], progress: Progress | None
) -> tuple[UInt8[Tensor, "n 3 h w"], Float[Tensor, "n 18 3"]]:
    """All pictures and joints of ``n`` samples."""
    images, tables, done = torch.empty((n, 3, *size), dtype=torch.uint8), torch.zeros(n, len(KEYPOINT_NAMES), 3), 0
    for pictures, known in parts:
        now = slice(done, done + len(pictures))
        images[now], tables[now] = pictures, torch.from_numpy(known)
        done += len(pictures)
        if progress:
            progress(len(pictures))
    return images, tables
