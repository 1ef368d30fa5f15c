"""Decode bytes to uint8 tensors with Pillow; EXIF orientation is applied, decompression bombs are rejected."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from passerby.data.source import Source
from passerby.errors import ImageError
from passerby.types import Sample

FORMATS = ("JPEG", "PNG", "BMP", "WEBP")
"""The formats that are decoded, whatever the file's name says."""
MAX_PIXELS = 64_000_000
"""The largest image that is decoded, 64 megapixels: no person crop comes near."""


def decode(content: bytes, *, name: str) -> Image.Image:
    """Decode ``content`` to an upright RGB image.

    Raises:
        ImageError: if it is not an image, is truncated, or has more than ``MAX_PIXELS``.
    """
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
        if image.width * image.height > MAX_PIXELS:
            raise ImageError(f"{name}: {image.width}×{image.height} pixels, more than {MAX_PIXELS:,}: not decoded")
        return ImageOps.exif_transpose(image).convert("RGB")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageError(f"{name}: its header claims far more than {MAX_PIXELS:,} pixels: not decoded") from None
    except UnidentifiedImageError:
        raise ImageError(f"{name}: not an image ({len(content):,} bytes of something else); remove it") from None
    except (OSError, SyntaxError, ValueError, TypeError, EOFError, struct.error, zlib.error) as error:
        raise ImageError(f"{name}: not a whole image ({error}); {len(content):,} bytes read; replace it") from None


def to_tensor(image: Image.Image, size: tuple[int, int]) -> UInt8[Tensor, "3 h w"]:
    """Return the pixels, resized to ``size`` (height, width) by Pillow's antialiased bilinear filter."""
    height, width = size
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)


def read_image(source: Source, sample: Sample, size: tuple[int, int]) -> UInt8[Tensor, "3 h w"]:
    """Read one sample's image, resized to ``size`` (height, width)."""
    return to_tensor(decode(source.read(sample.path), name=sample.path), size)


def read_batches(
    source: Source, samples: Sequence[Sample], size: tuple[int, int], *, batch_size: int, threads: int = 2
) -> Iterator[UInt8[Tensor, "b 3 h w"]]:
    """Yield images in order, ``batch_size`` or fewer at once; threads decode a batch or two ahead."""
    with ThreadPoolExecutor(threads) as pool:
        waiting = iter(samples)
        ahead = [pool.submit(read_image, source, s, size) for s in islice(waiting, 2 * batch_size)]
        while ahead:
            now, ahead = ahead[:batch_size], ahead[batch_size:]
            batch = torch.stack([f.result() for f in now])
            ahead += [pool.submit(read_image, source, s, size) for s in islice(waiting, batch_size)]
            yield batch


def read_all(
    source: Source, samples: Iterable[Sample], size: tuple[int, int], *, threads: int = 2
) -> UInt8[Tensor, "n 3 h w"]:
    """Read all images as one tensor in memory (n·3·h·w bytes)."""
    ordered = list(samples)
    out = torch.empty((len(ordered), 3, *size), dtype=torch.uint8)
    done = 0
    for batch in read_batches(source, ordered, size, batch_size=256, threads=threads):
        out[done : done + len(batch)] = batch
        done += len(batch)
    return out
