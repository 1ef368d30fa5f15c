"""Describe files in the errors of all layouts."""

from __future__ import annotations

from collections.abc import Iterable


def preview(items: Iterable[str], *, shown: int = 3) -> str:
    """Return the first few items, and how many more there are.

    >>> preview(["a.jpg", "b.jpg", "c.jpg", "d.jpg"])
    'a.jpg, b.jpg, c.jpg and 1 more'
    """
    listed = list(items)
    more = f" and {len(listed) - shown:,} more" if len(listed) > shown else ""
    return ", ".join(listed[:shown]) + more
