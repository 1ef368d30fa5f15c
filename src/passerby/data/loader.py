"""Make training batches: sampler → images (from memory or decoded ahead) → augmentation, all from one seed."""

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
from passerby.data.keypoints.ahead import cut_ahead
from passerby.data.keypoints.crops import PartMaker, warn_mean_pose
from passerby.data.sampler import BatchSampler
from passerby.data.source import Source
from passerby.errors import DatasetLayoutError
from passerby.types import Batch, Role, Sample

_AT_ONCE = 64
"""The number of images whose parts are found, and cached, together."""


def class_labels(samples: Sequence[Sample]) -> list[int]:
    """Return the class index 0…C−1 of every sample, by ascending person ID.

    Raises:
        DatasetLayoutError: if a sample has no identity (no person ID, junk, a distractor).
    """
    index = {pid: label for label, pid in enumerate(people(samples))}
    unlabeled = [s.path for s in samples if s.pid not in index or s.role is not Role.PERSON]
    if unlabeled:
        raise DatasetLayoutError(
            f"{len(unlabeled)} training images have no identity ({', '.join(unlabeled[:3])}). Fix: remove them"
        )
    return [index[s.pid] for s in samples if s.pid is not None]


class TrainLoader:
    """A loader of one epoch at a time; the same seed and epoch always give the same tensors.

    Args:
        source: the source of the images.
        samples: the training samples, each with a person ID.
        sampler: the choice of each batch's samples.
        size: the size (height, width) that images are resized to.
        augmentation: the random changes of each batch.
        seed: the random seed.
        cache: whether to decode all images once and keep them in memory as uint8.
        threads: the number of threads that decode images and crop parts.
        attributes: ``(n, g)`` int64, the class of each sample's attribute groups, for losses that take them.
        parts: the maker of part crops, for models that take body parts.
    """

    def __init__(
        self,
        source: Source,
        samples: Sequence[Sample],
        sampler: BatchSampler,
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
        self._by_mean_pose: list[str] = []
        self.memory = read_all(source, samples, size, threads=threads) if cache else None

    def __len__(self) -> int:
        return len(self.sampler)

    def epoch(self, number: int, *, to: device) -> Iterator[Batch]:
        """Yield the batches of epoch ``number``, counted from 0, on device ``to``."""
        self.sampler.epoch = number
        batches = list(self.sampler)
        for step, (rows, (images, cut)) in enumerate(zip(batches, self._inputs(batches), strict=True)):
            generator = Generator().manual_seed(self._seed_of(number, step))
            whole, parts = self._augmented(images, cut, generator, to)
            yield Batch(
                whole.contiguous(memory_format=torch.channels_last),
                self.labels[rows].to(to),
                attributes=None if self.attributes is None else self.attributes[rows].to(to),
                parts=parts,
            )

    def unchanged(self, batches: list[list[int]]) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Yield the images of each batch of rows as they are, uint8, and their parts for models that take some."""
        yield from self._inputs(batches)

    def find_parts(self, progress: Callable[[int], object] | None = None) -> None:
        """Find the bodies and parts in all images before the first epoch; the epochs would find them one by one.

        Images that were cut by the mean pose are counted and logged
        (:func:`~passerby.data.keypoints.crops.warn_mean_pose`).

        Args:
            progress: called with the number of images after each batch.
        """
        if self.parts is None or self.parts.estimator is None:
            return
        batches = torch.arange(len(self.samples)).split(_AT_ONCE)
        decoded = read_batches(self.source, self.samples, self.size, batch_size=_AT_ONCE, threads=self.threads)
        images_of = decoded if self.memory is None else (self.memory[rows] for rows in batches)
        for rows, images in zip(batches, images_of, strict=True):
            self._find(rows.tolist(), images)
            if progress:
                progress(len(rows))
        if self.sampler.rank == 0:  # one of several processes warns
            warn_mean_pose(str(self.source.root), self._by_mean_pose, len(self.samples))

    def _find(self, rows: Sequence[int], images: Tensor) -> None:
        """Find the parts of images that were not found before: that takes time, and they never change."""
        unknown = [place for place, row in enumerate(rows) if row not in self._rectangles]
        if self.parts is not None and unknown:
            names = [self.samples[rows[place]].path for place in unknown]
            found = self.parts.rectangles(names, images[unknown])
            self._rectangles |= {rows[place]: regions for place, regions in zip(unknown, found.regions, strict=True)}
            self._by_mean_pose += found.names_by_mean_pose(names)

    def _augmented(
        self, images: Tensor, parts: Tensor | None, generator: Generator, to: device
    ) -> tuple[Tensor, Tensor | None]:
        if parts is None:
            return self.augmentation(images.to(to), generator), None
        return self.augmentation.with_parts(images.to(to), parts.to(to), generator)

    def _inputs(self, batches: list[list[int]]) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Yield images, or whole bodies and their parts, which are cropped ahead."""
        if self.parts is None:
            yield from ((images, None) for images in self._images(batches))
        else:
            yield from cut_ahead(self.parts.cutter, self._with_rectangles(batches), threads=self.threads)

    def _with_rectangles(self, batches: list[list[int]]) -> Iterator[tuple[Tensor, NDArray[np.float32]]]:
        for rows, images in zip(batches, self._images(batches), strict=True):
            assert self.parts is not None
            yield images, self._regions(rows, images, self.parts)

    def _regions(self, rows: list[int], images: Tensor, parts: PartMaker) -> NDArray[np.float32]:
        if parts.estimator is None:  # the same for all images: of millions, none is kept
            return parts.rectangles([self.samples[row].path for row in rows], images).regions
        self._find(rows, images)
        return np.stack([self._rectangles[row] for row in rows])

    def _seed_of(self, epoch: int, step: int) -> int:
        """Return the seed of one batch, which differs for each batch of each process."""
        place = (epoch * len(self) + step) * self.sampler.world + self.sampler.rank
        return self.seed * 1_000_000_007 + place

    def _images(self, batches: list[list[int]]) -> Iterator[Tensor]:
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
