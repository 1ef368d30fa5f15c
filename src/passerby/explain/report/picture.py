"""Figures inside a page: as vector graphics or as pixels, whichever is smaller, with a text for who cannot see them."""

from __future__ import annotations

import base64
import io

import matplotlib as mpl
from matplotlib.figure import Figure
from PIL import Image, features

from passerby.explain.report.html import Content, Html, element

DPI = 144
"""Of pixels: sharp on a screen of one and a half to a pixel, which most phones and notebooks exceed."""
_INCH = 96
"""Pixels of CSS."""
_LARGE = 150_000
"""Bytes from which on pixels may lose a little: photographs do not compress."""
_QUALITY = 82


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
    """Its media type, and the smallest content that shows it well."""
    pixels = _pixels(figure)
    vectors = "image/svg+xml", _vectors(figure)
    return vectors if len(vectors[1]) <= len(pixels[1]) else pixels


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
    exact = _saved(image, "WEBP", lossless=True)
    return "image/webp", exact if len(exact) <= _LARGE else _saved(image, "WEBP", quality=_QUALITY)


def _saved(image: Image.Image, form: str, **options: bool | int) -> bytes:
    content = io.BytesIO()
    image.save(content, format=form, **options)
    return content.getvalue()
