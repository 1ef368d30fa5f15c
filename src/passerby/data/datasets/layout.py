"""TODO docstring."""

from __future__ import annotations

from collections.abc import Iterable


def preview(items: Iterable[str], *, shown: int = 3) -> str:
    """The first few, and how many more there are."""
    listed = list(items)
    more = f" and {len(listed) - shown:,} more" if len(listed) > shown else ""
    return ", ".join(listed[:shown]) + more
