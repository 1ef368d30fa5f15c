"""The labels of a dataset as files: attributes in Market-1501's columns, keypoints in COCO's format."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from typing import Any

from passerby.data.attributes.schema import MARKET
from passerby.data.keypoints.skeleton import BONES, KEYPOINT_NAMES, OUTSIDE, Labels
from passerby.synthetic.files import NAME, Key
from passerby.synthetic.people.describe import attributes
from passerby.synthetic.settings import Settings
from passerby.synthetic.street.world import World

COLUMNS = ("person", "outfit", "twin_group", *MARKET.columns)


def attribute_table(settings: Settings, pids: Iterable[int], world: World | None = None) -> str:
    """Return one row per person, or per outfit; people and outfits count from 1, as in file names."""
    world, text = world or World(settings), io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for pid in pids:
        person = world.person(pid)
        twins = "" if person.twin_group is None else person.twin_group
        for outfit in range(2 if settings.two_outfits else 1):
            codes = attributes(person, outfit)
            table.writerow((pid + 1, outfit + 1, twins, *(codes[column] for column in MARKET.columns)))
    return text.getvalue()


def image_entry(number: int, name: str, key: Key, labels: Labels, outfit: int) -> dict[str, Any]:
    """Return an image in COCO's ``images``, with the facts that COCO has no words for."""
    height, width = labels.parts.shape
    return {
        "id": number,
        "file_name": name,
        "height": height,
        "width": width,
        "person": key.pid + 1,
        "camera": key.camid + 1,
        "time": labels.time,
        "outfit": outfit + 1,
        "heading": round(labels.heading, 3),
        "viewpoint": labels.viewpoint,
    }


def keypoints_entry(number: int, labels: Labels) -> dict[str, Any]:
    """Return the person in COCO's ``annotations``; the box of the whole person may reach out of the image."""
    x0, y0, x1, y1 = labels.box
    keypoints: list[float] = []
    for (x, y), code in zip(labels.keypoints.tolist(), labels.visibility.tolist(), strict=True):
        keypoints += [0, 0, 0] if code == OUTSIDE else [round(x, 2), round(y, 2), code]
    return {
        "id": number,
        "image_id": number,
        "category_id": 1,
        "keypoints": keypoints,
        "num_keypoints": int((labels.visibility > OUTSIDE).sum()),
        "bbox": [round(v, 2) for v in (x0, y0, x1 - x0, y1 - y0)],
        "area": int(labels.mask.sum()),
        "iscrowd": 0,
    }


Entries = list[tuple[dict[str, Any], dict[str, Any]]]
"""The entries of each image in COCO's ``images`` and ``annotations``."""


def coco_json(entries: Entries) -> str:
    """Return the content of ``keypoints.json``: images, people, and the names of the keypoints."""
    skeleton = [[a + 1, b + 1] for a, b in BONES]
    category = {
        "id": 1,
        "name": "person",
        "supercategory": "person",
        "keypoints": list(KEYPOINT_NAMES),
        "skeleton": skeleton,
    }
    whole = {
        "info": {"description": f"{NAME}: people who do not exist"},
        "images": [image for image, _ in entries],
        "annotations": [person for _, person in entries],
        "categories": [category],
    }
    return json.dumps(whole, separators=(",", ":")) + "\n"
