"""Cache estimated keypoints on disk, so that each image is processed once.

The cache is ``.passerby/poses-….sqlite`` beside the data or, if the data is an archive or its folder is read-only, a
file in ``$PASSERBY_CACHE`` or ``~/.cache/passerby``. There is one file per estimator, by its fingerprint; a row belongs
to an image by name and pixels, so that no row is ever out of date. A batch is written as soon as it is found: a killed
run continues where it stopped, and several may run at once.

Regions are not cached: they are computed from keypoints in less time than a row takes to read.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from passerby.data.keypoints.estimator import AnnotatedKeypoints, Keypoints, PoseEstimator, Table
from passerby.data.keypoints.skeleton import KEYPOINT_NAMES
from passerby.data.source import Source
from passerby.errors import OutputError

_KEYS_PER_QUERY = 500
"""The number of keys per query; SQLite allows about 32,000, older versions 999."""
_TIMEOUT = 60.0
"""The seconds to wait while another process writes."""


def cached(estimator: PoseEstimator, source: Source) -> PoseEstimator:
    """Return ``estimator`` with a cache of the keypoints that it finds in the images of ``source``.

    Estimators without a ``fingerprint`` are not cached: they look annotations up. Nor are sources that are not stored
    themselves, such as a query image in memory, or generated people without a cache.
    """
    fingerprint: str | None = getattr(estimator, "fingerprint", None)
    folder = source.cache_folder()
    if fingerprint is None or folder is None:
        return estimator
    file = folder / f"poses-{fingerprint[:16]}.sqlite"
    return CachedPoseEstimator(estimator, file, by_pixels=not isinstance(estimator, AnnotatedKeypoints))


@dataclass(frozen=True)
class CachedPoseEstimator:
    """A :class:`~passerby.data.keypoints.estimator.PoseEstimator` with a cache: it calls another one for the rest."""

    estimator: PoseEstimator
    file: Path
    by_pixels: bool = True
    """A flag of estimators that use the pixels; the others use the names of the images only."""

    def __call__(self, names: Sequence[str], images: Tensor) -> Keypoints:
        """Return the keypoints of the images.

        Raises:
            OutputError: if they cannot be cached.
        """
        keys = [self._key(name, image) for name, image in zip(names, images, strict=True)]
        known = self._read(keys)
        missing = [place for place, key in enumerate(keys) if key not in known]
        if missing:
            keypoints, confidence = self.estimator([names[place] for place in missing], images[missing])
            tables = np.concatenate([keypoints, confidence[..., None]], axis=-1).astype("<f4")  # (b, 18, 3)
            found = {keys[place]: table for place, table in zip(missing, tables, strict=True)}
            self._write(found)
            known |= found
        whole = np.stack([known[key] for key in keys]) if keys else np.zeros((0, len(KEYPOINT_NAMES), 3), np.float32)
        return Keypoints(whole[..., :2], whole[..., 2])

    def _key(self, name: str, image: Tensor) -> bytes:
        digest = hashlib.blake2b(name.encode(), digest_size=16)
        if self.by_pixels:
            digest.update(str(tuple(image.shape)).encode() + image.contiguous().numpy().tobytes())
        return digest.digest()

    def _read(self, keys: Sequence[bytes]) -> dict[bytes, Table]:
        if not self.file.exists():
            return {}
        rows: list[tuple[bytes, bytes]] = []
        try:
            with closing(sqlite3.connect(self.file, timeout=_TIMEOUT)) as database:
                if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'poses'").fetchone():
                    return {}  # the process that made the file was killed before it wrote anything
                for start in range(0, len(keys), _KEYS_PER_QUERY):
                    chunk = keys[start : start + _KEYS_PER_QUERY]
                    marks = ",".join("?" * len(chunk))
                    rows += database.execute(f"SELECT picture, joints FROM poses WHERE picture IN ({marks})", chunk)
            return {key: np.frombuffer(keypoints, "<f4").reshape(len(KEYPOINT_NAMES), 3) for key, keypoints in rows}
        except (sqlite3.DatabaseError, ValueError) as error:
            raise self._unusable(error) from None

    def _write(self, found: dict[bytes, Table]) -> None:
        rows: Iterable[tuple[bytes, bytes]] = ((key, table.tobytes()) for key, table in found.items())
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.file, timeout=_TIMEOUT)) as database, database:
                database.execute(
                    "CREATE TABLE IF NOT EXISTS poses (picture BLOB PRIMARY KEY, joints BLOB NOT NULL) WITHOUT ROWID"
                )
                database.executemany("INSERT OR REPLACE INTO poses VALUES (?, ?)", rows)
        except (sqlite3.DatabaseError, OSError) as error:
            raise self._unusable(error) from None

    def _unusable(self, error: Exception) -> OutputError:
        return OutputError(
            f"keypoints cannot be cached in {self.file} ({error}). Fix: make room, or delete the file: they are found "
            "again then"
        )
