"""Training batches: sampler → pictures (from memory or decoded ahead) → augmentation, all from one seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, device

from passerby.data.dataset import people
from passerby.data.images.augment import Augmentation
from passerby.data.images.decode import read_all, read_batches, read_image
from passerby.data.keypoints.crops import PartMaker, warn_mean_pose
from passerby.data.sampler import PKSampler
from passerby.data.source import Source
from passerby.errors import DatasetLayoutError
from passerby.types import Batch, Role, Sample

_AT_ONCE = 64
"""Pictures whose parts are found, and kept, together."""


def class_labels(samples: Sequence[Sample]) -> list[int]:
    """Class index 0…C−1 of every sample, by ascending pid.

    Raises:
        DatasetLayoutError: if a sample shows nobody in particular (no pid, junk, a distractor).
    """
    index = {pid: label for label, pid in enumerate(people(samples))}
    strangers = [s.path for s in samples if s.pid not in index or s.role is not Role.PERSON]
    if strangers:
        raise DatasetLayoutError(
            f"{len(strangers)} training images belong to no person ({', '.join(strangers[:3])}); take them out"
        )
    return [index[s.pid] for s in samples if s.pid is not None]


class TrainLoader:
    """Batches of one epoch at a time; the same seed and epoch always give the same tensors.

    Args:
        samples: with a pid each; their pictures are resized to ``size = (height, width)``.
        cache: decode everything once and keep it in memory as uint8.
        threads: that decode.
        attributes: ``(n, g)`` int64, classes of each sample's attribute groups, for losses that need them.
        parts: cuts the pictures, for models that see parts of the body.
    """

    def __init__(
        self,
        source: Source,
        samples: Sequence[Sample],
        sampler: PKSampler,
        *,
        size: tuple[int, int],
        augmentation: Augmentation,
        seed: int,
        cache: bool = True,
        threads: int = 2,
        attributes: Tensor | None = None,
        parts: PartMaker | None = None,
    ) -> None:
        self.source, self.samples, self.sampler = source, samples, sampler
        self.size, self.augmentation, self.seed, self.threads = size, augmentation, seed, threads
        self.labels, self.attributes, self.parts = torch.tensor(class_labels(samples)), attributes, parts
        self._rectangles: dict[int, NDArray[np.float32]] = {}
        self._fallen: list[str] = []
        self.memory = read_all(source, samples, size, threads=threads) if cache else None

    def __len__(self) -> int:
        return len(self.sampler)

    def epoch(self, number: int, *, to: device) -> Iterator[Batch]:
        """The batches of epoch ``number``, counted from 0, on device ``to``."""
        self.sampler.epoch = number
        batches = list(self.sampler)
        for step, (rows, images) in enumerate(zip(batches, self._pictures(batches), strict=True)):
            generator = Generator().manual_seed(self._seed_of(number, step))
            whole, parts = self._augmented(images, rows, generator, to)
            yield Batch(
                whole.contiguous(memory_format=torch.channels_last),
                self.labels[rows].to(to),
                attributes=None if self.attributes is None else self.attributes[rows].to(to),
                parts=parts,
            )

    def find_parts(self, progress: Callable[[int], object] | None = None) -> None:
        """Find where everybody's body and parts are before the first epoch, which finds what is missing anyway.

        Pictures that are cut by the mean pose are counted and said (:func:`~passerby.data.keypoints.crops.warn_mean_pose`).

        Args:
            progress: called with the number of images after each batch.
        """
        if self.parts is None or self.parts.estimator is None:
            return
        rows = torch.arange(len(self.samples)).split(_AT_ONCE)
        decoded = read_batches(self.source, self.samples, self.size, batch_size=_AT_ONCE, threads=self.threads)
        pictures = decoded if self.memory is None else (self.memory[some] for some in rows)
        for some, images in zip(rows, pictures, strict=True):
            self._find(some.tolist(), images)
            if progress:
                progress(len(some))
        if self.sampler.rank == 0:  # of several processes one says it
            warn_mean_pose(str(self.source.root), self._fallen, len(self.samples))

    def _find(self, rows: Sequence[int], images: Tensor) -> None:
        """Poses cost time and never change: what is known is not asked again."""
        unknown = [place for place, row in enumerate(rows) if row not in self._rectangles]
        if self.parts is not None and unknown:
            names = [self.samples[rows[place]].path for place in unknown]
            found = self.parts.rectangles(names, images[unknown])
            self._rectangles |= {rows[place]: regions for place, regions in zip(unknown, found.regions, strict=True)}
            self._fallen += found.fallen(names)

    def _augmented(
        self, images: Tensor, rows: list[int], generator: Generator, to: device
    ) -> tuple[Tensor, Tensor | None]:
        if self.parts is None:
            return self.augmentation(images.to(to), generator), None
        self._find(rows, images)
        cut = self.parts.cutter.cut(images, np.stack([self._rectangles[row] for row in rows]))
        return self.augmentation.with_parts(cut.whole.to(to), cut.parts.to(to), generator)

    def _seed_of(self, epoch: int, step: int) -> int:
        """A different seed for each batch of each process."""
        place = (epoch * len(self) + step) * self.sampler.world + self.sampler.rank
        return self.seed * 1_000_000_007 + place

    def _pictures(self, batches: list[list[int]]) -> Iterator[Tensor]:
        if self.memory is not None:
            yield from (self.memory[rows] for rows in batches)
            return
        with ThreadPoolExecutor(self.threads) as pool:
            ahead = [self._submit(pool, rows) for rows in batches[:2]]
            for following in [*batches[2:], None, None][: len(batches)]:
                yield torch.stack([f.result() for f in ahead.pop(0)])
                if following is not None:
                    ahead.append(self._submit(pool, following))

    def _submit(self, pool: ThreadPoolExecutor, rows: list[int]) -> list[Future[Tensor]]:
        return [pool.submit(read_image, self.source, self.samples[row], self.size) for row in rows]
