"""What names a video: a file by the ending of its name, or the address of a stream."""

from __future__ import annotations

import re
from pathlib import Path

from passerby.errors import DatasetLayoutError

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

    Raises:
        DatasetLayoutError: if it has ``@`` after its host, so that what is the password is not certain.

    >>> without_password("rtsp://admin:secret@10.0.0.7:554/live?token=1")
    'rtsp://10.0.0.7:554/live'
    """
    scheme, _, rest = address.partition("://")
    host = re.split("[/?#]", rest, maxsplit=1)[0]
    if "@" in rest[len(host) :]:
        raise DatasetLayoutError(
            "the address of a stream has '@' after a '/', '?' or '#', so where its password ends is not certain (the "
            "address is not shown). Fix: write these characters of a password as %40, %2F, %3F and %23, also '@' in "
            "a path or query as %40"
        )
    shown = re.split("[?#]", rest[len(host) :], maxsplit=1)[0]
    return f"{scheme.lower()}://{host.rpartition('@')[2]}{shown}"
