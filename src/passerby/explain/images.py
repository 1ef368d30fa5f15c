"""Images for figures: as a person may view them, and as a model receives them. Heads of real people are blurred."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from passerby.data.images.blur_faces import Box, blur_box, head_box
from passerby.data.images.decode import open_image, read_all, to_tensor, with_next_step
from passerby.data.keypoints.crops import PartMaker, Rectangles
from passerby.data.keypoints.estimator import PoseEstimator
from passerby.data.keypoints.origin import NETWORK
from passerby.data.source import Source
from passerby.errors import ImageError
from passerby.inference.embed import model_inputs
from passerby.inference.keypoint_source import pose_estimator
from passerby.inference.model import Model
from passerby.types import ModelOutput, Sample

_LOG = logging.getLogger(__name__)


class ImageSet:
    """The images of a source, for figures.

    Args:
        blur: whether to blur heads; ``None``: unless the images are synthetic.
        keypoints: the pose estimator that finds the heads; ``None``: this package's pose network, or none for synthetic
            images.
    """

    def __init__(self, source: Source, *, blur: bool | None = None, keypoints: PoseEstimator | None = None) -> None:
        self.source, self._keypoints = source, keypoints
        self._is_synthetic = source.is_synthetic
        self.blurs = not self._is_synthetic if blur is None else blur
        self._boxes: dict[str, Box] = {}
        if not self.blurs and not self._is_synthetic:
            _warn_unblurred(str(source.root))

    def image(self, name: str) -> Image.Image:
        """Return the image called ``name`` as RGB at its own size, its head blurred if the set blurs."""
        try:
            image = open_image(self.source, name)
        except ImageError as error:
            raise with_next_step(error, self.source.place, "replace it, or leave it out") from None
        if not self.blurs:
            return image
        if name not in self._boxes:
            self._boxes[name] = self._head_box(name, image)
        return blur_box(image, self._boxes[name])

    @cached_property
    def keypoints(self) -> PoseEstimator | None:
        """The pose estimator that finds the heads."""
        return self._keypoints or (None if self._is_synthetic else pose_estimator(NETWORK, self.source))

    def _head_box(self, name: str, image: Image.Image) -> Box:
        if self.keypoints is None:
            return head_box(image.size)
        keypoints = self.keypoints([name], to_tensor(image, (image.height, image.width))[None])
        return head_box(image.size, keypoints.xy[0], keypoints.confidence[0])


@dataclass(frozen=True, eq=False)
class ModelView:
    """A model with some images, as the model receives them and as a person may view them."""

    model: Model
    samples: tuple[Sample, ...]
    inputs: tuple[Tensor, ...]
    """The model's arguments: ``(b, 3, h, w)`` and, if it takes parts, ``(b, p, 3, y, x)``; normalized."""
    input_images: tuple[Image.Image, ...]
    """The first input as a person may view it: same size and crop, heads blurred where the image set blurs."""
    part_images: tuple[tuple[Image.Image, ...], ...]
    """The parts of each image, likewise; empty for a model without parts."""
    rectangles: Rectangles | None
    """The rectangles of bodies and parts, in pixels of images of the model's size."""
    images: tuple[Image.Image, ...]
    """The images at the model's size as a person may view them, before bodies and parts are cropped; without
    crops the same as ``input_images``."""
    pixels: Tensor
    """The same images, ``(b, 3, h, w)``, uint8, never blurred: to modify and pass to the model, not to show."""
    part_maker: PartMaker | None
    """The cropper of bodies and parts; ``None`` for a model of whole images."""

    def __len__(self) -> int:
        return len(self.samples)

    def make_inputs(self, pixels: Tensor, rows: Sequence[int]) -> tuple[Tensor, ...]:
        """Return the model's arguments for modified images, cropped as the images of ``rows`` were.

        Args:
            pixels: ``(n, 3, h, w)``, uint8, at the model's size.
            rows: the row of the original of each image.
        """
        cut = None
        if self.rectangles:
            kept = list(rows)
            cut = Rectangles(self.rectangles.regions[kept], self.rectangles.by_mean_pose[kept])
        return model_inputs(pixels, self.part_maker, cut, self.inputs[0].device, self.model.normalization)

    @cached_property
    def output(self) -> ModelOutput:
        """The model's output in evaluation mode, without gradients."""
        with torch.no_grad():
            output: ModelOutput = self.model.network(*self.inputs)
        return output


def view_samples(model: Model, images: ImageSet, samples: Sequence[Sample]) -> ModelView:
    """Prepare samples as the model receives them, and their images as a person may view them.

    Raises:
        ImageError: if an image cannot be read.
    """
    network, source, size = model.network, images.source, model.size
    names = [sample.path for sample in samples]
    pixels = read_all(source, samples, size)
    maker = model.part_maker(source)
    rectangles = maker.rectangles(names, pixels) if maker else None
    device = next(network.parameters()).device
    inputs = model_inputs(pixels, maker, rectangles, device, model.normalization)
    visible = torch.stack([to_tensor(images.image(name), size) for name in names])
    whole, parts = visible, None
    if maker and rectangles:
        whole, parts = maker.cutter.cut(whole, rectangles.regions)
    return ModelView(
        model,
        tuple(samples),
        inputs,
        tuple(map(_as_image, whole)),
        () if parts is None else tuple(tuple(map(_as_image, each)) for each in parts),
        rectangles,
        tuple(map(_as_image, visible)),
        pixels,
        maker,
    )


def _as_image(pixels: Tensor) -> Image.Image:
    """Convert ``(3, h, w)``, uint8."""
    return Image.fromarray(np.ascontiguousarray(pixels.permute(1, 2, 0).numpy()))


@lru_cache(maxsize=64)
def _warn_unblurred(root: str) -> None:
    _LOG.warning("%s: figures show the faces of real people, as requested; be careful who may view them", root)
