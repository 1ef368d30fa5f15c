"""Figures inside the page, as SVG or as pixels, with alternative text."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.text import Text
from PIL import Image, features

from passerby.figures.save import disable_math_text
from passerby.report.templates import printable, render

DPI = 144
"""The resolution of pixel figures: sharp up to 1.5 device pixels per CSS pixel, as on many laptops."""
_CSS_DPI = 96
"""The CSS pixels per inch."""
_LADDER = ((1.0, 85), (1.0, 70), (0.8, 70), (0.65, 65))
"""The scales and WebP qualities to try: the first whose file fits the size budget is used."""
_SVG_LIMIT = 100_000
"""The bytes of an SVG beyond which pixels are smaller."""
_TOTAL, _COMMON, _PER_RUN = 5_000_000, 6, 11
"""The bytes of all figures together, the number of figures common to all runs, and the number of figures per run."""
_LABEL = 112
"""The characters of the alternative text that name the scrolling box."""
_budget: ContextVar[int] = ContextVar("budget", default=200_000)
"""The bytes that one figure may have."""


@contextmanager
def size_budget(runs: int) -> Iterator[None]:
    """Limit the figures made meanwhile, so that a page with so many runs stays below five megabytes."""
    before = _budget.set(min(_budget.get(), _TOTAL // (_COMMON + _PER_RUN * runs)))
    try:
        yield
    finally:
        _budget.reset(before)


def show_figure(figure: Figure, *, alt: str, caption: str) -> Markup:
    """Return a figure with its caption, inside the page.

    Args:
        alt: the alternative text: what the figure shows.
    """
    media_type, content = encode_figure(figure)
    width, height = (round(side * _CSS_DPI) for side in figure.get_size_inches())
    return render(
        "figure",
        media_type=media_type,
        content=base64.b64encode(content).decode(),
        width=width,
        height=height,
        alt=alt,
        label=alt[:_LABEL],
        caption=caption,
    )


def encode_figure(figure: Figure) -> tuple[str, bytes]:
    """Return the media type and the bytes of a figure: SVG for lines and text, pixels for images or a large SVG."""
    disable_math_text(figure)
    for text in figure.findobj(Text):
        text.set_text(printable(text.get_text()))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)  # captions repeat it in the reader's fonts
        if figure.findobj(AxesImage):
            return _pixels(figure)
        svg = _svg(figure)
        return ("image/svg+xml", svg) if len(svg) <= min(_SVG_LIMIT, _budget.get()) else _pixels(figure)


def _svg(figure: Figure) -> bytes:
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
        if len(content) <= _budget.get():
            break
    return "image/webp", content


def _saved(image: Image.Image, form: str, **options: bool | int) -> bytes:
    content = io.BytesIO()
    image.save(content, format=form, **options)
    return content.getvalue()
