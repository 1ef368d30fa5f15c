"""Scans are counted without decoding, and too many are not decoded."""

from __future__ import annotations

import io
import time

import pytest
from PIL import Image

from passerby.data.images import decode as decoding
from passerby.data.images.decode import decode
from passerby.data.images.jpeg import count_scans
from passerby.errors import ImageError


def jpeg(size: tuple[int, int] = (64, 32), **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise(size, 90).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def with_scans(content: bytes, further: int) -> bytes:
    """Repeat the last scan of a progressive JPEG."""
    last = content.rindex(b"\xff\xda")
    return content[:-2] + content[last:-2] * further + content[-2:]


@pytest.mark.parametrize(
    ("content", "scans"),
    [
        (jpeg(), 1),
        (jpeg(progressive=True), 6),
        (jpeg(progressive=True, restart_marker_rows=1), 6),
        (with_scans(jpeg(progressive=True), 300), 306),
        (jpeg(comment=b"\xff\xda" * 400), 1),
        (jpeg() + jpeg(), 1),
        (b"\x89PNG\xff\xda", 0),
        (b"\xff\xd8\xff\xda", 1),
        (b"", 0),
    ],
    ids=["one", "progressive", "restarts", "many", "in a comment", "in a second image", "PNG", "cut", "empty"],
)
def test_scans_are_counted(content: bytes, scans: int) -> None:
    assert count_scans(content) == scans


def test_progressive_images_are_decoded() -> None:
    assert decode(jpeg(progressive=True), name="x").size == (64, 32)


def test_thousands_of_scans_are_refused_at_once() -> None:
    content = with_scans(jpeg((800, 800), progressive=True, quality=1), 300)
    start = time.process_time()
    with pytest.raises(ImageError, match=r"x: a JPEG of 800×800 pixels in 306 scans, expected at most 200 .*Fix:"):
        decode(content, name="x")
    assert time.process_time() - start < 1


def test_scans_of_a_large_image_are_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "MAX_SCANNED_PIXELS", 5 * 64 * 32)
    assert decode(jpeg(), name="x").size == (64, 32)
    with pytest.raises(ImageError, match="in 6 scans"):
        decode(jpeg(progressive=True), name="x")
