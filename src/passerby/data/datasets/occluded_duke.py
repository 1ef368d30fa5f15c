"""Occluded-DukeMTMC (Miao et al., ICCV 2019): the images of DukeMTMC-reID in another split, with occluded queries.

Layout and names are those of :mod:`~passerby.data.datasets.dukemtmc`, so nothing on disk tells the two apart: it must
be named, or it is read as DukeMTMC-reID. Miao et al. count 15,618 images of 702 people to train on, 2,210 queries of
519 people, all occluded, and 17,661 images of 1,110 people in the gallery, from 8 cameras.

It is usually made from a copy of DukeMTMC-reID with the authors' lists of files; this file reads the result. As the
owner withdrew DukeMTMC, passerby downloads neither.
"""

from __future__ import annotations

from collections.abc import Sequence

from passerby.data.dataset import Dataset
from passerby.data.datasets.dukemtmc import WANTED, duke_sample
from passerby.data.datasets.market1501 import read_folders
from passerby.data.registry import DATASETS, Reader
from passerby.data.source import Source


def _read(source: Source) -> Dataset:
    return read_folders(source, "occluded_duke", duke_sample, WANTED)


def _recognizes(names: Sequence[str]) -> bool:  # noqa: ARG001 - it looks like DukeMTMC-reID
    return False


DATASETS.register("occluded_duke")(Reader(_read, _recognizes))
