"""The crops to adapt to, stripped of identities before anything else sees them.

Person IDs, roles and times are dropped, and the crops are ordered by their contents: neither labels nor the names of
files, which often hold a person ID, can reach the training. What remains is each image and, if known, its camera.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from passerby.data.images.open import list_images_and_splits
from passerby.data.source import Source
from passerby.errors import DatasetLayoutError
from passerby.training.adapt.config import CropsConfig
from passerby.types import Sample

LEAST, LEAST_QUICK = 256, 128
"""The number of crops below which clusters, or statistics, would be those of too few people."""


@dataclass(frozen=True, eq=False)
class Crops:
    """The unlabeled images of one source, in an order that does not depend on their names."""

    source: Source
    samples: tuple[Sample, ...]
    """The images, with nothing but their paths."""
    cameras: Tensor | None
    """The index of the camera of each image, ``(n,)`` int64; ``None`` where they are unknown or not used."""
    camids: tuple[int | None, ...]
    """The camera ID of each image."""
    digest: str
    """The hex digits of contents and cameras."""

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def camera_count(self) -> int:
        """The number of known cameras; 0 where they are unknown or not used."""
        return 0 if self.cameras is None else int(self.cameras.max()) + 1

    def describe(self) -> str:
        """Return the number of images and cameras, in words."""
        known = f"{self.camera_count} cameras" if self.cameras is not None else "cameras unknown or not used"
        return f"{len(self):,} crops, {known}"


def read_crops(config: CropsConfig) -> Crops:
    """Return the crops that the settings name; of identical files of one camera the first by its path counts.

    Raises:
        DatasetLayoutError: if there are none, or cameras are known for some of them only.
    """
    source, samples = _listed(config)
    found: dict[tuple[bytes, int | None], str] = {}
    for sample in sorted(samples, key=lambda sample: sample.path):
        content = hashlib.blake2b(source.read(sample.path), digest_size=16).digest()
        found.setdefault((content, sample.camid if config.cameras else None), sample.path)
    order = sorted(found, key=lambda key: (key[0], -1 if key[1] is None else key[1]))
    paths, ids = tuple(found[key] for key in order), tuple(camid for _, camid in order)
    digest = hashlib.blake2b(digest_size=16)
    for content, camid in order:
        digest.update(content + f" {camid} ".encode())
    return Crops(source, tuple(Sample(path=path) for path in paths), _cameras(ids), ids, digest.hexdigest())


def _listed(config: CropsConfig) -> tuple[Source, Sequence[Sample]]:
    source, samples, splits = list_images_and_splits(config.place, "all" if config.split == "auto" else config.split)
    if config.split == "auto" and "train" in splits:
        samples = tuple(sample for sample, split in zip(samples, splits, strict=True) if split == "train")
    return source, samples


def _cameras(camids: Sequence[int | None]) -> Tensor | None:
    """Return the index of each camera, by ascending ID; ``None`` where none is known."""
    known = sorted({camid for camid in camids if camid is not None})
    if not known:
        return None
    if unknown := sum(camid is None for camid in camids):
        raise DatasetLayoutError(
            f"cameras are known for {len(camids) - unknown:,} of {len(camids):,} crops, expected all or none. Fix: "
            "name the others, or leave cameras out with --set data.cameras=false"
        )
    index = {camid: place for place, camid in enumerate(known)}
    return torch.tensor([index[camid] for camid in camids if camid is not None])


def check_enough(crops: Crops, *, quick: bool) -> None:
    """Check that there are crops enough, and of more than one camera where cameras are known.

    Raises:
        DatasetLayoutError: if there are not; the message says what to do.
    """
    least, way = (
        (LEAST_QUICK, "") if quick else (LEAST, f", or re-estimate statistics only (--quick, from {LEAST_QUICK})")
    )
    if len(crops) < least:
        raise DatasetLayoutError(
            f"'{crops.source.root}' has {len(crops):,} crops, expected at least {least} to adapt to: of fewer, the "
            f"model would learn these few people by heart. Fix: add crops of other people and cameras{way}"
        )
    if not quick and crops.camera_count == 1:
        raise DatasetLayoutError(
            f"all {len(crops):,} crops of '{crops.source.root}' are of camera {crops.camids[0]}: what one camera shows "
            "does not teach to find people in another. Fix: add crops of other cameras, or re-estimate statistics only "
            "(--quick)"
        )
