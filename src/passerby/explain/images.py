"""Pictures for figures: as people see them, and as a model was shown them. Heads of real people are blurred."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from passerby.data.images.blur_faces import Box, blurred, head_box
from passerby.data.images.decode import decode, read_all, to_tensor
from passerby.data.keypoints.crops import PartMaker, Rectangles
from passerby.data.keypoints.estimator import PoseEstimator
from passerby.data.keypoints.origin import NETWORK
from passerby.data.source import Source
from passerby.inference.embed import model_inputs
from passerby.inference.keypoint_source import pose_estimator
from passerby.inference.model import Model
from passerby.types import ModelOutput, Sample

_LOG = logging.getLogger(__name__)


class ImageSet:
    """A source's pictures for figures.

    Args:
        blur: blur heads; ``None``: unless nobody in the pictures exists.
        joints: who knows where heads are; ``None``: the pose network of this package, or nobody where nobody exists.
    """

    def __init__(self, source: Source, *, blur: bool | None = None, keypoints: PoseEstimator | None = None) -> None:
        self.source, self._keypoints = source, keypoints
        self._drawn = source.is_synthetic
        self.blurs = not self._drawn if blur is None else blur
        self._boxes: dict[str, Box] = {}
        if not self.blurs and not self._drawn:
            _say_unblurred(str(source.root))

    def image(self, name: str) -> Image.Image:
        """The picture called ``name``, RGB, as large as it is."""
        image = decode(self.source.read(name), name=name)
        if not self.blurs:
            return image
        if name not in self._boxes:
            self._boxes[name] = self._box(name, image)
        return blurred(image, self._boxes[name])

    @cached_property
    def keypoints(self) -> PoseEstimator | None:
        """Who knows where heads are."""
        return self._keypoints or (None if self._drawn else pose_estimator(NETWORK, self.source))

    def _box(self, name: str, image: Image.Image) -> Box:
        if self.keypoints is None:
            return head_box(image.size)
        keypoints = self.keypoints([name], to_tensor(image, (image.height, image.width))[None])
        return head_box(image.size, keypoints.xy[0], keypoints.confidence[0])


@dataclass(frozen=True, eq=False)
class ModelView:
    """Some pictures as a model was shown them."""

    model: Model
    samples: tuple[Sample, ...]
    inputs: tuple[Tensor, ...]
    """What the model is called with: ``(b, 3, h, w)`` and, where it sees parts, ``(b, p, 3, y, x)``; normalized."""
    input_images: tuple[Image.Image, ...]
    """The first of them as people may see it: as large, cut as it is, heads blurred where the album blurs."""
    part_images: tuple[tuple[Image.Image, ...], ...]
    """The parts of each picture, likewise; empty for a model that sees none."""
    rectangles: Rectangles | None
    """Where bodies and parts were cut, in pixels of pictures of the model's size."""
    images: tuple[Image.Image, ...]
    """Of the model's size as people may see them, before bodies and parts are cut; else the same as ``shown``."""
    pixels: Tensor
    """The same, ``(b, 3, h, w)``, uint8, but never blurred: to be altered and shown to the model, not to people."""
    part_maker: PartMaker | None
    """Who cut them; ``None`` for a model that sees whole pictures only."""

    def __len__(self) -> int:
        return len(self.samples)

    def make_inputs(self, images: Tensor, rows: Sequence[int]) -> tuple[Tensor, ...]:
        """What the model would be called with for altered pictures, cut where those of ``rows`` were.

        Args:
            images: ``(n, 3, h, w)``, uint8, of the model's size.
            rows: which of the pictures each was.
        """
        cut = None
        if self.rectangles:
            chosen = list(rows)
            cut = Rectangles(self.rectangles.regions[chosen], self.rectangles.by_mean_pose[chosen])
        return model_inputs(images, self.part_maker, cut, self.inputs[0].device)

    @cached_property
    def output(self) -> ModelOutput:
        """What the model makes of them, in evaluation mode, without gradients."""
        with torch.no_grad():
            output: ModelOutput = self.model.network(*self.inputs)
        return output


def view_samples(model: Model, album: ImageSet, samples: Sequence[Sample]) -> ModelView:
    """Show pictures to a predictor's model.

    Raises:
        ImageError: if a picture cannot be read.
    """
    network, source, size = model.network, album.source, model.size
    names = [sample.path for sample in samples]
    images = read_all(source, samples, size)
    maker = model.part_maker(source)
    rectangles = maker.rectangles(names, images) if maker else None
    device = next(network.parameters()).device
    inputs = model_inputs(images, maker, rectangles, device)
    pictures = torch.stack([to_tensor(album.image(name), size) for name in names])
    whole, parts = pictures, None
    if maker and rectangles:
        whole, parts = maker.cutter.cut(whole, rectangles.regions)
    return ModelView(
        model,
        tuple(samples),
        inputs,
        tuple(map(_as_image, whole)),
        () if parts is None else tuple(tuple(map(_as_image, some)) for some in parts),
        rectangles,
        tuple(map(_as_image, pictures)),
        images,
        maker,
    )


def _as_image(pixels: Tensor) -> Image.Image:
    """Of ``(3, h, w)``, uint8."""
    return Image.fromarray(np.ascontiguousarray(pixels.permute(1, 2, 0).numpy()))


@lru_cache(maxsize=64)
def _say_unblurred(root: str) -> None:
    _LOG.warning("%s: figures show the faces of its people, as was asked for; mind who gets to see them", root)
