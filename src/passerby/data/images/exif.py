"""The moment when a photograph was taken, as its camera wrote it into the file (EXIF)."""

from __future__ import annotations

import io
import re
from datetime import datetime

from PIL import Image

from passerby.data.images.decode import DAMAGE, FORMATS
from passerby.data.names.moments import milliseconds

_MARKS = (b"Exif\0\0", b"eXIf", b"EXIF")
"""The bytes before the metadata in a JPEG, a PNG and a WebP."""
_EXIF, _ORIGINAL, _OFFSET, _SUBSECOND = 0x8769, 0x9003, 0x9011, 0x9291
"""The block of a photograph's data, and DateTimeOriginal, OffsetTimeOriginal and SubsecTimeOriginal in it."""


def taken_of(content: bytes) -> int | None:
    """Return the moment of an image file's ``DateTimeOriginal`` in milliseconds of Unix time; ``None`` without one.

    It is of the zone of ``OffsetTimeOriginal``, or else of this computer's. Damaged metadata tells nothing.
    """
    if not any(mark in content for mark in _MARKS):
        return None
    try:
        found = Image.open(io.BytesIO(content), formats=FORMATS).getexif().get_ifd(_EXIF)
        moment = datetime.strptime(_text(found.get(_ORIGINAL)), "%Y:%m:%d %H:%M:%S")
        if re.fullmatch(r"[+-]\d\d:\d\d", offset := _text(found.get(_OFFSET))):
            moment = datetime.fromisoformat(f"{moment.isoformat()}{offset}")
        fraction = _text(found.get(_SUBSECOND))
        return milliseconds(moment) + (int(fraction.ljust(3, "0")[:3]) if fraction.isdecimal() else 0)
    except (*DAMAGE, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None


def _text(value: object) -> str:
    return value.strip("\0 ") if isinstance(value, str) else ""
