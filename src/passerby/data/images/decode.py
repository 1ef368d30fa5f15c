"""Decode bytes to uint8 tensors with Pillow: upright RGB (:mod:`.rgb`), within budgets of bytes, pixels and scans."""

from __future__ import annotations

import io
import shlex
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from passerby.data.images.jpeg import count_scans
from passerby.data.images.rgb import upright_rgb
from passerby.data.source import Source
from passerby.errors import DatasetLayoutError, ImageError, PasserbyError, without_fix
from passerby.types import Sample

OnBroken: TypeAlias = Callable[[Sample, PasserbyError], object]
"""A function that is called with a sample whose image cannot be read, and the error; it may raise another."""
FORMATS = ("JPEG", "PNG", "BMP", "WEBP")
"""The formats that are decoded, whatever the file's name says."""
MAX_PIXELS = 64_000_000
"""The largest image that is decoded, 64 megapixels: no person crop comes near."""
MAX_SCANS = 200
"""The most scans of a JPEG that are decoded: a progressive one has about 10."""
MAX_SCANNED_PIXELS = 16 * MAX_PIXELS
"""The most pixels of all scans together, since each scan passes over the whole image."""
DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    EOFError,
    LookupError,
    ArithmeticError,
    struct.error,
    zlib.error,
)
"""The errors by which Pillow's readers fail on damaged files."""


def decode(content: bytes, *, name: str) -> Image.Image:
    """Decode ``content`` to an upright RGB image.

    Raises:
        ImageError: if it is not an image, is truncated, exceeds ``MAX_PIXELS`` or ``MAX_SCANS``, or has pixels whose
            meaning is not known (:func:`~passerby.data.images.rgb.upright_rgb`).
    """
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
        _check_budgets(image, content, name)
        return upright_rgb(_checked_depth(image, content, name), name=name)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageError(
            f"{name}: its header claims far more than {MAX_PIXELS:,} pixels: not decoded. Fix: shrink or remove it"
        ) from None
    except UnidentifiedImageError:
        raise ImageError(f"{name}: not an image ({_kind(content)}). Fix: remove it") from None
    except DAMAGE as error:
        raise ImageError(f"{name}: not a whole image ({error}); {len(content):,} bytes read. Fix: replace it") from None


def _check_budgets(image: Image.Image, content: bytes, name: str) -> None:
    pixels = image.width * image.height
    if pixels > MAX_PIXELS:
        raise ImageError(
            f"{name}: {image.width}×{image.height} pixels, more than {MAX_PIXELS:,}: not decoded. "
            "Fix: shrink or remove it"
        )
    scans = count_scans(content)
    if scans > MAX_SCANS or (scans > 1 and scans * pixels > MAX_SCANNED_PIXELS):
        raise ImageError(
            f"{name}: a JPEG of {image.width}×{image.height} pixels in {scans:,} scans, expected at most {MAX_SCANS} "
            f"and {MAX_SCANNED_PIXELS:,} pixels in all: not decoded. Fix: store it again, not progressive"
        )


def _checked_depth(image: Image.Image, content: bytes, name: str) -> Image.Image:
    """Return a PNG with its 16-bit pixels as such; Pillow before 11 widens gray ones, and all reduce colored ones."""
    if image.format == "PNG" and image.mode == "RGB" and "transparency" in image.info and content[24:25] == b"\x10":
        raise ImageError(
            f"{name}: a PNG of 16 bits per channel with a transparent color, which is not read. Fix: store 8 bits"
        )
    if image.mode != "I":
        return image
    narrow = Image.fromarray(np.asarray(image).astype(np.uint16))
    narrow.info = image.info
    return narrow


_KINDS = {
    b"GIF8": "a GIF",
    b"II*\0": "a TIFF",
    b"MM\0*": "a TIFF",
    b"\0\0\0\x0cjP  ": "a JPEG 2000",
    b"\xff\x4f\xff\x51": "a JPEG 2000",
    b"\0\0\0\x0cJXL ": "a JPEG XL",
    b"\xff\x0a": "a JPEG XL",
    b"8BPS": "a Photoshop file",
    b"PK": "a zip or an office file",
    b"%PDF": "a PDF",
    b"\0\0\1\0": "an icon",
    b"\x89HDF": "an HDF5 file",
    b"version https://git-lfs": "a Git LFS pointer, not the file: run `git lfs pull`",
    b"<": "HTML, XML or SVG",
}
"""The names of other kinds of files, by their first bytes."""


def _kind(content: bytes) -> str:
    """Return what the content of a file is, for an error."""
    if not content:
        return "the file is empty"
    if content[4:8] == b"ftyp":
        return "HEIC, AVIF or a video"
    known = next((kind for start, kind in _KINDS.items() if content.startswith(start)), None)
    return f"{len(content):,} bytes of something else" if known is None else f"{known}; {', '.join(FORMATS)} are read"


def open_image(source: Source, name: str) -> Image.Image:
    """Return one image of a source, upright and RGB.

    Raises:
        DatasetLayoutError: if there is no such file, or it cannot be read.
        ImageError: if it cannot be decoded.
    """
    decoded = source.image(name)
    return decode(source.read(name), name=name) if decoded is None else decoded


def to_tensor(image: Image.Image, size: tuple[int, int]) -> UInt8[Tensor, "3 h w"]:
    """Return the pixels, resized to ``size`` (height, width) by Pillow's antialiased bilinear filter."""
    height, width = size
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)


def read_image(source: Source, sample: Sample, size: tuple[int, int]) -> UInt8[Tensor, "3 h w"]:
    """Read one sample's image, resized to ``size`` (height, width)."""
    return to_tensor(open_image(source, sample.path), size)


def read_batches(
    source: Source,
    samples: Sequence[Sample],
    size: tuple[int, int],
    *,
    batch_size: int,
    threads: int = 2,
    on_broken: OnBroken | None = None,
) -> Iterator[UInt8[Tensor, "b 3 h w"]]:
    """Yield images in order, ``batch_size`` or fewer at once; threads decode a batch or two ahead.

    An image that cannot be read is left out of its batch if ``on_broken`` returns, and else an error, which says how to
    find all others like it.
    """
    if len(samples) == 1:  # to start threads would take longer
        if batch := list(_readable([(samples[0], _read_now(source, samples[0], size))], on_broken or _raise)):
            yield torch.stack(batch)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting = iter(samples)
        ahead = [(s, pool.submit(read_image, source, s, size)) for s in islice(waiting, 2 * batch_size)]
        while ahead:
            now, ahead = ahead[:batch_size], ahead[batch_size:]
            batch = list(_readable(now, on_broken or partial(_stop, source)))
            ahead += [(s, pool.submit(read_image, source, s, size)) for s in islice(waiting, batch_size)]
            if batch:
                yield torch.stack(batch)


def _read_now(source: Source, sample: Sample, size: tuple[int, int]) -> Future[Tensor]:
    """Return a finished future with an image, or the error."""
    done = Future[Tensor]()
    try:
        done.set_result(read_image(source, sample, size))
    except Exception as error:  # noqa: BLE001 - whatever a thread would have kept
        done.set_exception(error)
    return done


def _readable(images: Iterable[tuple[Sample, Future[Tensor]]], on_broken: OnBroken) -> Iterator[UInt8[Tensor, "3 h w"]]:
    for sample, image in images:
        error = image.exception()
        if error is None:
            yield image.result()
        elif not isinstance(error, (ImageError, DatasetLayoutError)):
            raise error
        else:
            on_broken(sample, error)


def _raise(_: Sample, error: PasserbyError) -> None:
    raise error


def _stop(source: Source, _: Sample, error: PasserbyError) -> None:
    raise with_next_step(error, source.place, "replace them, or leave them out")


def with_next_step(error: PasserbyError, place: str, fix: str) -> PasserbyError:
    """Return the error of one of many images, with how to find all that are like it, and what to do then."""
    listed = f" All images that cannot be read are listed by: passerby data check {shlex.quote(place)}." * bool(place)
    return type(error)(f"{without_fix(error)}.{listed} Fix: {fix}")


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
