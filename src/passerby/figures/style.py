"""What all figures share: colors of Okabe and Ito's palette, which color-blind readers tell apart, and sizes.

No meaning is carried by color alone: a symbol, a number or a pattern stands beside it.
"""

from __future__ import annotations

from typing import NamedTuple

FONT = 8
"""Points of all small text."""
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Lines of one figure, in this order; their line styles differ too."""
STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)))
HEAT = "inferno"
"""Color map of maps: dark is low, bright is high, and it ascends in gray prints too."""


class Frame(NamedTuple):
    """Around a picture."""

    color: str
    symbol: str


QUERY = Frame("#000000", "")
RIGHT = Frame("#009E73", "✓")
WRONG = Frame("#D55E00", "✗")
JUNK = Frame("#999999", "–")
"""Counts neither way: same person and camera as the query, or a junk box."""
UNKNOWN = Frame("#999999", "")
"""Nobody said who it is."""
