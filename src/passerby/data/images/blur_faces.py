"""Heads are blurred in figures of real people: a figure is passed on more easily than a data set.

What is covered goes over the picture's whole width, since who is beside the person is nobody's subject, and down to
below the head where joints say surely where that is; else most of the picture, or all of it where nobody is to be seen
as a whole: what a detector took for a person is often a face from near, or a piece of a street with people in it. It is
no promise: a child in front of somebody, or a face that is somewhere else altogether, may stay. What a model sees is
never blurred.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from passerby.data.keypoints.skeleton import JOINTS
from passerby.data.source import Source, is_image
from passerby.errors import ConfigError, DatasetLayoutError
from passerby.synthetic.annotations import MASKS, SETTINGS
from passerby.synthetic.dataset import PedestrianSource, file_name, keys, refuse_unseparable
from passerby.synthetic.settings import Settings

HEAD = tuple(JOINTS.index(name) for name in ("nose", "right_eye", "left_eye", "right_ear", "left_ear"))
NECK = JOINTS.index("neck")
UPPER = 0.3
"""Of a picture's height, which is always covered; heads of pedestrian boxes end at about a fifth."""
UNSURE = 0.7
"""The same, where somebody is seen but nobody surely knows where the head is."""
_SURE_HEAD, _SURE_NECK, _SURE_BODY = 0.8, 0.7, 0.45
"""Confidence of a head's likeliest joint, of the neck, and of all joints on average, below which nothing is sure."""
_MARGIN = 0.6
"""Below the lowest of these joints, of the distance from it to the highest."""
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
    return any(_holds_only(settings, inside, source) for settings, inside in _sets(source))


def _sets(source: Source) -> Iterator[tuple[Settings, PurePath]]:
    """What the source, or a folder around it, says that it was drawn by; and where within that the source lies."""
    try:
        own = _settings(source.read(SETTINGS))
    except DatasetLayoutError:
        own = None
    if own:
        yield own, PurePath()
    root = source.root.expanduser().absolute()
    for folder in root.parents:
        try:
            around = _settings((folder / SETTINGS).read_bytes())
        except OSError:
            continue
        if around:
            yield around, root.relative_to(folder)


def _settings(content: bytes) -> Settings | None:
    """Of a set; ``None`` where it is something else."""
    try:
        said = json.loads(content)
        if not isinstance(said, dict) or said.keys() != Settings().to_dict().keys():
            return None
        chosen = {field.name: said[field.name] for field in fields(Settings)}
        settings = Settings(**{**chosen, "size": tuple(said["size"])})
        refuse_unseparable(settings)
    except (ValueError, TypeError, AttributeError, ConfigError):
        return None
    return settings


def _holds_only(settings: Settings, inside: PurePath, source: Source) -> bool:
    """Whether all pictures of the source are the set's, by their names; a real one laid beside them is none."""
    own = {file_name(settings, key) for key in keys(settings)}
    own |= {f"{MASKS}/{PurePath(name).stem}.png" for name in own}
    pictures = [name for name in source.names() if is_image(name)]
    return bool(pictures) and all((inside / name).as_posix() in own for name in pictures)


def head_box(
    size: tuple[int, int], joints: NDArray[np.float32] | None = None, confidence: NDArray[np.float32] | None = None
) -> Box:
    """What is covered of a picture of ``size`` (width, height): all that is above, and beside, the head.

    Args:
        joints: ``(18, 2)``, fractions of width and height; ``None``: the upper part, :data:`UPPER`, is known to do.
        confidence: ``(18,)``; 0 is a joint that was not found.
    """
    width, height = size
    share = UPPER if joints is None or confidence is None else max(UPPER, _lower_end(joints, confidence))
    return 0, 0, width, min(height, round(share * height))


def _lower_end(joints: NDArray[np.float32], confidence: NDArray[np.float32]) -> float:
    """Of the head, of the picture's height, with a margin."""
    if max(confidence[list(HEAD)]) < _SURE_HEAD or confidence[NECK] < _SURE_NECK:
        return 1.0 if confidence.mean() < _SURE_BODY else UNSURE
    heights = joints[[*(i for i in HEAD if confidence[i] > 0), NECK], 1]
    return float(heights.max() + _MARGIN * np.ptp(heights))


def blurred(image: Image.Image, box: Box) -> Image.Image:
    """A copy in which nobody can tell who is in ``box``: a few cells across, smoothed."""
    head = image.crop(box)
    cells = (_CELLS, max(1, round(_CELLS * head.height / max(1, head.width))))
    few = head.resize(cells, Image.Resampling.BOX).resize(head.size, Image.Resampling.BILINEAR)
    covered = image.copy()
    covered.paste(few.filter(ImageFilter.GaussianBlur(max(1, head.width / _CELLS / 3))), box[:2])
    return covered
