"""What a user hands to a model: files, folders, archives, PIL images, arrays → one source of samples.

Everything is decoded and resized on one path: an array or a PIL image becomes a lossless file in memory first, so that
it gives the embedding that its PNG file gives.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from passerby.data.archive import archive_kind
from passerby.data.images.open import QueryImage, list_images
from passerby.data.images.rgb import upright_rgb
from passerby.data.registry import is_named
from passerby.data.source import Source, is_image
from passerby.errors import DatasetLayoutError, ImageError, ShapeError
from passerby.types import Sample

ImageInput: TypeAlias = "str | Path | Image.Image | NDArray[np.uint8]"
"""One image: a file, ``PLACE::NAME``, a PIL image, or a uint8 array ``(h, w, 3)`` of RGB."""
ImagesInput: TypeAlias = "ImageInput | Sequence[ImageInput]"
"""One image, a list of images, or a place that holds images: a folder, an archive, ``NAME:PATH``."""


class GivenImages(Source):
    """A source of images that a caller handed over: contents by name, or where to read them when needed."""

    def __init__(self, contents: Mapping[str, bytes | str | Path]) -> None:
        super().__init__(Path("given images"))
        self.contents = dict(contents)

    @property
    def place(self) -> str:
        """An empty text, since each name tells where its image is."""
        return ""

    def names(self) -> tuple[str, ...]:
        """Return the names in the order in which the images were given."""
        return tuple(self.contents)

    def read(self, name: str) -> bytes:
        """Return one image as the content of a file."""
        content = self.contents.get(name)
        if content is None:
            raise self.missing(name)
        return content if isinstance(content, bytes) else QueryImage.of(content).content


def collect_images(images: ImagesInput, *, first: int = 0) -> tuple[Source, Sequence[Sample]]:
    """Return the images as a source and samples, in order.

    Args:
        images: one image, a list of images, or a place, of which every image is taken.
        first: the number that images without a name are counted from: ``image 0``, ``image 1`` ….

    Raises:
        ImageError: if something is no image, or the list is empty.
        ShapeError: if an array is not uint8 of shape ``(h, w, 3)``.
        DatasetLayoutError: if a file or place does not exist, or holds no images.
    """
    if isinstance(images, str) and not images.strip():
        raise ImageError("no images: got an empty text, expected the path of an image or of a folder. Fix: give a path")
    if isinstance(images, (str, Path)) and is_place(images):
        return list_images(images, "all")
    if isinstance(images, (str, Path, Image.Image)) or not isinstance(images, Sequence):
        given: Sequence[Any] = [images]
    else:
        given = images
    if not given:
        raise ImageError("no images: got an empty list, expected at least one image. Fix: give one")
    if len(given) == 1 and isinstance(given[0], (str, Path)) and "::" in str(given[0]):
        query = QueryImage.of(given[0])
        return query.source, [query.sample]
    contents: dict[str, bytes | str | Path] = {}
    samples: list[Sample] = []
    for number, image in enumerate(given, start=first):
        name, content = _named_content(number, image)
        contents[name] = content
        samples.append(Sample(path=name))
    return GivenImages(contents), samples


def query_image(image: ImageInput | QueryImage) -> QueryImage:
    """Return one image with what is known of it.

    Raises:
        ImageError: if it is no image.
        ShapeError: if an array is not uint8 of shape ``(h, w, 3)``.
        DatasetLayoutError: if the file does not exist.
    """
    if isinstance(image, QueryImage):
        return image
    if isinstance(image, (str, Path)):
        return QueryImage.of(image)
    return QueryImage.of(_as_pil(0, image))


def is_place(path: str | Path) -> bool:
    """Return whether a path names a place of many images, not one file."""
    if "::" in str(path):
        return False
    if isinstance(path, str) and is_named(path):
        return True
    file = Path(path).expanduser()
    if file.is_file():
        return not is_image(file.name) and archive_kind(file) is not None
    return file.is_dir() or not is_image(file.name)


def _named_content(number: int, image: object) -> tuple[str, bytes | Path]:
    """Return the name of one image of a list, and its content or where to read that."""
    if not isinstance(image, (str, Path)):
        return f"image {number}", _as_file(number, _as_pil(number, image))
    if "::" in str(image):
        return str(image), QueryImage.of(image).content
    file = Path(image).expanduser().resolve()
    if file.is_dir():
        raise ImageError(f"image {number} is the folder '{file}', expected one image. Fix: embed the folder by itself")
    if not file.is_file():
        raise DatasetLayoutError(f"image {number} is '{file}', which does not exist. Fix: give a file's path")
    return str(file), file


def _as_file(number: int, image: Image.Image) -> bytes:
    """Return an image as an upright RGB file: lossless, and uncompressed for speed (a crop takes 0.03 ms, as PNG 8)."""
    file = io.BytesIO()
    try:
        upright_rgb(image, name=f"image {number}").save(file, "BMP")
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError(
            f"image {number} cannot be decoded ({error}). Fix: open the file again, or leave it out"
        ) from None
    return file.getvalue()


def _as_pil(number: int, image: object) -> Image.Image:
    if isinstance(image, Image.Image):
        return image
    expected = "a path, a PIL image or a uint8 array of shape (height, width, 3), RGB"
    if not isinstance(image, np.ndarray):
        raise ImageError(
            f"image {number} is no image: got {type(image).__name__}, expected {expected}. Fix: give one of these"
        )
    if image.dtype != np.uint8:
        raise ShapeError(
            f"image {number} has the wrong type: got an array of {image.dtype}, expected {expected}. "
            "Fix: scale the values to 0…255, then image.astype('uint8')"
        )
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        fix = "pass a batch as a list of its images: list(images)" if image.ndim == 4 else "convert it"
        raise ShapeError(f"image {number} has the wrong shape: got {image.shape}, expected {expected}. Fix: {fix}")
    return Image.fromarray(image)
