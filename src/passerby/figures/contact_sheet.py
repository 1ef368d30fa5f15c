"""A contact sheet: one image of each person by each camera, people across and cameras down.

It is the first view of a data set: people should differ by more than a color, cameras should differ, and keypoints
should lie where they belong.
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
"""The factor by which keypoints are drawn finer than images, for smooth lines."""


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
    """Draw the images of ``count`` people by ``cameras`` cameras.

    Args:
        split: the split; ``None``: people of all splits.
        count: maximum number of people.
        cameras: maximum number of cameras.
        keypoints: draw the 18 keypoints: those of the right side orange, of the left side blue, hidden ones as rings.
        twins: only people who have a twin (the same colors, other details), twins side by side.
        image: opens an image by its name, for example with heads blurred; ``None``: unchanged.

    Raises:
        DatasetLayoutError: if there are no people to draw, or keypoints or twins are requested and unknown.
    """
    samples = dataset.split(split) if split else [s for name in SPLITS for s in getattr(dataset, name)]
    pids = (_twins(dataset, samples) if twins else people(samples))[:count]
    if not pids:
        raise DatasetLayoutError(
            f"{dataset.source.root} has {'no twins' if twins else 'no people'} to draw. Fix: give other data"
        )
    cells = _first_images(samples, pids)
    camids = sorted({camid for _, camid in cells})[:cameras]
    known = keypoints_in_pixels(dataset.source) if keypoints else None
    shown = {cell: s for cell, s in cells.items() if cell[1] in camids}
    open_image = image or (lambda name: decode(dataset.source.read(name), name=name))
    images = {cell: open_image(s.path) for cell, s in shown.items()}
    if known:
        images = {cell: _draw_keypoints(images[cell], known[s.path]) for cell, s in shown.items()}
    return _arrange(images, pids, camids)


def save_sheet(sheet: Image.Image, path: str | Path) -> None:
    """Write a sheet as PNG or JPEG, by the suffix of the file.

    Raises:
        OutputError: if it cannot be written, or the suffix is another one.
    """
    check_sheet_path(path)
    with atomic_write(path) as partial:
        sheet.save(partial, quality=88)


def check_sheet_path(path: str | Path) -> None:
    """Check that the suffix of a file is one that :func:`save_sheet` writes.

    Raises:
        OutputError: if it is another one.
    """
    if Path(path).suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise OutputError(
            f"a sheet is written as PNG or JPEG: its name must end in .png or .jpg, got {path}. Fix: choose such a name"
        )


def _twins(dataset: Dataset, samples: Sequence[Sample]) -> list[int]:
    groups = twin_groups(dataset.source)
    present = [pid for pid in people(samples) if pid in groups]
    together = Counter(groups[pid] for pid in present)
    return sorted((pid for pid in present if together[groups[pid]] > 1), key=lambda pid: (groups[pid], pid))


def _first_images(samples: Sequence[Sample], pids: Sequence[int]) -> dict[tuple[int, int], Sample]:
    """Return the first image by person and camera; without cameras, a person's images stand below each other."""
    cells: dict[tuple[int, int], Sample] = {}
    number: Counter[int] = Counter()
    for sample in sorted(samples, key=lambda s: (s.camid or 0, s.time or 0, s.path)):
        if sample.pid is None or sample.pid not in pids:
            continue
        row = number[sample.pid] + 1 if sample.camid is None else sample.camid
        number[sample.pid] += 1
        cells.setdefault((sample.pid, row), sample)
    return cells


def _arrange(images: Mapping[tuple[int, int], Image.Image], pids: Sequence[int], camids: Sequence[int]) -> Image.Image:
    """Lay the images out in a grid, with person IDs above and camera IDs beside it."""
    (width, height), _ = Counter(p.size for p in images.values()).most_common(1)[0]
    size = (MARGIN + len(pids) * (width + GAP), MARGIN + len(camids) * (height + GAP))
    sheet, font = Image.new("RGB", size, _PAPER), ImageFont.load_default(_FONT)
    draw = ImageDraw.Draw(sheet)
    for column, pid in enumerate(pids):
        x = MARGIN + column * (width + GAP)
        draw.text((x + width / 2, MARGIN / 2), str(pid), _INK, font, anchor="mm")
        for row, camid in enumerate(camids):
            y = MARGIN + row * (height + GAP)
            image = images.get((pid, camid))
            if image is None:
                draw.rectangle((x, y, x + width - 1, y + height - 1), _EMPTY)
            else:
                sheet.paste(image if image.size == (width, height) else image.resize((width, height)), (x, y))
    for row, camid in enumerate(camids):
        middle = MARGIN + row * (height + GAP) + height / 2
        draw.text((MARGIN / 2, middle), f"c{camid}", _INK, font, anchor="mm")
    return sheet


def _draw_keypoints(image: Image.Image, keypoints: PixelKeypoints) -> Image.Image:
    """Draw the keypoints that lie in an image."""
    size = (image.width * _FINER, image.height * _FINER)
    over = Image.new("RGBA", size)
    draw, points = ImageDraw.Draw(over), (keypoints.xy * np.float32(_FINER)).tolist()
    radius = max(1.0, image.height / 110) * _FINER
    for a, b in BONES:
        if min(keypoints.visibility[a], keypoints.visibility[b]) == VISIBLE:
            draw.line((*points[a], *points[b]), _color(b), round(radius))
    for keypoint, (x, y) in enumerate(points):
        if keypoints.visibility[keypoint] != OUTSIDE:
            box = (x - radius, y - radius, x + radius, y + radius)
            fill = _color(keypoint) if keypoints.visibility[keypoint] == VISIBLE else None
            draw.ellipse(box, fill, _color(keypoint), round(radius / 3))
    whole = Image.alpha_composite(image.convert("RGBA").resize(size, Image.Resampling.BICUBIC), over)
    return whole.resize(image.size, Image.Resampling.LANCZOS).convert("RGB")


def _color(keypoint: int) -> str:
    side = KEYPOINT_NAMES[keypoint].partition("_")[0]
    return {"right": _RIGHT, "left": _LEFT}.get(side, _MIDDLE)
