"""The frames of a video file or of a stream, in order, with the moment of each.

A file's moments are its container's timestamps, so that variable frame rates are right; frame number by frame rate
where a container has none. A stream's are the moments when its frames arrived.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from passerby.data.video.address import is_stream, without_password
from passerby.data.video.opencv import import_opencv
from passerby.errors import ConfigError, DatasetLayoutError

_WAIT = 10_000
"""The milliseconds to wait for a stream to open, and for its next frame."""
_FRAME_RATE = 25.0
"""The frames per second that are assumed where a container states neither a rate nor timestamps."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of a video."""

    number: int
    """The place in the video, counted from 0; frames that are skipped count."""
    milliseconds: float
    """The time since the first frame."""
    image: NDArray[np.uint8]
    """The pixels ``(h, w, 3)``, RGB."""


class Video:
    """A video file, or a stream, that is read once from its beginning.

    Args:
        address: the path of a file, or the address of a stream (RTSP, HTTP and what else FFmpeg reads).

    Raises:
        DatasetLayoutError: if there is no such file, or it cannot be opened as a video.
        ConfigError: if the extra ``video`` is not installed.
    """

    def __init__(self, address: str | Path) -> None:
        self.is_stream = is_stream(address)
        self.name = without_password(str(address)) if self.is_stream else str(address)
        """The address as it may be shown."""
        self._cv2 = import_opencv()
        self._capture = _opened(self._cv2, address, self.name)
        rate = float(self._capture.get(self._cv2.CAP_PROP_FPS))
        self.rate = rate if 0 < rate <= 1000 else _FRAME_RATE
        """The frames per second that the container states."""
        count = 0 if self.is_stream else int(self._capture.get(self._cv2.CAP_PROP_FRAME_COUNT))
        self.count = count if count > 0 else None
        """The number of frames that the container states; ``None`` where it does not."""
        self.read = 0
        """The number of frames that were decoded so far."""

    def frames(self, every: int = 1) -> Iterator[Frame]:
        """Yield every ``every``-th frame to the end, :attr:`ending` tells which.

        Raises:
            ConfigError: if ``every`` is less than 1.
            DatasetLayoutError: if the video has not a single frame that can be decoded.
        """
        if every < 1:
            raise ConfigError(f"frames are taken every N-th: got {every}, expected 1 or more. Fix: --every 1")
        clock = _Clock(self._capture, self._cv2, self.rate, time.monotonic if self.is_stream else None)
        while self._capture.grab():
            number, self.read = self.read, self.read + 1
            moment = clock.moment(number)
            if number % every == 0 and (image := self._decoded()) is not None:
                yield Frame(number, moment, image)
        if not self.read:
            raise DatasetLayoutError(
                f"'{self.name}' has no frame that can be decoded. Fix: check that it plays, or convert it to MP4"
            )

    def at(self, number: int) -> NDArray[np.uint8] | None:
        """Return a frame, RGB, by jumping to it, which some containers do imprecisely; ``None`` if there is none."""
        self._capture.set(self._cv2.CAP_PROP_POS_FRAMES, number)
        return self._decoded() if self._capture.grab() else None

    def skipped_to(self, number: int) -> NDArray[np.uint8] | None:
        """Return a frame, RGB, by decoding all before it; ``None`` if there is none."""
        while self.read <= number:
            if not self._capture.grab():
                return None
            self.read += 1
        return self._decoded()

    @property
    def ending(self) -> str | None:
        """The sentence about an end that was not expected; ``None`` if a file was read to its end."""
        if self.is_stream:
            return f"the stream '{self.name}' ended after {self.read:,} frames"
        if self.count is not None and self.read < self.count - max(1, self.count // 100):
            return (
                f"'{self.name}' is cut short or damaged: {self.read:,} of {self.count:,} frames could be decoded; "
                "what was found in them is kept"
            )
        return None

    def close(self) -> None:
        """Close the file or the connection."""
        self._capture.release()

    def _decoded(self) -> NDArray[np.uint8] | None:
        done, image = self._capture.retrieve()
        if not done or image is None:
            return None
        if image.ndim == 2:
            image = np.repeat(image[:, :, None], 3, axis=2)
        return np.asarray(image[:, :, 2::-1], np.uint8)


class _Clock:
    """The milliseconds since the first frame."""

    def __init__(self, capture: Any, cv2: Any, rate: float, now: Callable[[], float] | None) -> None:
        self._capture, self._position, self._rate, self._now = capture, cv2.CAP_PROP_POS_MSEC, rate, now
        self._first = self._last = 0.0

    def moment(self, number: int) -> float:
        """Return the time of the frame that was just read."""
        if self._now is not None:
            stamp = self._now() * 1000
        else:
            stamp = float(self._capture.get(self._position))
        if number == 0:
            self._first = stamp
            return 0.0
        found = stamp - self._first
        if not found > self._last:  # no timestamps, or they stand still
            found = self._last + 1000 / self._rate
        self._last = found
        return found


def _opened(cv2: Any, address: str | Path, name: str) -> Any:
    stream = is_stream(address)
    path = str(address) if stream else str(Path(address).expanduser())
    if not stream and not Path(path).is_file():
        raise DatasetLayoutError(f"there is no video '{name}'. Fix: give the path of a file, or a stream's address")
    wait = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _WAIT, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _WAIT] if stream else []
    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1, *wait])
    if capture.isOpened():
        return capture
    if stream:
        raise DatasetLayoutError(
            f"the stream '{name}' cannot be opened within {_WAIT // 1000} s. Fix: check address, password and network"
        )
    raise DatasetLayoutError(
        f"'{name}' cannot be opened as a video: it is damaged, or of a kind that FFmpeg cannot decode. "
        "Fix: check that it plays, or convert it to MP4"
    )
