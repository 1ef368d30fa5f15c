"""Figures inside a page, as vectors or as pixels, with a text for who cannot see them."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.text import Text
from PIL import Image, features

from passerby.figures.save import disable_math_text
from passerby.report.components import Content, Html, element, printable

DPI = 144
"""Of pixels: sharp on a screen of one and a half to a pixel, which most phones and notebooks exceed."""
_INCH = 96
"""Pixels of CSS."""
_LADDER = ((1.0, 85), (1.0, 70), (0.8, 70), (0.65, 65))
"""Shares of a figure's pixels, and how well they are kept: the first that fits its room."""
_MANY = 100_000
"""Bytes of vectors beyond which pixels are smaller."""
_ALL, _COMMON, _OF_A_RUN = 5_000_000, 6, 11
"""Bytes of all figures, were all as large as they may be; how many there are of all runs together, and of each."""
_room: ContextVar[int] = ContextVar("room", default=200_000)
"""Bytes of a figure."""


@contextmanager
def sized(runs: int) -> Iterator[None]:
    """Figures that are made meanwhile are so large that a page of so many runs stays below five megabytes."""
    before = _room.set(min(_room.get(), _ALL // (_COMMON + _OF_A_RUN * runs)))
    try:
        yield
    finally:
        _room.reset(before)


def drawn(figure: Figure, *, alt: str, caption: Content, id: str | None = None) -> Html:  # noqa: A002 - as HTML has it
    """A figure with its caption.

    Args:
        alt: what it shows, for who cannot see it.
    """
    kind, content = encoded(figure)
    width, height = (round(side * _INCH) for side in figure.get_size_inches())
    source = f"data:{kind};base64,{base64.b64encode(content).decode()}"
    image = element("img", src=source, alt=alt, width=width, height=height, style=f"--wide: {width}px")
    label = f"Figure: {alt}"
    box = element("div", image, class_="card", tabindex=0, role="group", aria_label=label[:120])
    return element("figure", box, element("figcaption", caption), id=id)


def encoded(figure: Figure) -> tuple[str, bytes]:
    """Its media type, and what shows it well: lines and words as vectors, unless they are many; else pixels."""
    disable_math_text(figure)
    for words in figure.findobj(Text):
        words.set_text(printable(words.get_text()))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)  # captions say it in the reader's fonts
        if figure.findobj(AxesImage):
            return _pixels(figure)
        vectors = _vectors(figure)
        return ("image/svg+xml", vectors) if len(vectors) <= min(_MANY, _room.get()) else _pixels(figure)


def _vectors(figure: Figure) -> bytes:
    content = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "passerby", "svg.fonttype": "path"}):
        figure.savefig(content, format="svg", metadata={"Date": None})
    return content.getvalue()


def _pixels(figure: Figure) -> tuple[str, bytes]:
    written = io.BytesIO()
    figure.savefig(written, format="png", dpi=DPI)
    image = Image.open(written).convert("RGB")
    if not features.check("webp"):
        return "image/png", _saved(image, "PNG", optimize=True)
    content = b""
    for share, quality in _LADDER:
        small = image.resize((round(share * image.width), round(share * image.height)), Image.Resampling.LANCZOS)
        content = _saved(small if share < 1 else image, "WEBP", quality=quality)
        if len(content) <= _room.get():
            break
    return "image/webp", content


def _saved(image: Image.Image, form: str, **options: bool | int) -> bytes:
    content = io.BytesIO()
    image.save(content, format=form, **options)
    return content.getvalue()
