"""TODO docstring."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from passerby.errors import OutputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
from passerby.files import atomic_write, check_target

_UNDATED: dict[str, dict[str, None]] = {"png": {}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}
"""What formats of figures would say of the time."""


def check_figure(path: str | Path) -> None:
    """Find out before long work whether a figure can be written there; one that exists is replaced.

    Raises:
        OutputError: as :func:`check_target`, or for another format than :func:`save_figure` writes.
    """
    _format(path)
    check_target(path, overwrite=True)


def save_figure(figure: Figure, path: str | Path, *, dpi: int = 150) -> None:
    """Write a figure whole or not at all, as its suffix says: .png, .pdf or .svg. Files tell no date and no place.

    Raises:
        OutputError: for another suffix, or if it cannot be written.
    """
    import matplotlib as mpl

    content, form = io.BytesIO(), _format(path)
    disable_math_text(figure)
    with mpl.rc_context({"svg.hashsalt": "passerby", "svg.fonttype": "path"}):
        figure.savefig(content, format=form, dpi=dpi, metadata=_UNDATED[form])
    with atomic_write(path) as partial:
        partial.write_bytes(content.getvalue())


def disable_math_text(figure: Figure) -> None:
    """Take words literally: a $ in the name of a run, a person or a file begins no formula (powers along axes do)."""
    from matplotlib.axis import Axis
    from matplotlib.text import Text
    from matplotlib.ticker import LogFormatterMathtext

    powers = {
        words
        for axis in figure.findobj(Axis)
        if isinstance(axis.get_major_formatter(), LogFormatterMathtext)
        for words in axis.findobj(Text)
        if words is not axis.label
    }
    for words in figure.findobj(Text):
        if words not in powers:
            words.set_parse_math(False)


def _format(path: str | Path) -> str:
    form = Path(path).suffix.lower().removeprefix(".")
    if form not in _UNDATED:
        *others, last = (f".{known}" for known in _UNDATED)
        raise OutputError(f"cannot draw to {path}: a figure's name ends in {', '.join(others)} or {last}; choose one")
    return form
