"""Samples → embeddings: the only place where a network meets images outside training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from passerby.data.images.decode import OnBroken, read_batches
from passerby.data.images.normalize import Normalization
from passerby.data.keypoints.ahead import cut_ahead
from passerby.data.keypoints.crops import PartMaker, Rectangles, warn_mean_pose
from passerby.data.source import Source
from passerby.errors import ConfigError, DatasetLayoutError, ImageError, PasserbyError
from passerby.inference.session import Session, network_inputs
from passerby.types import Embeddings, ModelOutput, Sample

TOGETHER = 8
"""The most images that go through the network together with their mirror images."""


def embed(
    session: Session,
    source: Source,
    samples: Sequence[Sample],
    *,
    size: tuple[int, int],
    batch_size: int = 64,
    threads: int = 2,
    with_local: bool = False,
    flip_tta: bool = False,
    parts: PartMaker | None = None,
    reader: Source | None = None,
    on_broken: OnBroken | None = None,
    progress: Callable[[int], object] | None = None,
) -> Embeddings:
    """Embed samples in order.

    Args:
        size: (height, width) of the model's images.
        with_local: keep the stripe vectors too, for the local distances.
        flip_tta: average each image with its mirror image, at twice the cost; stripes stay L2-normalized, attributes
            average scores.
        parts: cuts the images, for a model whose card asks for parts; how many were cut by the mean pose is logged
            (:func:`~passerby.data.keypoints.crops.warn_mean_pose`).
        reader: reads the images instead of ``source``, by the same names; it may have read them before.
        on_broken: called with each sample whose image cannot be read, and the error; if it returns, the image is left
            out. By default the first one is an error.
        progress: called with the number of images after each batch.

    Raises:
        ImageError: if an image cannot be read, or none can.
        ConfigError: if the model needs parts and ``parts`` is missing, or the other way round.
    """
    if ("parts" in session.card.inputs) != (parts is not None):
        raise ConfigError(
            f"{session.card.name} takes {' and '.join(session.card.inputs)}. Fix: cut parts for it, and for it only"
        )
    if not samples:
        raise DatasetLayoutError(f"no images to embed at {source.root}. Fix: give another place")
    _labels(samples)
    embedding, local, attributes = [], [], []
    fallen: list[str] = []
    broken: set[str] = set()
    names = (s.path for s in samples if s.path not in broken)
    noted = None if on_broken is None else _noting(broken, on_broken)
    batches = read_batches(reader or source, samples, size, batch_size=batch_size, threads=threads, on_broken=noted)
    inputs: Iterable[tuple[Tensor, Tensor | None]] = ((images, None) for images in batches)
    if parts:
        inputs = cut_ahead(parts.cutter, _located(batches, names, parts, fallen), threads=threads)
    for images, cut in inputs:
        output = _run(session, images, cut, flip_tta=flip_tta)
        embedding.append(output.embedding.float().cpu())
        if with_local and output.local is not None:
            local.append(output.local.float().cpu())
        if output.attributes is not None:
            attributes.append(torch.cat([scores.float().softmax(dim=1) for scores in output.attributes], 1).cpu())
        if progress:
            progress(len(images))
    samples = [s for s in samples if s.path not in broken]
    if not samples:
        raise ImageError(
            f"none of the {len(broken):,} images at {source.root} can be read. Fix: give other images, or replace them"
        )
    warn_mean_pose(str(source.root), fallen, len(samples))
    pids, camids = _labels(samples)
    return Embeddings(
        embedding=torch.cat(embedding),
        paths=tuple(s.path for s in samples),
        pids=pids,
        camids=camids,
        roles=torch.tensor([int(s.role) for s in samples]),
        local=torch.cat(local) if local else None,
        attributes=torch.cat(attributes) if attributes else None,
        times=_times(samples),
    )


def _located(
    batches: Iterable[Tensor], names: Iterator[str], parts: PartMaker, fallen: list[str]
) -> Iterator[tuple[Tensor, NDArray[np.float32]]]:
    """Yield images and their rectangles, and add the names of those that the mean pose places to ``fallen``."""
    for images in batches:
        batch = list(islice(names, len(images)))
        rectangles = parts.rectangles(batch, images)
        fallen += rectangles.names_by_mean_pose(batch)
        yield images, rectangles.regions


def model_inputs(
    images: Tensor,
    parts: PartMaker | None,
    rectangles: Rectangles | None,
    device: torch.device,
    normalization: Normalization,
) -> tuple[Tensor, ...]:
    """Return what a network is called with for images ``(b, 3, h, w)``, uint8, cut at ``rectangles`` if there are any.

    Unlike :meth:`~passerby.inference.session.Session.run` this leaves gradients to the caller.
    """
    return network_inputs(*_cut(images, parts, rectangles), device, normalization)


def _cut(images: Tensor, parts: PartMaker | None, rectangles: Rectangles | None) -> tuple[Tensor, Tensor | None]:
    """Return whole bodies and parts; for models that see images only, the images and ``None``."""
    return parts.cutter.cut(images, rectangles.regions) if parts and rectangles else (images, None)


def _run(session: Session, images: Tensor, parts: Tensor | None, *, flip_tta: bool) -> ModelOutput:
    """Return the session's output, averaged with that of the mirrored images where ``flip_tta`` asks for it."""
    if not flip_tta:
        return session.run(images, parts)
    output, mirrored = _both(session, images, parts)
    embedding = (output.embedding + mirrored.embedding) / 2
    local, attributes = output.local, output.attributes
    if local is not None and mirrored.local is not None:
        local = F.normalize(local + mirrored.local, dim=-1)
    if attributes is not None and mirrored.attributes is not None:
        attributes = tuple((a + b) / 2 for a, b in zip(attributes, mirrored.attributes, strict=True))
    return output._replace(embedding=embedding, local=local, attributes=attributes)


def _both(session: Session, images: Tensor, parts: Tensor | None) -> tuple[ModelOutput, ModelOutput]:
    """Return the outputs for images and for their mirror images; for a few images in one run, which is faster."""
    # no part belongs to one side of the body: mirroring every part, like the image, mirrors the person
    mirrored, flipped = images.flip(-1), None if parts is None else parts.flip(-1)
    count = len(images)
    if count > TOGETHER:
        return session.run(images, parts), session.run(mirrored, flipped)
    joined = None if parts is None or flipped is None else torch.cat([parts, flipped])
    both = session.run(torch.cat([images, mirrored]), joined)
    return _rows(both, slice(count)), _rows(both, slice(count, None))


def _rows(output: ModelOutput, rows: slice) -> ModelOutput:
    """Return what embedding takes of an output, for some of its images."""
    return ModelOutput(
        output.embedding[rows],
        output.metric[rows],
        local=None if output.local is None else output.local[rows],
        attributes=None if output.attributes is None else tuple(scores[rows] for scores in output.attributes),
    )


def _noting(broken: set[str], on_broken: OnBroken) -> OnBroken:
    """Return ``on_broken``, which then adds the path to ``broken``."""

    def note(sample: Sample, error: PasserbyError) -> None:
        on_broken(sample, error)
        broken.add(sample.path)

    return note


def _labels(samples: Sequence[Sample]) -> tuple[Tensor | None, Tensor | None]:
    return _column([s.pid for s in samples], "people"), _column([s.camid for s in samples], "cameras")


def _column(values: list[int | None], what: str) -> Tensor | None:
    """Return a label column; ``None`` where no image has the label.

    Raises:
        DatasetLayoutError: if only some images have it, since evaluation would miscount.
    """
    known = [v for v in values if v is not None]
    if not known:
        return None
    if len(known) < len(values):
        raise DatasetLayoutError(
            f"{what} are known for {len(known)} of {len(values)} images. Fix: name them for all or for none"
        )
    return torch.tensor(known)


def _times(samples: Sequence[Sample]) -> Tensor | None:
    times = [s.time for s in samples if s.time is not None]
    return torch.tensor(times) if times and len(times) == len(samples) else None
