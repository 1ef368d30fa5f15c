"""OpenCV, which decodes videos and which only the extra ``video`` installs."""

from __future__ import annotations

import importlib
import os
from functools import cache
from typing import Any

from passerby.errors import ConfigError, first_line


@cache
def import_opencv() -> Any:
    """Import OpenCV; what it would print about damaged streams is told by errors and results instead.

    Raises:
        ConfigError: if it is not installed.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # FFmpeg writes past Python; -8 is its "quiet"
    os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")
    try:
        return importlib.import_module("cv2")
    except ImportError as error:
        raise ConfigError(
            f"videos need the package opencv-python-headless, which cannot be imported ({first_line(error)}). "
            "Fix: pip install 'passerby[video]'"
        ) from None
