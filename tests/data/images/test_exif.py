from __future__ import annotations

import io
from datetime import datetime

import pytest
from PIL import Image

from passerby.data.images.exif import taken_of
from passerby.data.names.moments import milliseconds


def photograph(kind: str = "JPEG", **tags: str) -> bytes:
    numbers = {"original": 0x9003, "offset": 0x9011, "fraction": 0x9291}
    exif = Image.Exif()
    exif[0x0132] = "2030:01:01 00:00:00"  # when the file was changed, which is of no interest
    for name, value in tags.items():
        exif.get_ifd(0x8769)[numbers[name]] = value
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, kind, exif=exif)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_moment_of_a_photograph(kind: str) -> None:
    there = photograph(kind, original="2024:05:01 12:30:15", offset="+02:00", fraction="25")
    assert taken_of(there) == 1714559415250
    here = photograph(kind, original="2024:05:01 12:30:15")
    assert taken_of(here) == milliseconds(datetime(2024, 5, 1, 12, 30, 15))


@pytest.mark.parametrize("original", ["0000:00:00 00:00:00", "yesterday", "", "2024:05:01"])
def test_no_moment(original: str) -> None:
    assert taken_of(photograph(original=original)) is None


def test_damage_tells_nothing() -> None:
    content = photograph(original="2024:05:01 12:30:15")
    place = content.index(b"2024:05")
    assert taken_of(content[: place - 4]) is None
    assert taken_of(b"Exif\0\0" + content[:40]) is None
    assert taken_of(photograph()) is None
    assert taken_of(b"") is None
