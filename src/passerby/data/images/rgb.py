"""Convert an image of any mode to upright 8-bit RGB: the pixels that a viewer shows on a white page.

| image | RGB |
|---|---|
| 8-bit gray, RGB, palette | the same values |
| 16 bits per channel | the high byte, ``value >> 8``, in gray as in color |
| transparency: alpha, premultiplied alpha, a transparent color or palette entry | composited over :data:`BACKGROUND` |
| CMYK, YCCK | Pillow's conversion without profiles |
| 32-bit integers and floats | refused: their range is not known |
| EXIF orientation | applied |
| animation | its first frame |
| color profile, gamma | not applied: values are taken as sRGB |
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps

from passerby.errors import ImageError

BACKGROUND = (255, 255, 255)
"""The color under transparent pixels, white: what is hidden there does not count."""
_SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N")
_NO_RANGE = {"I": "32-bit integers", "F": "32-bit floats"}
_WITH_ALPHA = ("LA", "PA", "RGBA")
_PREMULTIPLIED = {"La": "LA", "RGBa": "RGBA"}


def upright_rgb(image: Image.Image, *, name: str) -> Image.Image:
    """Return ``image`` as upright RGB.

    Raises:
        ImageError: if its pixels have no known range.
    """
    image = ImageOps.exif_transpose(image)
    if image.mode in _NO_RANGE:
        raise ImageError(
            f"{name}: pixels are {_NO_RANGE[image.mode]} (mode {image.mode!r}), whose black and white are not known, "
            "expected 8 or 16 bits. Fix: scale the values to 0…255 and store 8 bits"
        )
    if image.mode in _SIXTEEN_BIT:
        image = _eight_bit(image)
    if image.mode in _PREMULTIPLIED:
        image = image.convert(_PREMULTIPLIED[image.mode])
    if image.mode in _WITH_ALPHA or "transparency" in image.info:
        return _composited(image.convert("RGBA"))
    return image.convert("RGB")


def _eight_bit(image: Image.Image) -> Image.Image:
    """Return a 16-bit gray image as ``L``, or as ``LA`` where one of its values is transparent."""
    values = np.asarray(image).astype(np.uint16)
    gray = Image.fromarray((values >> 8).astype(np.uint8))
    if "transparency" not in image.info:
        return gray
    opaque = Image.fromarray(np.where(values == image.info["transparency"], 0, 255).astype(np.uint8))
    return Image.merge("LA", (gray, opaque))


def _composited(image: Image.Image) -> Image.Image:
    page = Image.new("RGBA", image.size, (*BACKGROUND, 255))
    return Image.alpha_composite(page, image).convert("RGB")
