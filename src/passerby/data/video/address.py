"""What names a video: a file by the ending of its name, or the address of a stream."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

VIDEO_SUFFIXES = (
    ".3gp", ".asf", ".avi", ".flv", ".m2ts", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts",
    ".ogv", ".ts", ".webm", ".wmv",
)  # fmt: skip
"""The endings of the names of video files."""
_STREAM = re.compile(r"(rtsps?|https?|rtmps?|udp|tcp|srt|rtp)://", re.IGNORECASE)


def is_stream(address: str | Path) -> bool:
    """Return whether a text is the address of a stream."""
    return isinstance(address, str) and _STREAM.match(address) is not None


def is_video(address: str | Path) -> bool:
    """Return whether a text is the address of a stream, or the path of a file whose name ends like a video's."""
    return is_stream(address) or str(address).lower().endswith(VIDEO_SUFFIXES)


def without_password(address: str) -> str:
    """Return the address of a stream as it may be shown and stored: without user, password, query and fragment.

    >>> without_password("rtsp://admin:secret@10.0.0.7:554/live?token=1")
    'rtsp://10.0.0.7:554/live'
    """
    parts = urlsplit(address)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
