"""Pixels are those that a viewer shows on white, whatever the mode, the depth or the transparency of the file."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from passerby.data.images.decode import decode
from passerby.data.images.open import QueryImage
from passerby.data.images.rgb import BACKGROUND, upright_rgb
from passerby.errors import ImageError
from passerby.inference.images import collect_images

GRAY = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
COLOR = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
WHITE = list(BACKGROUND)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pixels(image: Image.Image, kind: str = "PNG", **options: object) -> NDArray[np.uint8]:
    decoded = decode(encoded(image, kind, **options), name="x")
    assert decoded.mode == "RGB"
    return np.asarray(decoded)


def test_sixteen_bits_of_gray_are_the_eight_high_ones() -> None:
    low = np.random.default_rng(0).integers(0, 256, GRAY.shape)
    image = Image.fromarray((GRAY.astype(np.uint16) << 8) + low.astype(np.uint16))
    assert image.mode == "I;16"
    assert np.array_equal(pixels(image), pixels(Image.fromarray(GRAY)))


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I;16L"])
def test_sixteen_bits_in_either_byte_order(mode: str) -> None:
    assert upright_rgb(Image.new(mode, (2, 2), 0x1234), name="x").getpixel((0, 0)) == (0x12, 0x12, 0x12)


def png(depth: int, kind: int, row: bytes, *further: bytes) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, depth, kind, 0, 0, 0))
    others = b"".join(chunk(data[:4], data[4:]) for data in further)
    return b"\x89PNG\r\n\x1a\n" + header + others + chunk(b"IDAT", zlib.compress(b"\0" + row)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("kind", "values", "shown"),
    [
        (2, (0x12FF, 0x34FF, 0x56FF), (0x12, 0x34, 0x56)),
        (4, (0x12FF, 0xFFFF), (0x12, 0x12, 0x12)),
        (4, (0x12FF, 0x0000), BACKGROUND),
        (6, (0x12FF, 0x34FF, 0x56FF, 0xFFFF), (0x12, 0x34, 0x56)),
        (6, (0x12FF, 0x34FF, 0x56FF, 0x0000), BACKGROUND),
    ],
    ids=["RGB", "LA", "LA hidden", "RGBA", "RGBA hidden"],
)
def test_sixteen_bits_of_color(kind: int, values: tuple[int, ...], shown: tuple[int, int, int]) -> None:
    content = png(16, kind, struct.pack(f">{len(values)}H", *values))
    assert decode(content, name="x").getpixel((0, 0)) == shown


def test_a_transparent_color_of_sixteen_bits_is_refused() -> None:
    color = struct.pack(">3H", 1, 2, 3)
    with pytest.raises(ImageError, match=r"x: a PNG of 16 bits per channel with a transparent color.*Fix: store 8"):
        decode(png(16, 2, color, b"tRNS" + color), name="x")


@pytest.mark.parametrize("mode", ["I", "F"])
def test_pixels_of_unknown_range_are_refused(mode: str) -> None:
    with pytest.raises(ImageError, match=r"query: pixels are 32-bit .*whose black and white are not known"):
        QueryImage.of(Image.new(mode, (2, 2), 300))


MASK = np.where(np.arange(8) < 4, 0, 255).astype(np.uint8)[None].repeat(8, axis=0)


@pytest.mark.parametrize("hidden", [0, 128, 255])
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_what_is_hidden_under_transparency_does_not_count(hidden: int, kind: str) -> None:
    color = np.where(MASK[..., None] > 0, COLOR, hidden).astype(np.uint8)
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    found = pixels(Image.fromarray(np.dstack([color, MASK])), kind, **options)
    assert (found[:, :4] == WHITE).all()
    assert np.array_equal(found[:, 4:], COLOR[:, 4:])


def test_half_transparency_is_mixed_with_white() -> None:
    assert pixels(Image.new("RGBA", (1, 1), (0, 0, 0, 51)))[0, 0].tolist() == [204, 204, 204]
    assert upright_rgb(Image.new("RGBa", (1, 1), (0, 0, 0, 51)), name="x").getpixel((0, 0)) == (204, 204, 204)
    assert upright_rgb(Image.new("La", (1, 1), (0, 51)), name="x").getpixel((0, 0)) == (204, 204, 204)


def test_opaque_alpha_changes_nothing() -> None:
    assert np.array_equal(pixels(Image.fromarray(np.dstack([COLOR, np.full((8, 8), 255, np.uint8)]))), COLOR)


def test_transparent_gray() -> None:
    found = pixels(Image.merge("LA", (Image.fromarray(GRAY), Image.fromarray(MASK))))
    assert (found[:, :4] == WHITE).all()
    assert np.array_equal(found[:, 4:, 0], GRAY[:, 4:])


@pytest.mark.parametrize(
    ("image", "transparent"),
    [
        (Image.new("L", (1, 1), 7), 7),
        (Image.new("1", (1, 1), 0), 0),
        (Image.new("RGB", (1, 1), (1, 2, 3)), (1, 2, 3)),
        (Image.new("P", (1, 1), 0), 0),
        (Image.new("I;16", (1, 1), 513), 513),
    ],
    ids=lambda value: getattr(value, "mode", ""),
)
def test_a_transparent_color_or_palette_entry(image: Image.Image, transparent: object) -> None:
    assert pixels(image, transparency=transparent)[0, 0].tolist() == WHITE
    assert pixels(image)[0, 0].tolist() != WHITE


def test_gray_of_sixteen_bits_beside_the_transparent_one() -> None:
    assert pixels(Image.new("I;16", (1, 1), 513), transparency=512)[0, 0].tolist() == [2, 2, 2]


def test_a_palette_with_several_alphas() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    assert pixels(image, transparency=bytes([0, 255]))[0].tolist() == [WHITE, [40, 50, 60]]
    assert upright_rgb(image.convert("PA"), name="x").getpixel((1, 0)) == (40, 50, 60)


def test_cmyk_is_not_inverted() -> None:
    found = pixels(Image.new("RGB", (8, 8), (200, 60, 30)).convert("CMYK"), "JPEG", quality=100)
    assert np.abs(found[0, 0].astype(int) - (200, 60, 30)).max() <= 3


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_an_animation_is_its_first_frame(kind: str) -> None:
    first, second = Image.new("RGB", (8, 8), (200, 0, 0)), Image.new("RGB", (8, 8), (0, 0, 200))
    found = pixels(first, kind, save_all=True, append_images=[second])
    assert found[0, 0, 0] > 150
    assert found[0, 0, 2] < 50


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP"])
@pytest.mark.parametrize("array", [GRAY, COLOR], ids=["L", "RGB"])
def test_eight_bits_are_as_pillow_decodes_them(kind: str, array: NDArray[np.uint8]) -> None:
    content = encoded(Image.fromarray(array), kind)
    expected = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    assert np.array_equal(np.asarray(decode(content, name="x")), expected)


def test_images_in_memory_are_read_as_files_are() -> None:
    hidden = Image.fromarray(np.dstack([COLOR, MASK]))
    source, (sample,) = collect_images(hidden)
    assert np.array_equal(np.asarray(decode(source.read(sample.path), name="x")), pixels(hidden))
    assert np.array_equal(np.asarray(QueryImage.of(hidden).image), pixels(hidden))
