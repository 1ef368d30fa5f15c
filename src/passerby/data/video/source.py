"""The crops of a video as a source of images: each is cut out of its frame again when it is read."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from passerby.data.source import Source
from passerby.data.video.address import is_stream, without_password
from passerby.data.video.crop import CropName, as_file
from passerby.data.video.frames import Video
from passerby.errors import DatasetLayoutError


class VideoCrops(Source):
    """The crops of a video file, by :class:`~passerby.data.video.crop.CropName`.

    A frame is jumped to; where that does not give the very same pixels, it is found by decoding all before it.

    Args:
        root: the video.
        held: crops that are in memory, by name, as the content of their files.
    """

    def __init__(self, root: Path, held: Mapping[str, bytes] | None = None) -> None:
        super().__init__(root)
        self._held = dict(held or {})
        self._lock = threading.Lock()
        self._video: Video | None = None
        self._last: tuple[int, NDArray[np.uint8]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"root": self.root, "held": self._held}

    def __setstate__(self, state: dict[str, Any]) -> None:
        type(self).__init__(self, state["root"], state["held"])

    def names(self) -> tuple[str, ...]:
        """Return the crops in memory: of all others only galleries tell the names."""
        return tuple(sorted(self._held))

    def has(self, name: str) -> bool:
        """Return whether a name is a crop's and the video is there; the frame is not looked for."""
        return name in self._held or (CropName.read(name) is not None and self.root.expanduser().is_file())

    def read(self, name: str) -> bytes:
        """Return one crop as the content of a BMP file.

        Raises:
            DatasetLayoutError: if the name is none, the video is gone, or it no longer holds this crop.
        """
        if name in self._held:
            return self._held[name]
        wanted = CropName.read(name)
        if wanted is None:
            raise self.missing(name)
        with self._lock:
            frame = self._jumped(wanted.frame)
            if frame is not None and wanted.is_exactly(pixels := wanted.cut(frame)):
                return as_file(pixels)
            frame = self._decoded(wanted.frame)
        if frame is not None and wanted.is_nearly(pixels := wanted.cut(frame)):
            return as_file(pixels)
        raise DatasetLayoutError(
            f"'{self.root}' no longer holds the crop {name!r}: frame {wanted.frame:,} shows other things, or is gone. "
            "Fix: put the video back that was added"
        )

    def missing(self, name: str) -> DatasetLayoutError:
        """Return the error of a name that is not a crop's."""
        return DatasetLayoutError(f"{self.root} has no crop {name!r}. Fix: give a name that a gallery has")

    def _jumped(self, number: int) -> NDArray[np.uint8] | None:
        if self._last is not None and self._last[0] == number:
            return self._last[1]
        if self._video is None:
            self._video = Video(self.root)
        frame = self._video.at(number)
        self._last = None if frame is None else (number, frame)
        return frame

    def _decoded(self, number: int) -> NDArray[np.uint8] | None:
        self._last = None
        video = Video(self.root)
        try:
            return video.skipped_to(number)
        finally:
            video.close()


class StreamCrops(Source):
    """The crops of a stream: those in memory can be read, but none again later.

    Args:
        address: the address of the stream.
        held: the crops, by name, as the content of their files.
    """

    is_lasting = False

    def __init__(self, address: str, held: Mapping[str, bytes] | None = None) -> None:
        super().__init__(Path("stream"))
        self._address, self._held = without_password(address), dict(held or {})

    @property
    def place(self) -> str:
        """The address without user and password."""
        return self._address

    def names(self) -> tuple[str, ...]:
        """Return the crops in memory."""
        return tuple(sorted(self._held))

    def read(self, name: str) -> bytes:
        """Return a crop that is in memory.

        Raises:
            DatasetLayoutError: if it is not.
        """
        if name not in self._held:
            raise self.missing(name)
        return self._held[name]

    def missing(self, name: str) -> DatasetLayoutError:
        """Return the error of a crop that cannot be read again."""
        return DatasetLayoutError(
            f"the stream '{self._address}' cannot be read again, so the image {name!r} is gone: galleries keep "
            "thumbnails of a stream's crops. Fix: record the stream to a file, and add that"
        )


def open_video(address: str | Path) -> Source:
    """Open the crops of a video file.

    Raises:
        DatasetLayoutError: if it does not exist, or is a stream, which cannot be read again.
    """
    if is_stream(address):
        raise DatasetLayoutError(
            f"'{without_password(str(address))}' is an address: a stream cannot be read again, galleries keep "
            "thumbnails of its crops. Fix: fetch or record it to a file, and give its path"
        )
    file = Path(address).expanduser()
    if not file.is_file():
        raise DatasetLayoutError(f"there is no video '{address}'. Fix: put it back, or give its path")
    return VideoCrops(file)
