"""What follows a time of day in a name: its zone, or that it is of a clock of twelve hours."""

from __future__ import annotations

import re
from datetime import timedelta, timezone

_NO_WORD = r"(?![^\W_])"
_OFFSET = r"(?P<sign>[+-])(?P<hours>\d\d)(?P<colon>:?)(?P<minutes>\d\d)?(?!\d)"
_UTC = re.compile(rf"(?:Z|[ _-]?(?:UTC|GMT)(?![+-]\d)){_NO_WORD}", re.IGNORECASE)
_ZONE = re.compile(rf"(?:[ _-]?(?P<named>UTC|GMT)|[ _]?){_OFFSET}", re.IGNORECASE)
_UNCLEAR = re.compile(
    r"[\s_.-]?[ap]\.?m(?![^\W\d_])"  # noon or midnight is twelve, and 02 is 14 o'clock
    r"|[ _-]?(?:UTC|GMT)[+-]|[ _]?\+",
    re.IGNORECASE,
)
_LARGEST = 14


def zone_of(after: str, *, standard: bool = False) -> timezone | None:
    """Return the zone that follows a time of day: ``Z``, ``UTC``, ``+02:00``, ``+0200``; ``None`` if none does.

    Args:
        after: the text after the time of day.
        standard: whether it is written as in ISO 8601, where ``-0700`` is a zone; it is a counter otherwise.

    Raises:
        ValueError: if a zone or half of the day follows that is not understood.

    >>> zone_of("Z_0003") == timezone.utc, zone_of("-0700"), zone_of("-0700", standard=True)
    (True, None, datetime.timezone(datetime.timedelta(days=-1, seconds=61200)))
    """
    if _UTC.match(after):
        return timezone.utc
    if (found := _ZONE.match(after)) and (standard or found["named"] or found["colon"] or found["sign"] == "+"):
        return _offset(found)
    if _UNCLEAR.match(after):
        raise ValueError(f"the zone of {after!r} is not clear")
    return None


def _offset(found: re.Match[str]) -> timezone:
    hours, minutes = int(found["hours"]), int(found["minutes"] or 0)
    no_counter = found["sign"] == "+" or found["minutes"] is not None
    if hours > _LARGEST or minutes not in (0, 15, 30, 45) or not no_counter:
        raise ValueError(f"{found[0]!r} is no zone")
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(offset if found["sign"] == "+" else -offset)
