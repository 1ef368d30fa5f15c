"""Lists of files as inputs: one path per line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from passerby.errors import DatasetLayoutError
from passerby.gallery.ingest.inputs import Input, is_special, open_input
from passerby.gallery.ingest.options import IngestOptions
from passerby.gallery.ingest.places import listed
from passerby.inference.images import GivenImages, is_place
from passerby.types import Sample


def open_list(lines: Iterable[str], options: IngestOptions) -> list[Input]:
    """Return the inputs that a list names: its images together, and whatever else it names one by one.

    An image that does not exist is told of as one that cannot be read. Empty lines are passed over.

    Args:
        lines: paths, relative to the current folder, as ``find`` prints them.

    Raises:
        DatasetLayoutError: if there is no line, or something else than an image cannot be opened.
    """
    paths = [path for line in lines if (path := line.rstrip("\r\n")).strip()]
    if not paths:
        raise DatasetLayoutError("the list names no files: got no line, expected one path per line. Fix: write them")
    others = [path for path in paths if is_special(path) or _holds_images(path)]
    alone = set(others)
    return [*_images([path for path in paths if path not in alone], options), *(open_input(o, options) for o in others)]


def _holds_images(path: str) -> bool:
    return Path(path).exists() and is_place(path)


def _images(paths: list[str], options: IngestOptions) -> list[Input]:
    """Return the images of a list; those that it names again are in an input of their own, as its paths are unique."""
    times: Counter[str] = Counter()
    rounds: list[dict[str, str]] = []
    for path in paths:
        full = str(Path(path).expanduser().absolute())
        if times[full] == len(rounds):
            rounds.append({})
        rounds[times[full]][full] = path
        times[full] += 1
    return [_given(each, options) for each in rounds]


def _given(paths: dict[str, str], options: IngestOptions) -> Input:
    samples = [Sample(path=full) for full in paths]
    return listed(GivenImages({full: Path(full) for full in paths}), samples, options, names=list(paths.values()))
