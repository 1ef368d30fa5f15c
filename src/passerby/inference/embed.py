"""Samples → embeddings: the only place where a model meets pictures outside training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice

import torch
from torch import Tensor
from torch.nn import functional as F

from passerby.data.images.augment import normalize_images, normalize_parts
from passerby.data.images.decode import read_batches
from passerby.data.keypoints.crops import PartMaker, Rectangles, warn_mean_pose
from passerby.data.source import Source
from passerby.errors import ConfigError, DatasetLayoutError
from passerby.models.base import ReidModel
from passerby.types import Embeddings, ModelOutput, Sample


@torch.inference_mode()
def embed(
    model: ReidModel,
    source: Source,
    samples: Sequence[Sample],
    *,
    size: tuple[int, int],
    batch_size: int = 64,
    threads: int = 2,
    with_local: bool = False,
    flip_tta: bool = False,
    parts: PartMaker | None = None,
    progress: Callable[[int], object] | None = None,
) -> Embeddings:
    """Embed samples in order, on the device the model is on; the model's mode is restored afterwards.

    Args:
        size: (height, width) of the model's pictures.
        with_local: keep the stripe vectors too, for the local distances.
        flip_tta: average each picture with its mirror image, at twice the cost; stripes keep length 1, attributes
            average scores.
        parts: cuts the pictures, for a model whose card asks for parts; how many were cut by the mean pose is said
            (:func:`~passerby.data.keypoints.crops.warn_mean_pose`).
        progress: called with the number of images after each batch.

    Raises:
        ImageError: if a picture cannot be read.
        ConfigError: if the model needs parts and nobody cuts them.
    """
    if ("parts" in model.card.inputs) != (parts is not None):
        raise ConfigError(
            f"{model.card.name} takes {' and '.join(model.card.inputs)}; cut parts for it, and for it only"
        )
    if not samples:
        raise DatasetLayoutError(f"no images to embed at {source.root}")
    pids, camids = _column([s.pid for s in samples], "people"), _column([s.camid for s in samples], "cameras")
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    features, local, attributes = [], [], []
    fallen: list[str] = []
    try:
        names = iter([s.path for s in samples])
        for images in read_batches(source, samples, size, batch_size=batch_size, threads=threads):
            some = list(islice(names, len(images)))
            rectangles = parts.rectangles(some, images) if parts else None
            fallen += rectangles.fallen(some) if rectangles else []
            inputs = model_inputs(images, parts, rectangles, device)
            output = _forward(model, inputs, flip_tta=flip_tta)
            features.append(output.embedding.float().cpu())
            if with_local and output.local is not None:
                local.append(output.local.float().cpu())
            if output.attributes is not None:
                attributes.append(torch.cat([scores.float().softmax(dim=1) for scores in output.attributes], 1).cpu())
            if progress:
                progress(len(images))
    finally:
        model.train(was_training)
    warn_mean_pose(str(source.root), fallen, len(samples))
    return Embeddings(
        embedding=torch.cat(features),
        paths=tuple(s.path for s in samples),
        pids=pids,
        camids=camids,
        roles=torch.tensor([int(s.role) for s in samples]),
        local=torch.cat(local) if local else None,
        attributes=torch.cat(attributes) if attributes else None,
    )


def model_inputs(
    images: Tensor, parts: PartMaker | None, rectangles: Rectangles | None, device: torch.device
) -> tuple[Tensor, ...]:
    """What a model is called with for pictures ``(b, 3, h, w)``, uint8, of which ``rectangles`` are cut, if any."""
    whole, cut = images, None
    if parts and rectangles:
        whole, cut = parts.cutter.cut(images, rectangles.regions)
    batch = normalize_images(whole.to(device)).contiguous(memory_format=torch.channels_last)
    return (batch,) if cut is None else (batch, normalize_parts(cut.to(device)))


def _forward(model: ReidModel, inputs: tuple[Tensor, ...], *, flip_tta: bool) -> ModelOutput:
    """What the model makes of pictures and, where it sees them, parts; what is kept of it is averaged by ``flip_tta``."""
    output: ModelOutput = model(*inputs)
    if not flip_tta:
        return output
    # no part is of one side of the body: mirroring every part, like the picture, mirrors the person
    mirrored: ModelOutput = model(*(pictures.flip(-1) for pictures in inputs))
    embedding = (output.embedding + mirrored.embedding) / 2
    local, attributes = output.local, output.attributes
    if local is not None and mirrored.local is not None:
        local = F.normalize(local + mirrored.local, dim=-1)
    if attributes is not None and mirrored.attributes is not None:
        attributes = tuple((a + b) / 2 for a, b in zip(attributes, mirrored.attributes, strict=True))
    return output._replace(embedding=embedding, local=local, attributes=attributes)


def _column(values: list[int | None], what: str) -> Tensor | None:
    """``None`` where nothing is known; half-known columns are refused, since evaluation would miscount."""
    known = [v for v in values if v is not None]
    if not known:
        return None
    if len(known) < len(values):
        raise DatasetLayoutError(
            f"{what} are known for {len(known)} of {len(values)} images; name them for all or for none"
        )
    return torch.tensor(known)
