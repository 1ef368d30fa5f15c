"""Which boxes of successive frames are one person.

Source: Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every Detection Box", ECCV 2022, Algorithm 1.
Confident boxes are assigned to the tracks first; then uncertain ones to those tracks that are left, since a person who
is being hidden has an uncertain box, while an uncertain box without a track is background. Association is by
intersection over union with the places that a Kalman filter predicts (:mod:`~passerby.data.video.motion`), solved
exactly (Hungarian method). Thresholds of overlap are those of the authors' program: 0.2, then 0.5, and 0.3 for tracks
of one box.

*Deviations*: what counts as confident is a setting, since detectors differ; overlaps are not multiplied by scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from passerby.data.video.boxes import Floats, overlaps
from passerby.data.video.detector import Detections
from passerby.data.video.motion import Motion
from passerby.errors import ConfigError

_FIRST, _SECOND, _NEW = 0.2, 0.5, 0.3
"""The least overlap of a confident box, of an uncertain one, and of one with a track that has a single box."""
_UNCERTAIN = 0.1
"""The least score of a box that may continue a track."""
_BEGIN = 0.05
"""The score above the confident one that begins a track."""


@dataclass(frozen=True, eq=False)
class Tracked:
    """A box that belongs to a track."""

    track: int
    """The number of the track, counted from 0."""
    box: Floats
    """The box as it was detected, ``(4,)``."""
    score: float
    place: int
    """The place of the box among the detections."""


class _Track:
    def __init__(self, number: int, seen: Tracked) -> None:
        self.number, self.motion = number, Motion(seen.box)
        self.missed = 0
        self.boxes = 1

    @property
    def is_confirmed(self) -> bool:
        return self.boxes > 1

    def predict(self) -> None:
        if self.missed:
            self.motion.hold()
        self.motion.predict()

    def add(self, box: Floats) -> None:
        self.motion.update(box)
        self.missed = 0
        self.boxes += 1


class Tracker:
    """The tracks of one video.

    Args:
        confident: the score from which a box is confident.
        patience: the number of frames after which a track that gets no box ends.

    Raises:
        ConfigError: if ``confident`` is not between 0.1 and 0.95, or the patience negative.
    """

    def __init__(self, *, confident: float = 0.4, patience: int = 30) -> None:
        if not _UNCERTAIN <= confident <= 1 - _BEGIN or patience < 0:
            raise ConfigError(
                f"a tracker's confident score is {_UNCERTAIN} to {1 - _BEGIN} and its patience 0 or more, got "
                f"{confident} and {patience}. Fix: choose others, 0.4 for example"
            )
        self._confident, self._patience = confident, patience
        self._tracks: list[_Track] = []
        self._next = 0

    def update(self, found: Detections) -> tuple[list[Tracked], list[int]]:
        """Take the people of the next frame.

        Returns:
            The boxes that belong to tracks, and the numbers of the tracks that have ended.
        """
        for track in self._tracks:
            track.predict()
        high = np.flatnonzero(found.scores >= self._confident)
        low = np.flatnonzero((found.scores >= _UNCERTAIN) & (found.scores < self._confident))
        confirmed = [track for track in self._tracks if track.is_confirmed]
        fresh = [track for track in self._tracks if not track.is_confirmed]
        seen, confirmed, high = self._assigned(confirmed, found, high, _FIRST)
        recent = [track for track in confirmed if track.missed == 0]
        more, _, _ = self._assigned(recent, found, low, _SECOND)
        young, fresh, high = self._assigned(fresh, found, high, _NEW)
        begun = [
            self._begin(found, place) for place in high.tolist() if found.scores[place] >= self._confident + _BEGIN
        ]
        kept = [*seen, *more, *young, *begun]
        return kept, self._ended({each.track for each in kept}, {track.number for track in fresh})

    def close(self) -> list[int]:
        """End all tracks and return their numbers."""
        numbers = [track.number for track in self._tracks]
        self._tracks = []
        return numbers

    def _assigned(
        self, tracks: Sequence[_Track], found: Detections, places: NDArray[np.int64], least: float
    ) -> tuple[list[Tracked], list[_Track], NDArray[np.int64]]:
        """Give boxes to tracks; return the boxes that were given, and the tracks and boxes that are left."""
        if not tracks or not len(places):
            return [], list(tracks), places
        shared = overlaps(np.stack([track.motion.box for track in tracks]), found.boxes[places])
        rows, columns = linear_sum_assignment(-np.where(shared >= least, shared, 0))
        given, taken, used = list[Tracked](), set[int](), set[int]()
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            if shared[row, column] >= least:
                place = int(places[column])
                tracks[row].add(found.boxes[place])
                given.append(_tracked(tracks[row].number, found, place))
                taken.add(row)
                used.add(column)
        left = [track for row, track in enumerate(tracks) if row not in taken]
        return given, left, places[[column for column in range(len(places)) if column not in used]]

    def _begin(self, found: Detections, place: int) -> Tracked:
        seen = _tracked(self._next, found, place)
        self._tracks.append(_Track(self._next, seen))
        self._next += 1
        return seen

    def _ended(self, seen: set[int], unconfirmed: set[int]) -> list[int]:
        """Count what was not seen, and take away the tracks that have ended: those of one box at once."""
        ended: list[int] = []
        for track in self._tracks:
            if track.number not in seen:
                track.missed += 1
                if track.missed > self._patience or track.number in unconfirmed:
                    ended.append(track.number)
        self._tracks = [track for track in self._tracks if track.number not in ended]
        return ended


def _tracked(number: int, found: Detections, place: int) -> Tracked:
    return Tracked(number, found.boxes[place], float(found.scores[place]), place)
