"""The moments in names of files, as milliseconds of Unix time."""

from __future__ import annotations

import re
from datetime import datetime, timezone

_DATE = r"(?P<year>(?:19|20)\d\d)(?P<s>[-_.]?)(?P<month>0[1-9]|1[0-2])(?P=s)(?P<day>0[1-9]|[12]\d|3[01])"
_SECONDS = r"(?P<second>[0-5]\d)(?:[.,](?P<fraction>\d{1,6}))?"
_TIME = rf"(?P<hour>[01]\d|2[0-3])(?P<t>[-_.:]?)(?P<minute>[0-5]\d)(?:(?P=t){_SECONDS})?"
_MOMENT = re.compile(rf"(?<!\d){_DATE}(?:[T _-]|/|_-_|){_TIME}(?!\d)(?!\.\d)")


def milliseconds(moment: datetime) -> int:
    """Return a moment in milliseconds of Unix time; one without a zone is of this computer's.

    Raises:
        OverflowError, OSError, ValueError: if this computer cannot tell its zone then.
    """
    return round(moment.astimezone(timezone.utc).timestamp() * 1000)


def moment_in(name: str) -> int | None:
    """Return the moment that a name tells by a date and a time; ``None`` if it tells none, or two different ones.

    A time of day needs its seconds, or separators: four digits after a date are as likely a counter.

    >>> moment_in("cam1/2024-05-01_12-30-15_0003") == moment_in("20240501T123015")
    True
    >>> moment_in("20240501_0003") is None
    True
    """
    found = {moment for each in _MOMENT.finditer(name) if (moment := _of(each)) is not None}
    return found.pop() if len(found) == 1 else None


def moment_of(date: str, time: str | None) -> int | None:
    """Return the moment of a date and a time of day, whatever separates their digits; ``None`` if there is no such.

    Args:
        time: hours and minutes, and seconds with a fraction where they are known; ``None``: the day's beginning.
    """
    digits = _digits(date + (time or "")).ljust(20, "0")
    parts = (digits[:4], digits[4:6], digits[6:8], digits[8:10], digits[10:12], digits[12:14], digits[14:20])
    try:
        return milliseconds(datetime(*map(int, parts)))  # type: ignore[arg-type]
    except (ValueError, OverflowError, OSError):
        return None


def _of(found: re.Match[str]) -> int | None:
    if not found["t"] and found["second"] is None:
        return None
    time = "".join(found[name] or "00" for name in ("hour", "minute", "second"))
    return moment_of(found["year"] + found["month"] + found["day"], time + (found["fraction"] or ""))


def _digits(text: str) -> str:
    return "".join(character for character in text if character.isdecimal())
