"""One person cut out of a frame, and the name by which it is cut out again.

The name ``0000123_412-96-58-140_9f3a02c1a4b0c2d1.bmp`` tells the frame, the box (left, top, width, height), eight hex
digits of a digest of the pixels and the mean gray values of its four quarters. The digest proves that the same pixels
were found again; where another decoder rounds otherwise, the quarters tell that it is the same image.
"""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from passerby.data.video.boxes import Floats

_NAME = re.compile(r"(\d{7,})_(\d+)-(\d+)-(\d+)-(\d+)_([0-9a-f]{8})([0-9a-f]{8})\.bmp")
_ROUNDING = 3
"""The difference of mean gray values that other decoders may make."""


@dataclass(frozen=True)
class CropName:
    """The facts that the name of a crop tells."""

    frame: int
    box: tuple[int, int, int, int]
    """The left side, top, width and height in pixels."""
    digest: str
    quarters: tuple[int, ...]

    @classmethod
    def of(cls, frame: int, box: tuple[int, int, int, int], pixels: NDArray[np.uint8]) -> CropName:
        """Name the pixels ``(h, w, 3)`` of a box."""
        digest = hashlib.blake2b(np.ascontiguousarray(pixels).tobytes(), digest_size=4).hexdigest()
        return cls(frame, box, digest, _quarters(pixels))

    @classmethod
    def read(cls, name: str) -> CropName | None:
        """Read a name; ``None`` if it is not a crop's."""
        found = _NAME.fullmatch(name)
        if found is None:
            return None
        left, top, width, height = (int(each) for each in found.groups()[1:5])
        return cls(int(found[1]), (left, top, width, height), found[6], tuple(bytes.fromhex(found[7])))

    def __str__(self) -> str:
        box = "-".join(map(str, self.box))
        return f"{self.frame:07}_{box}_{self.digest}{bytes(self.quarters).hex()}.bmp"

    def cut(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the pixels of the box in a frame; fewer where the frame is smaller."""
        left, top, width, height = self.box
        return frame[top : top + height, left : left + width]

    def is_exactly(self, pixels: NDArray[np.uint8]) -> bool:
        """Return whether these are the pixels that were named."""
        return self == CropName.of(self.frame, self.box, pixels)

    def is_nearly(self, pixels: NDArray[np.uint8]) -> bool:
        """Return whether these are the pixels that were named, but for the rounding of another decoder."""
        if pixels.shape[:2] != (self.box[3], self.box[2]):
            return False
        pairs = zip(_quarters(pixels), self.quarters, strict=True)
        return max(abs(a - b) for a, b in pairs) <= _ROUNDING


def _quarters(pixels: NDArray[np.uint8]) -> tuple[int, ...]:
    """Return the mean gray values of the four quarters, rounded."""
    if not pixels.size:
        return (0, 0, 0, 0)
    gray = pixels.astype(np.float64).mean(axis=2)
    halves = (half for row in np.array_split(gray, 2) for half in np.array_split(row, 2, axis=1))
    return tuple(round(float(half.mean())) if half.size else 0 for half in halves)


def whole_box(box: Floats, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return left, top, width and height in whole pixels of the part of a box that is in a frame of (height, width)."""
    height, width = size
    left, top = max(0, int(np.floor(box[0]))), max(0, int(np.floor(box[1])))
    right, bottom = min(width, int(np.ceil(box[2]))), min(height, int(np.ceil(box[3])))
    return left, top, max(0, right - left), max(0, bottom - top)


def as_file(pixels: NDArray[np.uint8]) -> bytes:
    """Return an image as a BMP: without loss, and the same bytes wherever it is written."""
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "BMP")
    return file.getvalue()
