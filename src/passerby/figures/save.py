"""Write figures to files, the same bytes for the same figure."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from passerby.errors import OutputError, escape_controls
from passerby.files import atomic_write, check_target

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NO_DATE: dict[str, dict[str, None]] = {"png": {}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}
"""The metadata of each format that would depend on the time, removed."""


def check_figure(path: str | Path) -> None:
    """Check, before long work, that a figure can be written to a path; an existing file will be replaced.

    Raises:
        OutputError: if the folder is missing or not writable, or :func:`save_figure` does not write the format.
    """
    _format(path)
    check_target(path, overwrite=True)


def save_figure(figure: Figure, path: str | Path, *, dpi: int = 150) -> None:
    """Write a figure atomically in the format of its suffix: .png, .pdf or .svg. Files contain no date and no path.

    Raises:
        OutputError: if the suffix is another one, or the file cannot be written.
    """
    import matplotlib as mpl

    content, form = io.BytesIO(), _format(path)
    disable_math_text(figure)
    escape_text(figure)
    with mpl.rc_context({"svg.hashsalt": "passerby", "svg.fonttype": "path"}):
        figure.savefig(content, format=form, dpi=dpi, metadata=_NO_DATE[form])
    with atomic_write(path) as partial:
        partial.write_bytes(content.getvalue())


def escape_text(figure: Figure) -> None:
    """Escape control characters of names in every text: an SVG that holds one is no XML."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        if (escaped := escape_controls(text.get_text())) != text.get_text():
            text.set_text(escaped)


def disable_math_text(figure: Figure) -> None:
    """Draw every text literally: a $ in the name of a run, person or file starts no formula (ticks keep powers)."""
    from matplotlib.axis import Axis
    from matplotlib.text import Text
    from matplotlib.ticker import LogFormatterMathtext

    powers = {
        text
        for axis in figure.findobj(Axis)
        if isinstance(axis.get_major_formatter(), LogFormatterMathtext)
        for text in axis.findobj(Text)
        if text is not axis.label
    }
    for text in figure.findobj(Text):
        if text not in powers:
            text.set_parse_math(False)


def _format(path: str | Path) -> str:
    form = Path(path).suffix.lower().removeprefix(".")
    if form not in _NO_DATE:
        *others, last = (f".{known}" for known in _NO_DATE)
        raise OutputError(
            f"cannot write a figure to {path}: expected a name that ends in {', '.join(others)} or {last}. "
            "Fix: choose such a name"
        )
    return form
