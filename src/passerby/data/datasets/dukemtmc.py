"""DukeMTMC-reID (Ristani et al., ECCVW 2016; Zheng et al., ICCV 2017): the folders of Market-1501, its own names.

Names are ``PPPP_cC_fFFFFFFF.jpg``: person, camera, frame. Zheng et al. count 16,522 images of 702 people to train on,
2,228 queries of 702 other people, and 17,661 images in the gallery: of those 702 and of 408 seen by one camera only
(1,110 people there), from 8 cameras. Those 408 have person IDs, unlike distractors, but no queries.

The owner of DukeMTMC withdrew it in 2019. This file reads a copy that the user has; passerby never downloads it.

*Deviations*: as :mod:`~passerby.data.datasets.market1501`: a copy may lack folders, lie at any depth, hold stray files.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from passerby.data.dataset import Dataset
from passerby.data.datasets.market1501 import read_folders, split_folder
from passerby.data.registry import DATASETS, Reader
from passerby.data.source import Source
from passerby.types import Sample

WANTED = "PPPP_cC_fFFFFFFF.jpg"
_NAME = re.compile(r"(\d+)_c(\d+)_f(\d+)(\.(jpe?g|jpe|jfif|png|bmp|webp))+", re.IGNORECASE)


def duke_sample(path: str) -> Sample | None:
    """Return the sample of a path that is named like DukeMTMC-reID's; ``None`` for other names."""
    match = _NAME.fullmatch(path.rsplit("/", 1)[-1])
    return Sample(path, int(match[1]), int(match[2]), time=int(match[3])) if match else None


def _read(source: Source) -> Dataset:
    return read_folders(source, "dukemtmc", duke_sample, WANTED)


def _recognizes(names: Sequence[str]) -> bool:
    return any(split_folder(name) is not None and duke_sample(name) is not None for name in names)


DATASETS.register("dukemtmc")(Reader(_read, _recognizes))
