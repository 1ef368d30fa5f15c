"""Count the scans of a JPEG before it is decoded: each costs a pass over the whole image."""

from __future__ import annotations

import re

_SOI, _EOI, _SOS = b"\xff\xd8", 0xD9, 0xDA
_NEXT = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)
"""A marker after pixel data, in which FF 00 is the byte FF, and FF D0 … FF D7 only restart the decoder."""
_BARE = (0x01, *range(0xD0, 0xD9))
"""The markers without a length."""


def count_scans(content: bytes) -> int:
    """Return the number of scans of the first image in ``content``; 0 if it is no JPEG. Thumbnails do not count."""
    if not content.startswith(_SOI):
        return 0
    if content.count(bytes((0xFF, _SOS))) < 2:  # as in most images: no need to look where it stands
        return content.count(bytes((0xFF, _SOS)))
    scans, place = 0, len(_SOI)
    while (found := _NEXT.search(content, place)) is not None:
        marker, place = found[1][0], found.end()
        if marker == _EOI:
            break
        scans += marker == _SOS
        if marker not in _BARE:
            place += max(2, int.from_bytes(content[place : place + 2], "big"))
    return scans
