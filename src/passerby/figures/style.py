"""The colors and sizes of all figures: the palette of Okabe and Ito, which color-blind readers can distinguish.

Color alone never carries a meaning: a symbol, a number or a pattern stands beside it.
"""

from __future__ import annotations

from typing import NamedTuple

FONT = 8
"""The size of all small text in points."""
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""The colors of the lines of one figure, in this order; their line styles differ too."""
STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)))
HEAT = "inferno"
"""The color map of heatmaps: dark is low, bright is high, also when printed in gray."""


HATCH = "////"
"""The pattern of a value that rests on few queries."""


class Frame(NamedTuple):
    """The frame of an image, with the symbol of the same meaning."""

    color: str
    symbol: str


QUERY = Frame("#000000", "")
RIGHT = Frame("#009E73", "✓")
WRONG = Frame("#D55E00", "✗")
JUNK = Frame("#999999", "–")
"""The frame of an image that counts neither way: the query's person and camera, or a junk box."""
UNKNOWN = Frame("#999999", "")
"""The frame of an image of unknown identity."""
