"""A clip of synthetic pedestrians who walk over a street, made in a moment; needs OpenCV."""

from __future__ import annotations

import http.server
import io
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from passerby.data.registry import load
from passerby.data.video.detector import Detections

SIZE = (240, 400)
"""The frames' (height, width)."""
RATE = 10.0
Box = tuple[int, int, int, int]
"""Left, top, width, height."""


def opencv() -> Any:
    """Return OpenCV, or skip the test."""
    return pytest.importorskip("cv2", reason="passerby[video] is not installed")


@dataclass(frozen=True)
class Walk:
    """A person who walks."""

    person: int
    start: int
    """The left side at the first frame, in pixels."""
    speed: int
    """The pixels per frame."""
    top: int = 60
    frames: tuple[int, int] = (0, 1000)
    """The frames in which the person is there: first, and first not."""

    def box(self, frame: int, size: tuple[int, int]) -> Box | None:
        """Return the place in a frame; ``None`` if the person is not wholly in it."""
        left, (height, width) = self.start + self.speed * frame, size
        inside = 0 <= left <= SIZE[1] - width
        return (left, self.top, width, height) if inside and self.frames[0] <= frame < self.frames[1] else None


@lru_cache(maxsize=8)
def figure(person: int, size: tuple[int, int]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return a rendered person ``(h, w, 3)`` and where in the image the person is."""
    source = load("pedestrians", people=3, images=1, cameras=1, size=size).source
    content, labels = source.render(source.names()[person])
    return np.asarray(Image.open(io.BytesIO(content))), labels.parts > 0


@lru_cache(maxsize=4)
def frames(walks: Sequence[Walk], count: int, size: tuple[int, int]) -> list[NDArray[np.uint8]]:
    """Return the frames of a clip, RGB."""
    street = np.full((*SIZE, 3), 150, np.uint8)
    street[150:] = 105
    street[:, ::40] = 120
    street += np.random.default_rng(0).integers(0, 30, (*SIZE, 1), dtype=np.uint8)  # no two places look alike
    made = []
    for number in range(count):
        frame = street.copy()
        for walk in walks:
            if (box := walk.box(number, size)) is not None:
                left, top, width, height = box
                pixels, mask = figure(walk.person, size)
                frame[top : top + height, left : left + width][mask] = pixels[mask]
        made.append(frame)
    return made


WALKS = (Walk(0, 10, 8), Walk(1, 330, -6, frames=(0, 30)), Walk(2, 150, 2, top=80, frames=(12, 40)))
HUMAN = (120, 60)
"""The (height, width) of a person."""
COUNT = 40


def write_clip(file: Path, made: Sequence[NDArray[np.uint8]], rate: float = RATE) -> Path:
    """Write frames as Motion JPEG."""
    cv2 = opencv()
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*"MJPG"), rate, made[0].shape[1::-1])
    assert writer.isOpened()
    for frame in made:
        writer.write(frame[:, :, ::-1])
    writer.release()
    return file


class Scripted:
    """A detector that knows where the people are, one call per frame from the first on, ``every``-th frames."""

    def __init__(self, walks: Sequence[Walk] = WALKS, size: tuple[int, int] = HUMAN, every: int = 1) -> None:
        self.walks, self.size, self.every, self.frame = walks, size, every, 0

    def __call__(self, frame: NDArray[np.uint8]) -> Detections:
        assert frame.shape == (*SIZE, 3)
        found = [box for walk in self.walks if (box := walk.box(self.frame, self.size)) is not None]
        self.frame += self.every
        boxes = np.array([(x, y, x + w, y + h) for x, y, w, h in found], np.float32).reshape(-1, 4)
        return Detections(boxes, np.full(len(found), 0.9, np.float32))


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three people, 40 frames at 10 frames per second."""
    opencv()
    return write_clip(tmp_path_factory.mktemp("clip") / "street.avi", frames(WALKS, COUNT, HUMAN))


class _Stream(http.server.BaseHTTPRequestHandler):
    """Motion JPEG over HTTP, as cameras serve it, for as many frames as there are."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for frame in frames(WALKS, COUNT, HUMAN):
            file = io.BytesIO()
            Image.fromarray(frame).save(file, "JPEG")
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {file.tell()}\r\n\r\n"
            self.wfile.write(head.encode() + file.getvalue() + b"\r\n")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def stream() -> Iterator[str]:
    """A camera that sends Motion JPEG by HTTP."""
    opencv()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Stream)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://user:word@127.0.0.1:{server.server_port}/live.mjpg"
    server.shutdown()
    thread.join()
    server.server_close()
