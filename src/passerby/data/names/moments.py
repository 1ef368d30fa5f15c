"""The moments in names of files, as milliseconds of Unix time."""

from __future__ import annotations

import re
from datetime import datetime, timezone

from passerby.data.names.zones import zone_of

_DATE = r"(?P<year>(?:19|20)\d\d)(?P<s>[-_.]?)(?P<month>0[1-9]|1[0-2])(?P=s)(?P<day>0[1-9]|[12]\d|3[01])"
_SECONDS = r"(?P<second>\d+)(?:(?:[.,]|[-_](?=\d{3}Z))(?P<fraction>\d+))?"
_TIME = rf"(?P<hour>[01]\d|2[0-3])(?P<t>[-_.:]?)(?P<minute>[0-5]\d)(?:(?P=t){_SECONDS}|(?!(?P=t)\d))"
_MOMENT = re.compile(rf"(?<!\d){_DATE}(?P<between>[T _-]|/|_-_|){_TIME}(?!\d)(?![.,:]\d)")
CLOCK = r"\d{2}[-._:h]?\d{2}(?:[-._:m]?\d{2}(?:[.,]\d{1,9})?)?"
"""The expression of a time of day that a user's pattern names."""


def milliseconds(moment: datetime) -> int:
    """Return a moment in milliseconds of Unix time; one without a zone is of this computer's.

    Raises:
        OverflowError, OSError, ValueError: if this computer cannot tell its zone then.
    """
    return round(moment.astimezone(timezone.utc).timestamp() * 1000)


def moment_in(name: str) -> int | None:
    """Return the moment that a name tells by a date and a time; ``None`` if it tells none, or two different ones.

    A time of day needs its seconds, or separators: four digits after a date are as likely a counter. It is of the zone
    that follows it, or else of this computer's.

    >>> moment_in("cam1/2024-05-01_12-30-15_0003") == moment_in("20240501T123015")
    True
    >>> moment_in("20240501_0003"), moment_in("2024-05-01T12:30:15Z"), moment_in("2024-05-01_12-30-60")
    (None, 1714566615000, None)
    """
    found = {moment for each in _MOMENT.finditer(name) if (moment := _of(each, name[each.end() :])) is not None}
    return found.pop() if len(found) == 1 else None


def moment_of(date: str, time: str | None, after: str = "") -> int | None:
    """Return the moment of a date and a time of day, whatever separates their digits; ``None`` if there is no such.

    Args:
        time: hours and minutes, seconds with a fraction where they are known, and then the zone; ``None``: the day's
            beginning.
        after: what follows in the name, where the zone may be.
    """
    clock = re.match(CLOCK, time or "")
    digits = _digits(date + (clock[0] if clock else ""))
    try:
        zone = zone_of(time[clock.end() :] + after) if time and clock else None
        return _moment(digits, zone)
    except (ValueError, OverflowError, OSError):
        return None


def _of(found: re.Match[str], after: str) -> int | None:
    second, fraction = found["second"], found["fraction"] or ""
    if len(second or "00") != 2 or len(fraction) > 9 or (second is None and not found["t"]):
        return None
    digits = "".join(found[name] or "00" for name in ("year", "month", "day", "hour", "minute", "second"))
    try:
        return _moment(digits + fraction, zone_of(after, standard=found["between"] == "T" or found["t"] == ":"))
    except (ValueError, OverflowError, OSError):
        return None


def _moment(digits: str, zone: timezone | None) -> int:
    digits = digits.ljust(20, "0")
    parts = (digits[:4], digits[4:6], digits[6:8], digits[8:10], digits[10:12], digits[12:14], digits[14:20])
    return milliseconds(datetime(*map(int, parts), tzinfo=zone))  # type: ignore[misc,arg-type]


def _digits(text: str) -> str:
    return "".join(character for character in text if character.isdecimal())
