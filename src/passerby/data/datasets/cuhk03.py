"""CUHK03 (Li et al., CVPR 2014): 1,467 people, each seen by one of five pairs of cameras, about five images from each.

*Images* are cropped by a detector (``images=detected``, 14,097; the default) or by hand (``images=labeled``, 14,096).

*Protocols.* ``new`` (the default; Zhong et al., CVPR 2017): 767 people to train on and 700 to test, from the authors'
``cuhk03_new_protocol_config_detected.mat`` or ``…_labeled.mat``. They count 7,365 images to train on, 1,400 queries and
5,332 images in the gallery if detected; 7,368, 1,400 and 5,328 if labeled. ``old`` (Li et al.): 100 people to test,
the 1,367 others to train on, in 20 splits (``split=0`` to 19) from ``testsets`` of ``cuhk-03.mat``. All images of the
100 are queries, and all are the gallery: the evaluation leaves out the query's camera and draws one image per person.

``cuhk03:protocol=old,images=labeled,split=3:/data/cuhk03``. PATH is a ``cuhk-03.mat`` (the new protocol's files beside
it or one folder up), or a folder with

- ``cuhk-03.mat`` at any depth, read in place; or
- ``images_labeled/`` and ``images_detected/`` as torchreid unpacks them (``1_017_2_08.png``: pair, person, camera,
  image), with the files of the new protocol and, for the old, torchreid's ``splits_classic_labeled.json`` or
  ``…_detected.json``, or ``cuhk-03.mat``; or
- ``labeled/`` and ``detected/``, each with ``bounding_box_train``, ``query`` and ``bounding_box_test`` (CUHK03-NP:
  ``0017_c2_8.png``: person, camera, anything), which is the new protocol.

People are numbered across the pairs (843, 440, 77, 58 and 49 people), from 1; in CUHK03-NP, as in its files. Cameras
are the first and the second of a person's pair: evaluation compares the cameras of one person only.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from passerby.compat import FORMER_VALUES
from passerby.data.dataset import Dataset
from passerby.data.datasets.cuhk03_release.names import BOXES, Boxes, boxes_of, sample_of
from passerby.data.datasets.cuhk03_release.release import FILE, ReleaseSource, release_in
from passerby.data.datasets.cuhk03_release.splits import new_split, old_split
from passerby.data.datasets.layout import preview
from passerby.data.datasets.market1501 import read_folders, split_folder
from passerby.data.registry import DATASETS, Reader
from passerby.data.source import Source, is_image, open_source
from passerby.data.variants import one_of, variant_name
from passerby.errors import ConfigError, DatasetLayoutError
from passerby.types import Sample

NAME = "cuhk03"
_BOXES: dict[str, Boxes] = {"labeled": "labeled", "detected": "detected"}
_NAME_NP = re.compile(r"(\d+)_c([12])(_\w+)?\.(?:png|jpe?g)", re.IGNORECASE)


def open_cuhk03(place: str | Path) -> Source:
    """Open the images at a place: the unpacked ones or, if there are none, those of its ``cuhk-03.mat``.

    Raises:
        DatasetLayoutError: if the place does not exist.
    """
    path = Path(place).expanduser()
    if path.suffix == ".mat" and path.is_file():
        return ReleaseSource(path)
    return _with_images(open_source(path))


def _with_images(source: Source) -> Source:
    if any(boxes_of(name) or _boxes_np(name) for name in source.names()):
        return source
    return release_in(source) or source


def _read(
    source: Source, *, protocol: Literal["new", "old"] = "new", images: str = "detected", split: int | None = None
) -> Dataset:
    if protocol == "new" and split is not None:
        raise ConfigError(
            f"split={split} is of the old protocol, the new one has a single split. Fix: set protocol=old"
        )
    source, boxes = _with_images(source), _BOXES[images]
    settings: dict[str, Any] = {"protocol": protocol, "images": images}
    if protocol == "old":
        settings["split"] = split or 0
    name = variant_name(NAME, settings)
    if any(_boxes_np(path) == boxes for path in source.names()):
        return _read_np(source, name, boxes, protocol)
    samples = {posixpath.basename(p): sample_of(source, p) for p in source.names() if boxes_of(p) == boxes}
    if not samples:
        raise DatasetLayoutError(
            f"{source.root} has no {images} images of CUHK03; expected {FILE}, images_{boxes}/ or {boxes}/. "
            "Fix: give the folder of one of these (docs/data.md)"
        )
    parts = new_split(source, boxes) if protocol == "new" else old_split(source, boxes, split or 0, samples)
    if missing := sorted(frozenset[str]().union(*parts) - samples.keys()):
        raise DatasetLayoutError(
            f"{source.root} lacks {len(missing):,} {images} images of the {protocol} protocol: {preview(missing)}. "
            f"Fix: unpack {FILE} again"
        )
    train, query, gallery = (tuple(samples[name] for name in sorted(part)) for part in parts)
    return Dataset(name, source, train, query, gallery, single_shot=protocol == "old", aside=_all_boxes(source))


def _boxes_np(path: str) -> str | None:
    """Return the boxes that an image of CUHK03-NP is cropped by: the name of the folder above the split's."""
    folder = split_folder(path)
    boxes = posixpath.basename(posixpath.dirname(folder)) if folder else ""
    return boxes if boxes in BOXES and is_image(path) else None


def _read_np(source: Source, name: str, boxes: Boxes, protocol: str) -> Dataset:
    if protocol != "new":
        raise DatasetLayoutError(
            f"{source.root} is CUHK03-NP, made for the new protocol. Fix: for the old one, give {FILE}, or the "
            "folders that torchreid unpacks"
        )
    names = [path for path in source.names() if _boxes_np(path) == boxes]
    dataset = read_folders(source, name, _sample_np, "PPPP_cC_….png", names=names)
    return replace(dataset, aside=_all_boxes(source))


def _all_boxes(source: Source) -> frozenset[str]:
    """Return the images of both kinds of boxes, of which a variant reads one."""
    return frozenset(name for name in source.names() if boxes_of(name) or _boxes_np(name))


def _sample_np(path: str) -> Sample | None:
    match = _NAME_NP.fullmatch(posixpath.basename(path))
    return Sample(path, int(match[1]), int(match[2])) if match else None


def _recognizes(names: Sequence[str]) -> bool:
    return any(posixpath.basename(name) == FILE or boxes_of(name) or _is_typical(name) for name in names)


def _is_typical(name: str) -> bool:
    return _boxes_np(name) is not None and _sample_np(name) is not None


SETTINGS = {
    "protocol": one_of("new", "old"),
    "images": one_of("detected", "labeled", also=FORMER_VALUES),
    "split": one_of(*range(20)),
}
DATASETS.register(NAME)(Reader(_read, _recognizes, open=open_cuhk03, settings=SETTINGS))
