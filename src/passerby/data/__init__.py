"""Read datasets, images, attributes and keypoints, from files to batches.

    dataset = passerby.data.load("Market-1501.zip")            # the layout is recognized
    dataset = passerby.data.load("market1501", "/data/Market")  # or named
    dataset = passerby.data.load("pedestrians", people=60)      # or generated

    dataset.query[0].pid                                        # samples of train, query and gallery
    dataset.source.read(dataset.query[0].path)                  # their files

Names are imported when first used, since processes that only render images need no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from passerby.data.registry import load as load

__all__ = ["load"]


def __getattr__(name: str) -> object:
    if name != "load":
        raise AttributeError(f"module 'passerby.data' has no attribute {name!r}")
    from passerby.data.registry import load

    return load
