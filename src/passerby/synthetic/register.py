"""The dataset ``pedestrians``, whose images are rendered when they are first read (see :mod:`passerby.synthetic`).

``pedestrians:people=60,preset=hard`` instead of a path. Written to disk, they are in Market-1501's layout and are
recognized as such.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from passerby.data.dataset import Dataset
from passerby.data.provenance import GENERATORS
from passerby.data.registry import DATASETS, Reader
from passerby.data.source import Source
from passerby.synthetic.files import NAME, described_names


def _open(text: str = "", **options: Any) -> Source:
    from passerby.synthetic.dataset import open_pedestrians  # the renderer is loaded only where images are wanted

    return open_pedestrians(text, **options)


def _read(source: Source) -> Dataset:
    return replace(DATASETS["market1501"].read(source), name=NAME)


def _recognizes(names: Sequence[str]) -> bool:  # noqa: ARG001 - nothing on disk is a dataset that is still to be rendered
    return False


DATASETS.register(NAME)(Reader(_read, _recognizes, open=_open, generated=True))
GENERATORS.register(NAME)(described_names)
