"""A contact sheet: one picture of each person by each camera, people across and cameras down.

What one looks at first in a data set: are the people told apart by more than a color, do the cameras differ,
are the joints where they belong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from passerby.data.attributes.twins import twin_groups
from passerby.data.dataset import SPLITS, Dataset, Split, people
from passerby.data.images.decode import decode
from passerby.data.keypoints.in_pixels import PixelKeypoints, keypoints_in_pixels
from passerby.data.keypoints.skeleton import BONES, KEYPOINT_NAMES, OUTSIDE, VISIBLE
from passerby.errors import DatasetLayoutError, OutputError
from passerby.files import atomic_write
from passerby.types import Sample

GAP, MARGIN, _FONT = 2, 18, 12
_PAPER, _INK, _EMPTY = "white", "black", "#dddddd"
_RIGHT, _LEFT, _MIDDLE = "#D55E00", "#56B4E9", "#F0E442"
_FINER = 4
"""Joints are drawn so many times finer than pictures, for smooth lines."""


def contact_sheet(
    dataset: Dataset,
    *,
    split: Split | None = None,
    count: int = 12,
    cameras: int = 6,
    keypoints: bool = False,
    twins: bool = False,
    image: Callable[[str], Image.Image] | None = None,
) -> Image.Image:
    """Draw ``count`` people before ``cameras`` cameras.

    Args:
        split: of it only; by default people of all splits.
        joints: draw the 18 joints: her right ones orange, her left ones blue, hidden ones as rings.
        twins: only people who have a twin (the same colors, other details), twins side by side.
        image: gives a picture by its name, with heads blurred, for example; ``None``: as it is in the data set.

    Raises:
        DatasetLayoutError: if nobody is there to draw, or joints or twins are asked for and unknown.
    """
    samples = dataset.split(split) if split else [s for name in SPLITS for s in getattr(dataset, name)]
    who = (_twins(dataset, samples) if twins else people(samples))[:count]
    if not who:
        raise DatasetLayoutError(f"{dataset.source.root} has {'no twins' if twins else 'nobody'} to draw")
    cells = _first_pictures(samples, who)
    where = sorted({camid for _, camid in cells})[:cameras]
    known = keypoints_in_pixels(dataset.source) if keypoints else None
    shown = {cell: s for cell, s in cells.items() if cell[1] in where}
    open_picture = image or (lambda name: decode(dataset.source.read(name), name=name))
    pictures = {cell: open_picture(s.path) for cell, s in shown.items()}
    if known:
        pictures = {cell: _with_keypoints(pictures[cell], known[s.path]) for cell, s in shown.items()}
    return _arrange(pictures, who, where)


def save_sheet(sheet: Image.Image, path: str | Path) -> None:
    """Write it as what the file's name says: PNG or JPEG.

    Raises:
        OutputError: if it cannot be written, or the name says neither.
    """
    check_sheet_path(path)
    with atomic_write(path) as partial:
        sheet.save(partial, quality=88)


def check_sheet_path(path: str | Path) -> None:
    """Refuse names of files that a sheet cannot be written to."""
    if Path(path).suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise OutputError(f"a sheet is written as PNG or JPEG: end its name in .png or .jpg, got {path}")


def _twins(dataset: Dataset, samples: Sequence[Sample]) -> list[int]:
    groups = twin_groups(dataset.source)
    present = [pid for pid in people(samples) if pid in groups]
    together = Counter(groups[pid] for pid in present)
    return sorted((pid for pid in present if together[groups[pid]] > 1), key=lambda pid: (groups[pid], pid))


def _first_pictures(samples: Sequence[Sample], who: Sequence[int]) -> dict[tuple[int, int], Sample]:
    """By person and camera; where cameras are unknown, a person's pictures stand one below the other."""
    cells: dict[tuple[int, int], Sample] = {}
    seen: Counter[int] = Counter()
    for sample in sorted(samples, key=lambda s: (s.camid or 0, s.time or 0, s.path)):
        if sample.pid is None or sample.pid not in who:
            continue
        row = seen[sample.pid] + 1 if sample.camid is None else sample.camid
        seen[sample.pid] += 1
        cells.setdefault((sample.pid, row), sample)
    return cells


def _arrange(pictures: Mapping[tuple[int, int], Image.Image], who: Sequence[int], where: Sequence[int]) -> Image.Image:
    """The pictures in a grid, with the numbers of people above and of cameras beside it."""
    (width, height), _ = Counter(p.size for p in pictures.values()).most_common(1)[0]
    size = (MARGIN + len(who) * (width + GAP), MARGIN + len(where) * (height + GAP))
    sheet, font = Image.new("RGB", size, _PAPER), ImageFont.load_default(_FONT)
    draw = ImageDraw.Draw(sheet)
    for column, pid in enumerate(who):
        x = MARGIN + column * (width + GAP)
        draw.text((x + width / 2, MARGIN / 2), str(pid), _INK, font, anchor="mm")
        for row, camid in enumerate(where):
            y = MARGIN + row * (height + GAP)
            picture = pictures.get((pid, camid))
            if picture is None:
                draw.rectangle((x, y, x + width - 1, y + height - 1), _EMPTY)
            else:
                sheet.paste(picture if picture.size == (width, height) else picture.resize((width, height)), (x, y))
    for row, camid in enumerate(where):
        middle = MARGIN + row * (height + GAP) + height / 2
        draw.text((MARGIN / 2, middle), f"c{camid}", _INK, font, anchor="mm")
    return sheet


def _with_keypoints(picture: Image.Image, pose: PixelKeypoints) -> Image.Image:
    """The picture with the joints that lie in it."""
    size = (picture.width * _FINER, picture.height * _FINER)
    over = Image.new("RGBA", size)
    draw, points = ImageDraw.Draw(over), (pose.points * np.float32(_FINER)).tolist()
    radius = max(1.0, picture.height / 110) * _FINER
    for a, b in BONES:
        if min(pose.visibility[a], pose.visibility[b]) == VISIBLE:
            draw.line((*points[a], *points[b]), _color(b), round(radius))
    for keypoint, (x, y) in enumerate(points):
        if pose.visibility[keypoint] != OUTSIDE:
            box = (x - radius, y - radius, x + radius, y + radius)
            fill = _color(keypoint) if pose.visibility[keypoint] == VISIBLE else None
            draw.ellipse(box, fill, _color(keypoint), round(radius / 3))
    whole = Image.alpha_composite(picture.convert("RGBA").resize(size, Image.Resampling.BICUBIC), over)
    return whole.resize(picture.size, Image.Resampling.LANCZOS).convert("RGB")


def _color(keypoint: int) -> str:
    side = KEYPOINT_NAMES[keypoint].partition("_")[0]
    return {"right": _RIGHT, "left": _LEFT}.get(side, _MIDDLE)
