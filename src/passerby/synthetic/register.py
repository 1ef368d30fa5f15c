"""Pedestrians: people who do not exist, drawn when they are first looked at (see :mod:`passerby.synthetic`).

``pedestrians:people=60,preset=hard`` instead of a path. Written to disk, they are in Market-1501's layout and are
recognized as such.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from passerby.data.dataset import Dataset
from passerby.data.registry import DATASETS, Reader
from passerby.data.source import Source
from passerby.synthetic.dataset import NAME, open_pedestrians


def _read(source: Source) -> Dataset:
    return replace(DATASETS["market1501"].read(source), name=NAME)


def _recognizes(names: Sequence[str]) -> bool:  # noqa: ARG001 - nothing on disk is a set that is still to be drawn
    return False


DATASETS.register(NAME)(Reader(_read, _recognizes, open=open_pedestrians, generated=True))
