"""Quantization after training: most convolutions of a network in int8, those that it would harm in single precision.

Images of a calibration set tell the range of each map. Then each convolution is quantized alone, and its error is
measured, 1 − the mean cosine with the embeddings of the network: a few layers make nearly all of it (maps with one
channel of a far wider range than the others, in front of instance normalization above all). Errors of layers nearly add
up, so that convolutions are taken from the least error on, while the sum stays within :data:`ERROR`.

All else is computed as before: preprocessing, normalization by instance, pooling, neck, attributes, attention, and the
L2 normalization.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from passerby.data.images.decode import open_image, to_tensor
from passerby.data.images.open import list_images_and_splits
from passerby.errors import ConfigError
from passerby.export.precision.convolutions import (
    BATCH,
    Convolution,
    Pixels,
    Ranges,
    embeddings,
    find_convolutions,
    measure_ranges,
    session_of,
)
from passerby.export.precision.quantize import quantized
from passerby.inference.onnx.session import EMBEDDING

ERROR = 0.003
"""The sum of the errors that single convolutions in int8 make, at most: 1 − mean cosine."""
IMAGES, MIN_IMAGES = 128, 16
"""The number of images that ranges are measured on, and the least."""
PROBES = 16
"""The number of images that errors are measured on."""
SYNTHETIC = "pedestrians:people=64,cameras=4,images=1,seed=1"
"""The images where no others are given."""
REPEATS = 5


@dataclass(frozen=True)
class Quantization:
    """The way that a file was quantized."""

    quantized: int
    """The number of convolutions in int8."""
    convolutions: int
    """The number of all convolutions."""
    error: float
    """The sum of the errors of the quantized ones, each alone."""
    images: int
    data: str
    """The place of the calibration images."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def calibration_pixels(place: str | None, size: tuple[int, int], *, without: frozenset[str] = frozenset()) -> Pixels:
    """Return images ``(n, 3, h, w)`` of a place, evenly spread; of a dataset, training images only if it has any.

    Args:
        without: names of images to leave out, as they are compared afterwards.

    Raises:
        ConfigError: if there are too few.
        DatasetLayoutError, ImageError: if there are none, or one cannot be read.
    """
    source, samples, splits = list_images_and_splits(place or SYNTHETIC, "all")
    training = [sample for sample, split in zip(samples, splits, strict=True) if split == "train"]
    fit = [sample for sample in training or samples if sample.path not in without]
    if len(fit) < MIN_IMAGES:
        raise ConfigError(
            f"int8 needs images to measure the ranges of maps on: got {len(fit)} of {place} that the file is not "
            f"compared on, expected at least {MIN_IMAGES}. Fix: --calibration-data with more, or leave it out"
        )
    count = min(IMAGES, len(fit))
    chosen = [fit[i * len(fit) // count] for i in range(count)]
    images = [to_tensor(open_image(source, sample.path), size).numpy() for sample in chosen]
    return np.stack(images).astype(np.float32)


def quantize(model: Any, pixels: Pixels, *, data: str, name: str) -> tuple[Any, Quantization]:
    """Return a network's graph with convolutions in int8, and how it was quantized.

    Args:
        model: the ModelProto, which takes pixels.
        data: the place of the images, to state.
        name: the name of the model, for an error.

    Raises:
        ConfigError: if no convolution can be quantized.
    """
    everything = find_convolutions(model)
    found, ranges = measure_ranges(model, everything, pixels)
    errors = single_errors(model, found, ranges, pixels)
    chosen, total = [], 0.0
    for error, each in sorted(zip(errors, found, strict=True), key=lambda pair: pair[0]):
        if not total + max(0.0, error) <= ERROR:
            break
        total += max(0.0, error)
        chosen.append(each)
    if not chosen:
        raise ConfigError(
            f"{name} gains nothing from int8: none of its {len(everything)} convolutions can be quantized without "
            "harm. Fix: --precision float16, which halves the file"
        )
    others = [each for each in everything if each not in chosen]
    made = quantized(model, chosen, others, ranges)
    return made, Quantization(len(chosen), len(everything), total, len(pixels), data)


def single_errors(model: Any, found: list[Convolution], ranges: Ranges, pixels: Pixels) -> list[float]:
    """Return the error of each convolution, if it alone is in int8."""
    probes = pixels[:: max(1, len(pixels) // PROBES)][:PROBES]
    expected = embeddings(model, probes, EMBEDDING)
    errors = []
    for each in found:
        others = [other for other in found if other is not each]
        got = embeddings(quantized(model, [each], others, ranges), probes, EMBEDDING)
        errors.append(1 - (got * expected).sum(dim=1).mean().item())
    return errors


def speed_ratio(model: Any, other: Any, pixels: Pixels) -> float:
    """Return the CPU time of a graph divided by that of another: above 1, the other is faster."""
    pairs = [(session_of(each), list[float]()) for each in (model, other)]
    for session, _ in pairs:
        session.run(None, {session.get_inputs()[0].name: pixels[:BATCH]})
    for _ in range(REPEATS):
        for session, times in pairs:
            start = time.process_time()
            session.run(None, {session.get_inputs()[0].name: pixels[:BATCH]})
            times.append(time.process_time() - start)
    first, second = (statistics.median(times) for _, times in pairs)
    return first / second
