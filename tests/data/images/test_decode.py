"""Decoding: orientation, color, size; and what is not decoded."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from passerby.data.images.decode import decode, read_all, read_batches, read_image, to_tensor
from passerby.data.images.open import QueryImage
from passerby.data.source import Source, open_source
from passerby.errors import ImageError
from passerby.types import Sample


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def gradient(width: int = 8, height: int = 16) -> Image.Image:
    rows = np.linspace(0, 255, height, dtype=np.uint8)[:, None, None]
    return Image.fromarray(np.broadcast_to(rows, (height, width, 3)).copy())


def test_exif_orientation_is_honoured() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90° to show it
    upright = decode(encoded(gradient(), "JPEG", exif=exif), name="x")
    assert upright.size == (16, 8)
    assert upright.getpixel((0, 4)) > upright.getpixel((15, 4))


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    kind = "JPEG" if mode == "CMYK" else "PNG"
    assert decode(encoded(gradient().convert(mode), kind), name="x").mode == "RGB"


def test_tensor_is_height_width_and_resized() -> None:
    tensor = to_tensor(gradient(8, 16), (32, 12))
    assert tensor.shape == (3, 32, 12)
    assert tensor.dtype == torch.uint8
    assert tensor[0, 0, 0] < tensor[0, -1, 0]


def test_a_truncated_jpeg_is_an_error_with_its_name() -> None:
    content = encoded(Image.effect_noise((64, 128), 80).convert("RGB"), "JPEG")
    with pytest.raises(ImageError, match=r"broken\.jpg: not a whole image"):
        decode(content[: len(content) // 2], name="broken.jpg")


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0"))


@pytest.mark.parametrize(("width", "height"), [(100_000, 100_000), (10_000, 9_500), (8_001, 8_000)])
def test_decompression_bombs_are_not_decoded(width: int, height: int) -> None:
    with pytest.raises(ImageError, match="not decoded"):
        decode(png_header(width, height), name="bomb.png")


@pytest.mark.parametrize("content", [b"", b"not an image"])
def test_other_content_is_an_error(content: bytes) -> None:
    with pytest.raises(ImageError, match="x: not an image"):
        decode(content, name="x")


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Source:
    root = tmp_path_factory.mktemp("pictures")
    for i in range(11):
        Image.new("RGB", (4, 8), (i * 10, 0, 0)).save(root / f"{i:02d}.png")
    return open_source(root)


def test_batches_keep_the_order_and_the_last_is_short(folder: Source) -> None:
    samples = [Sample(name) for name in folder.names()]
    batches = list(read_batches(folder, samples, (8, 4), batch_size=4, threads=3))
    assert [len(b) for b in batches] == [4, 4, 3]
    assert torch.cat(batches)[:, 0, 0, 0].tolist() == [i * 10 for i in range(11)]
    assert torch.equal(read_all(folder, samples, (8, 4)), torch.cat(batches))


def test_one_broken_image_of_many_is_an_error_with_a_next_step(folder: Source) -> None:
    (folder.root / "05.png").write_bytes(b"<html>")
    samples = [Sample(name) for name in folder.names()]
    with pytest.raises(
        ImageError, match=r"^05\.png: not an image .* data check \S*pictures\d+\. Fix: replace them, or"
    ):
        read_all(folder, samples, (8, 4))
    with pytest.raises(ImageError, match=r"^05\.png: not an image \(HTML.* are read\)\. Fix: remove it$"):
        read_all(folder, samples[5:6], (8, 4))


def test_a_query_is_decoded_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gradient().save(tmp_path / "q.png")
    query = QueryImage.of(tmp_path / "q.png")
    assert query.image.size == (8, 16)
    monkeypatch.setattr("passerby.data.images.open.decode", lambda *_, **__: pytest.fail("decoded twice"))
    monkeypatch.setattr("passerby.data.images.decode.decode", lambda *_, **__: pytest.fail("decoded twice"))
    assert torch.equal(read_image(query.source, query.sample, (16, 8)), to_tensor(gradient(), (16, 8)))
