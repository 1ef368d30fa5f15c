"""The files beside a dataset's images that no split holds: images elsewhere, other formats, archives, broken links.

:func:`warn_unread` counts them in one line on the log, once per place; ``passerby data check`` lists them.
"""

from __future__ import annotations

import logging
import posixpath
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache

from passerby.data.dataset import SPLITS, Dataset
from passerby.data.datasets.layout import count_of, preview
from passerby.data.source import IMAGE_SUFFIXES, MASKS, Source, is_image

_LOG = logging.getLogger(__name__)
_IS_LISTED: ContextVar[bool] = ContextVar("_IS_LISTED", default=False)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ARCHIVES = _words(".zip .tar .gz .tgz .bz2 .tbz .tbz2 .xz .txz .7z .rar .zst")
_NO_IMAGES = _words(
    ".txt .csv .tsv .json .jsonl .md .rst .mat .npy .npz .pkl .pickle .parquet .h5 .hdf5 .xml .yaml .yml .toml .ini "
    ".cfg .html .htm .pdf .doc .docx .xls .xlsx .odt .tex .bib .py .m .sh .bat .ipynb .log .db .lock .sha256 .md5 .url "
    ".lnk .license .onnx .pth .pt .safetensors"
)
"""The endings of files that may lie beside images and are none."""
_DOCUMENTS = _words("readme license copying authors changelog version makefile thumbs")


@dataclass(frozen=True)
class Unread:
    """The files that are not read, by reason, each sorted."""

    images: tuple[str, ...] = ()
    """The images that no split holds."""
    others: tuple[str, ...] = ()
    """The files with an ending that is not an image's, and not that of a text, a table or a program."""
    archives: tuple[str, ...] = ()
    """The archives among the files."""
    links: tuple[str, ...] = ()
    """The links that lead to nothing."""
    linked: tuple[str, ...] = ()
    """The folders that are links, whose files are read."""

    def reasons(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield what is not read, with counts and what to do, and the files."""
        if self.images:
            folders = sorted({repr(posixpath.dirname(name)) for name in self.images})
            where = "" if folders == ["''"] else f" (in {preview(folders)})"
            yield f"{count_of(len(self.images), 'image', 'images')} that no split holds{where}", self.images
        if self.others:
            endings = Counter(_ending(name) or "without an ending" for name in self.others)
            listed = ", ".join(f"{count:,} {ending}" for ending, count in endings.most_common(5))
            wanted = ", ".join(IMAGE_SUFFIXES)
            what = count_of(len(self.others), "file", "files")
            yield f"{what} of other formats ({listed}; read are {wanted}; convert images)", self.others
        if self.archives:
            which = repr(self.archives[0]) if len(self.archives) == 1 else f"{self.archives[0]!r}, …"
            what = count_of(len(self.archives), "archive", "archives")
            yield f"{what} among the files ({which}; unpack it, or give its path)", self.archives
        if self.links:
            yield f"{count_of(len(self.links), 'link that leads', 'links that lead')} to nothing", self.links


def _ending(name: str) -> str:
    return posixpath.splitext(posixpath.basename(name))[1].lower()


def unread_files(dataset: Dataset) -> Unread:
    """Return the files of a dataset's source that it does not hold; those that its layout leaves out do not count."""
    held = {s.path for split in SPLITS for s in getattr(dataset, split)}
    held.update(s.path for s in dataset.further)
    held.update(dataset.aside)
    return unread_of(dataset.source, held)


def unread_of(source: Source, held: Iterable[str] | None = None) -> Unread:
    """Return the files of a source that are not read, if the images ``held`` are; by default, all images are."""
    if source.is_generated:
        return Unread()
    names = [name for name in source.names() if not _is_label(name)]
    images = {name for name in names if is_image(name)}
    rest = [name for name in names if name not in images]
    archives = tuple(name for name in rest if _ending(name) in _ARCHIVES)
    others = tuple(name for name in rest if _ending(name) not in _ARCHIVES and _may_be_image(name))
    lost = () if held is None else tuple(sorted(images.difference(held)))
    folders, broken = source.links()
    return Unread(lost, others, archives, broken, folders)


def _is_label(name: str) -> bool:
    """Return whether a file is a part mask, or hidden."""
    *folders, base = name.split("/")
    return MASKS in folders or base.startswith((".", "._"))


def _may_be_image(name: str) -> bool:
    ending = _ending(name)
    stem = posixpath.basename(name).lower()
    return ending not in _NO_IMAGES and not (stem in _DOCUMENTS or posixpath.splitext(stem)[0] in _DOCUMENTS)


def has_instead(source: Source) -> str:
    """Return what a source without readable images has, as the end of a message; nothing if it has none of that."""
    reasons = [reason for reason, _ in unread_of(source).reasons()]
    return f"; it has {'; '.join(reasons)}" if reasons else ""


def warn_unread(source: Source, unread: Unread) -> None:
    """Log one line about the files that are not read, if there are any and it was not logged before."""
    if reasons := [reason for reason, _ in unread.reasons()]:
        _warn(f"'{source.root}': not read: {'; '.join(reasons)}; `passerby data check` lists them")


def warn_unlabeled(source: Source, images: int, why: str | None) -> None:
    """Log one line about images whose folders look like those of a dataset that is not read, if ``why`` says so."""
    if why and images:
        _warn(f"'{source.root}': {images:,} images are taken without labels, as {why}")


@contextmanager
def listed_elsewhere() -> Iterator[None]:
    """Log nothing about files that are not read, since the caller lists them all."""
    token = _IS_LISTED.set(True)
    try:
        yield
    finally:
        _IS_LISTED.reset(token)


def _warn(line: str) -> None:
    if not _IS_LISTED.get():
        _warn_once(line)


@cache
def _warn_once(line: str) -> None:
    _LOG.warning("%s", line)
