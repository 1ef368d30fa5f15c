"""Heads are blurred in figures of real people: a figure is passed on more easily than a data set.

Where joints of the head are known, they say where it is; else it is the upper part of the picture, over its whole
width. What a model sees is never blurred.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from passerby.data.pedestrians.annotations import SETTINGS
from passerby.data.pedestrians.dataset import PedestrianSource, file_name, keys, refuse_unseparable
from passerby.data.pedestrians.labels import JOINTS
from passerby.data.pedestrians.settings import Settings
from passerby.data.source import Source, is_image
from passerby.errors import ConfigError, DatasetLayoutError

HEAD = tuple(JOINTS.index(name) for name in ("nose", "right_eye", "left_eye", "right_ear", "left_ear"))
NECK = JOINTS.index("neck")
UPPER = 0.24
"""Of a picture's height, where nobody knows the joints; heads of pedestrian boxes end at about a fifth."""
_MARGIN = 0.6
"""Around the joints, of the distance from the neck to the highest of them."""
_CELLS = 4
"""What a head is reduced to, along its width, before it is smoothed."""

Box = tuple[int, int, int, int]
"""left, top, right, bottom in pixels."""


def is_synthetic(source: Source) -> bool:
    """Whether nobody in the pictures exists: a set that is drawn on demand, or one written by ``data synthesize``.

    So is a folder inside one of these, where every picture below it lies where the set's settings put a picture.
    """
    if isinstance(source, PedestrianSource):
        return True
    try:
        content = json.loads(source.read(SETTINGS))
    except (DatasetLayoutError, ValueError):
        return any(_holds_only(drawn, source) for drawn in _sets_around(source.root))
    return _is_of_a_set(content)


def _is_of_a_set(content: Any) -> bool:
    return isinstance(content, dict) and content.keys() == Settings().to_dict().keys()


class _Drawn(NamedTuple):
    """A set on disk that a folder lies in."""

    root: Path
    settings: Settings


def _sets_around(root: Path) -> Iterator[_Drawn]:
    for folder in root.expanduser().absolute().parents:
        if drawn := _set_at(folder):
            yield drawn


def _set_at(folder: Path) -> _Drawn | None:
    """The set that a folder is; ``None`` where it is none."""
    try:
        content = json.loads((folder / SETTINGS).read_bytes())
        if not _is_of_a_set(content):
            return None
        chosen = {field.name: content[field.name] for field in fields(Settings)}
        settings = Settings(**{**chosen, "size": tuple(content["size"])})
        refuse_unseparable(settings)
    except (OSError, ValueError, TypeError, AttributeError, ConfigError):
        return None
    return _Drawn(folder, settings)


def _holds_only(drawn: _Drawn, source: Source) -> bool:
    """Whether all pictures of the source are the set's, by their names; a real one laid beside them is none."""
    own = {file_name(drawn.settings, key) for key in keys(drawn.settings)}
    inside = source.root.expanduser().absolute().relative_to(drawn.root)
    pictures = [name for name in source.names() if is_image(name)]
    return bool(pictures) and all((inside / name).as_posix() in own for name in pictures)


def head_box(
    size: tuple[int, int], joints: NDArray[np.float32] | None = None, confidence: NDArray[np.float32] | None = None
) -> Box:
    """Where the head of the person is in a picture of ``size`` (width, height).

    Args:
        joints: ``(18, 2)``, fractions of width and height.
        confidence: ``(18,)``; 0 is a joint that was not found.
    """
    width, height = size
    if joints is None or confidence is None:
        return 0, 0, width, round(UPPER * height)
    seen = [i for i in HEAD if confidence[i] > 0]
    if len(seen) < 2 or confidence[NECK] <= 0:
        return 0, 0, width, round(UPPER * height)
    places = joints[[*seen, NECK]] * (width, height)
    margin = _MARGIN * max(float(np.ptp(places[:, 1])), 0.04 * height)
    left, top = places.min(axis=0) - margin
    right, bottom = places.max(axis=0)[0] + margin, places[-1, 1]
    return max(0, int(left)), max(0, int(top - margin)), min(width, round(right)), max(1, min(height, round(bottom)))


def blurred(image: Image.Image, box: Box) -> Image.Image:
    """A copy in which nobody can tell who is in ``box``: a few cells across, smoothed."""
    head = image.crop(box)
    cells = (_CELLS, max(1, round(_CELLS * head.height / max(1, head.width))))
    few = head.resize(cells, Image.Resampling.BOX).resize(head.size, Image.Resampling.BILINEAR)
    covered = image.copy()
    covered.paste(few.filter(ImageFilter.GaussianBlur(max(1, head.width / _CELLS / 3))), box[:2])
    return covered
