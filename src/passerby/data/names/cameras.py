"""The camera IDs in names of files and folders: ``cam1/…``, ``camera_02/…``, ``cam1_2024-05-01_12-30-15_0003.png``."""

from __future__ import annotations

import re

_WORD = r"(?:cam|camera|kamera|webcam|ipcam|cctv|ch|channel"
_FOLDER = re.compile(rf"{_WORD}|c)[ _-]?0*(\d{{1,3}})", re.IGNORECASE)
_IN_FILE = re.compile(rf"(?:^|(?P<before>[^_\-. ]*)[_\-. ]){_WORD})0*(?P<camera>\d{{1,3}})(?=$|[_\-. ])", re.IGNORECASE)
_BENCHMARK = re.compile(r"-?\d+_c(\d{1,3})(?:s\d+_|_f\d)")
"""The beginning of names of Market-1501, DukeMTMC-reID and their kin."""
_NUMBERED = re.compile(r"(?:(?P<word>[^\W\d_]+)[ _-]?)?0*(?P<number>\d{1,18})")
_NO_OTHER = re.compile(rf"{_WORD}|c|p|pid|person|id)", re.IGNORECASE)
"""The words before a number that say what it is, not which: ``cam1`` and ``c1`` are one camera."""


def cameras_in(name: str) -> set[int]:
    """Return the cameras that a name without its suffix tells; several where its parts contradict each other.

    In a file's name the number follows the word at once, since ``cam_0003`` may be a counter; and no other word stands
    before it, since ``east_cam1`` and ``west_cam1`` are two.

    >>> cameras_in("camera_02/0003"), cameras_in("0007_cam3_12"), cameras_in("0002_c1s1_000451_03")
    ({2}, {3}, {1})
    >>> cameras_in("east_cam1_0003"), cameras_in("cam_0003"), cameras_in("entrance/3")
    (set(), set(), set())
    """
    *folders, base = name.split("/")
    found = {int(match[1]) for folder in folders if (match := _FOLDER.fullmatch(folder))}
    if benchmark := _BENCHMARK.match(base):
        found.add(int(benchmark[1]))
    return found | {int(match["camera"]) for match in _IN_FILE.finditer(base) if not (match["before"] or "").isalpha()}


def number_in(text: str) -> int | None:
    """Return the number of a text of digits, with or without letters before them; ``None`` for anything else.

    >>> number_in("camera_02"), number_in("c03"), number_in("7"), number_in("entrance")
    (2, 3, 7, None)
    """
    found = _NUMBERED.fullmatch(text)
    return int(found["number"]) if found else None


def word_in(text: str) -> str:
    """Return the word before a number, in small letters; none where it says only what the number is.

    >>> word_in("Entrance_1"), word_in("camera_02"), word_in("7")
    ('entrance', '', '')
    """
    found = _NUMBERED.fullmatch(text)
    word = (found["word"] or "").casefold() if found else ""
    return "" if _NO_OTHER.fullmatch(word) else word
