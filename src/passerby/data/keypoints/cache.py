"""Joints that were work to find, kept on disk: a picture is looked at once, whoever asks again, and whenever.

They lie beside the data, in ``.passerby/poses-….sqlite``; where the data is an archive or its folder is not to be
written into, in ``$PASSERBY_CACHE`` or ``~/.cache/passerby``. The file is one of the estimator, by its fingerprint;
its rows are of the pictures themselves, by name and pixels, so that none is ever out of date. A batch is kept as soon
as it is found: a run that was killed goes on where it stopped, and several may go at once.

Regions are not kept: they are arithmetic on joints, done in less time than a row takes to read.
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

_AT_ONCE = 500
"""Keys of one query; SQLite takes some 32,000, older ones 999."""
_PATIENCE = 60.0
"""Seconds to wait while another process writes."""


def cached(estimator: PoseEstimator, source: Source) -> PoseEstimator:
    """``estimator``, with what it finds in the pictures of ``source`` kept on disk.

    Only those that have a ``fingerprint`` are: for the others, annotations, finding is looking up. Pictures that are
    kept nowhere themselves, a query that was handed over and people drawn without a cache, leave no joints either.
    """
    fingerprint: str | None = getattr(estimator, "fingerprint", None)
    folder = source.cache_folder()
    if fingerprint is None or folder is None:
        return estimator
    file = folder / f"poses-{fingerprint[:16]}.sqlite"
    return CachedPoseEstimator(estimator, file, by_pixels=not isinstance(estimator, AnnotatedKeypoints))


@dataclass(frozen=True)
class CachedPoseEstimator:
    """A :class:`~passerby.data.keypoints.estimator.PoseEstimator` that asks another one what it does not remember."""

    estimator: PoseEstimator
    file: Path
    by_pixels: bool = True
    """Whether the estimator looks at the pictures; else their names say everything."""

    def __call__(self, names: Sequence[str], images: Tensor) -> Keypoints:
        """The joints of the pictures.

        Raises:
            OutputError: if they cannot be kept.
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
            with closing(sqlite3.connect(self.file, timeout=_PATIENCE)) as database:
                if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'poses'").fetchone():
                    return {}  # whoever made the file was killed before it kept anything
                for start in range(0, len(keys), _AT_ONCE):
                    some = keys[start : start + _AT_ONCE]
                    marks = ",".join("?" * len(some))
                    rows += database.execute(f"SELECT picture, joints FROM poses WHERE picture IN ({marks})", some)
            return {key: np.frombuffer(keypoints, "<f4").reshape(len(KEYPOINT_NAMES), 3) for key, keypoints in rows}
        except (sqlite3.DatabaseError, ValueError) as error:
            raise self._unusable(error) from None

    def _write(self, found: dict[bytes, Table]) -> None:
        rows: Iterable[tuple[bytes, bytes]] = ((key, table.tobytes()) for key, table in found.items())
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.file, timeout=_PATIENCE)) as database, database:
                database.execute(
                    "CREATE TABLE IF NOT EXISTS poses (picture BLOB PRIMARY KEY, joints BLOB NOT NULL) WITHOUT ROWID"
                )
                database.executemany("INSERT OR REPLACE INTO poses VALUES (?, ?)", rows)
        except (sqlite3.DatabaseError, OSError) as error:
            raise self._unusable(error) from None

    def _unusable(self, error: Exception) -> OutputError:
        return OutputError(
            f"joints cannot be kept in {self.file} ({error}); make room, or delete it: they are found again then"
        )
