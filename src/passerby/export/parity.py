"""The check of an ONNX file against the network that it was made of: the same images, the same embeddings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from passerby.data.images.decode import open_image, to_tensor
from passerby.data.images.open import list_images
from passerby.errors import OutputError
from passerby.inference.onnx.session import ATTRIBUTES, EMBEDDING, IMAGES, LOCAL, Precision
from passerby.types import ModelOutput
from passerby.weights.onnx_file import import_package

BATCHES = (1, 4, 17)
"""The numbers of images that are embedded at once."""
SYNTHETIC = "pedestrians:people=6,cameras=3,images=1"
"""The crops that are compared where no others are given."""


@dataclass(frozen=True)
class Tolerance:
    """The difference between a file and its network that is accepted."""

    cosine: float = 0.9999
    """The least cosine between an embedding of the file and that of the network."""
    stretch: float = 0.01
    """The most that their lengths differ, as a share."""
    shift: float = 0.01
    """The most that the probability of an attribute's value differs."""


TOLERANCES: dict[Precision, Tolerance] = {
    "float32": Tolerance(),
    "float16": Tolerance(cosine=0.999),
    "int8": Tolerance(cosine=0.97, stretch=0.15, shift=0.25),
}
"""The tolerance of each precision; the worst image counts."""


@dataclass(frozen=True)
class Parity:
    """The agreement of a file with its network over all images and batches; the worst image counts."""

    cosine: float
    """The least cosine of embeddings."""
    stretch: float
    """The greatest difference of their lengths, as a share."""
    local_cosine: float | None
    """The least cosine of stripes; ``None`` without any."""
    attribute_shift: float | None
    """The greatest difference of a probability; ``None`` without attributes."""
    images: int
    data: str
    """The place of the images."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), "batches": list(BATCHES)}

    def faults(self, tolerance: Tolerance) -> list[str]:
        """Return what does not agree, in words. Values that are no numbers do not agree."""
        least, stretch, shift = tolerance.cosine, tolerance.stretch, tolerance.shift
        found = []
        for name, value in (("cosine", self.cosine), ("cosine of stripes", self.local_cosine)):
            if value is not None and not value >= least:
                found.append(f"{name} {value:.6f}, expected at least {least}")
        if not self.stretch <= stretch:
            found.append(f"lengths that differ by {self.stretch:.2%}, expected at most {stretch:.0%}")
        if self.attribute_shift is not None and not self.attribute_shift <= shift:
            found.append(f"probabilities that differ by {self.attribute_shift:.4f}, expected at most {shift}")
        return found


@dataclass(frozen=True)
class Crops:
    """The images that are compared."""

    images: tuple[Image.Image, ...]
    place: str
    names: frozenset[str] = frozenset()
    """The names of the images there."""

    @classmethod
    def of(cls, place: str | None = None) -> Crops:
        """Read as many images as the largest batch has, evenly spread over a place; of fewer, some repeat.

        Raises:
            DatasetLayoutError: if there are no images.
            ImageError: if one cannot be read.
        """
        source, samples = list_images(place or SYNTHETIC, "all")
        most = max(BATCHES)
        chosen = [samples[i * len(samples) // most] for i in range(most)]
        images = tuple(open_image(source, sample.path) for sample in chosen)
        return cls(images, place or SYNTHETIC, frozenset(sample.path for sample in chosen))

    def batches(self, size: tuple[int, int]) -> Iterator[NDArray[np.uint8]]:
        """Yield batches ``(b, H, W, 3)``: each image alone as it is, then several of one size, of a model's and not."""
        for image in self.images:
            yield np.asarray(image.convert("RGB"))[None]
        height, width = size
        sizes = {1: size, 4: (height * 2 // 3 + 1, width // 2 + 1), 17: (height * 3 // 2 + 1, width * 4 // 3 + 1)}
        for count, (h, w) in sizes.items():
            yield np.stack([np.asarray(image.convert("RGB").resize((w, h))) for image in self.images[:count]])


class TorchNetwork:
    """A function from images of one size to the outputs of the network, through the preprocessing of embedding."""

    def __init__(self, session: Any, size: tuple[int, int]) -> None:
        self.session, self.size = session, size

    def __call__(self, pixels: NDArray[np.uint8]) -> ModelOutput:
        """Return the output for ``(b, H, W, 3)``."""
        images = torch.stack([to_tensor(Image.fromarray(each), self.size) for each in pixels])
        output: ModelOutput = self.session.run(images)
        return output


def measure_parity(path: Path, network: TorchNetwork, crops: Crops, *, normalize: bool) -> Parity:
    """Return how well the outputs of a file agree with those of its network.

    Args:
        normalize: whether the file's embeddings are L2-normalized.
    """
    runtime = import_package("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = torch.get_num_threads()
    session = runtime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]
    rows, count = list[dict[str, Tensor]](), 0
    for pixels in crops.batches(network.size):
        arrays = session.run(names, {IMAGES: pixels})
        found = {name: torch.from_numpy(array) for name, array in zip(names, arrays, strict=True)}
        rows.append(_compare(found, network(pixels), normalize=normalize))
        count += len(pixels)
    joined = {name: torch.cat([row[name] for row in rows]) for name in rows[0]}
    return Parity(
        cosine=_least(joined["cosine"]),
        stretch=_most(joined["stretch"]),
        local_cosine=_least(joined[LOCAL]) if LOCAL in joined else None,
        attribute_shift=_most(joined[ATTRIBUTES]) if ATTRIBUTES in joined else None,
        images=count,
        data=crops.place,
    )


def _compare(found: dict[str, Tensor], output: ModelOutput, *, normalize: bool) -> dict[str, Tensor]:
    ours = found[EMBEDDING].double()
    theirs = (F.normalize(output.embedding.double()) if normalize else output.embedding.double()).cpu()
    values = {
        "cosine": F.cosine_similarity(ours, theirs, dim=1),
        "stretch": (ours.norm(dim=1) / theirs.norm(dim=1) - 1).abs(),
    }
    if output.local is not None:
        values[LOCAL] = F.cosine_similarity(found[LOCAL].double(), output.local.double().cpu(), dim=-1).flatten()
    if output.attributes is not None:
        shares = torch.cat([scores.softmax(dim=1) for scores in output.attributes], dim=1)
        values[ATTRIBUTES] = (found[ATTRIBUTES] - shares.cpu()).abs().flatten().double()
    return values


def _least(values: Tensor) -> float:
    return values.min().item()  # NaN if any is


def _most(values: Tensor) -> float:
    return values.max().item()


def check_parity(parity: Parity, name: str, precision: Precision = "float32") -> None:
    """Check that a file agrees with its network as its precision has to.

    Raises:
        OutputError: if it does not.
    """
    if faults := parity.faults(TOLERANCES[precision]):
        fix = "serve the run itself" if precision == "float32" else "export it with --precision float32"
        if precision == "int8":
            fix = "calibrate on images like those it will see (--calibration-data), or use --precision float16"
        raise OutputError(
            f"the ONNX file of {name} gives other embeddings than its run: got {'; '.join(faults)}, over "
            f"{parity.images} images of {parity.data}. No file is written. Fix: {fix}"
        )
