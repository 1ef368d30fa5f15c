"""People in a video: tracklets, and the best crops of each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from passerby.data.video.crop import CropName, whole_box
from passerby.data.video.detector import Detections, Detector
from passerby.data.video.frames import Frame, Video
from passerby.data.video.options import TrackletOptions
from passerby.data.video.quality import quality, spread, visibility
from passerby.data.video.tracker import Tracked, Tracker

_BINS = 4
"""The number of time spans, per crop that is wanted, that candidates are kept of."""


@dataclass(frozen=True, eq=False)
class Crop:
    """One person in one frame."""

    name: CropName
    milliseconds: float
    """The time since the first frame."""
    pixels: NDArray[np.uint8]
    """The image ``(h, w, 3)``, RGB."""
    quality: float
    """The number that tells how well it shows the person, 0…1."""


@dataclass(frozen=True, eq=False)
class Tracklet:
    """One person in successive frames."""

    number: int
    """The number of the track, counted from 0."""
    first: float
    """The milliseconds from the video's first frame to the tracklet's; ``last``, to its last."""
    last: float
    boxes: int
    """The number of frames in which the person was found."""
    crops: tuple[Crop, ...]
    """The best crops, in the order of time; none if all were too small."""


@dataclass
class Spent:
    """The CPU seconds of this process by part, and what was counted."""

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("decode", "detect", "track", "crop"), 0.0))
    frames: int = 0
    """The number of frames in which people were looked for."""
    detections: int = 0
    """The number of boxes that belong to a track."""
    tracklets: int = 0
    crops: int = 0

    @contextmanager
    def on(self, part: str) -> Iterator[None]:
        """Add what the block takes to a part."""
        before = time.process_time()
        try:
            yield
        finally:
            self.seconds[part] = self.seconds.get(part, 0.0) + time.process_time() - before


class _Candidates:
    """The best crop of each of a few time spans, which become longer as the tracklet does."""

    def __init__(self, frame: Frame, most: int) -> None:
        self.first = self.last = frame.milliseconds
        self.boxes, self._most, self._span = 0, most, 1.0
        self._best: dict[int, Crop] = {}

    def see(self, frame: Frame) -> None:
        self.boxes += 1
        self.last = frame.milliseconds

    def offer(self, crop: Crop) -> None:
        place = int((crop.milliseconds - self.first) / self._span)
        while place >= self._most:
            self._span *= 2
            self._best, former = {}, self._best
            for each in former.values():
                self._put(int((each.milliseconds - self.first) / self._span), each)
            place = int((crop.milliseconds - self.first) / self._span)
        self._put(place, crop)

    def chosen(self, count: int) -> tuple[Crop, ...]:
        crops = sorted(self._best.values(), key=lambda crop: crop.milliseconds)
        if not crops:
            return ()
        places = spread([crop.quality for crop in crops], [crop.milliseconds for crop in crops], count)
        return tuple(crops[place] for place in places)

    def _put(self, place: int, crop: Crop) -> None:
        if place not in self._best or self._best[place].quality < crop.quality:
            self._best[place] = crop


class People:
    """The people in one video, tracklet after tracklet.

    Args:
        video: the video, of which nothing was read.
        detector: what finds people in a frame.
        options: how they are followed.
    """

    def __init__(self, video: Video, detector: Detector, options: TrackletOptions | None = None) -> None:
        self.video, self._detector, self._options = video, detector, options or TrackletOptions()
        patience = max(1, round(self._options.patience * video.rate / self._options.every))
        self._tracker = Tracker(confident=self._options.confident, patience=patience)
        self._open: dict[int, _Candidates] = {}
        self.spent = Spent()

    def tracklets(self) -> Iterator[Tracklet]:
        """Yield each tracklet when it has ended, in the order in which they end; the last ones after the last frame.

        Raises:
            DatasetLayoutError: if the video has not a single frame that can be decoded.
        """
        for tracklets in self.steps():
            yield from tracklets

    def steps(self) -> Iterator[list[Tracklet]]:
        """Yield, after each frame, the tracklets that have ended with it (raises as :meth:`tracklets`)."""
        frames = self.video.frames(self._options.every)
        while True:
            with self.spent.on("decode"):
                frame = next(frames, None)
            if frame is None:
                break
            self.spent.frames += 1
            yield self._whole(self._look(frame))
        yield self._whole(self._tracker.close())

    def _look(self, frame: Frame) -> list[int]:
        with self.spent.on("detect"):
            found = self._detector(frame.image)
        with self.spent.on("track"):
            seen, ended = self._tracker.update(found)
        with self.spent.on("crop"):
            self._crop(frame, found, seen)
        return ended

    def _crop(self, frame: Frame, found: Detections, seen: list[Tracked]) -> None:
        size = (frame.image.shape[0], frame.image.shape[1])
        sure = found.scores >= self._options.confident
        visible = visibility(found.boxes[sure], size) if sure.any() else np.empty(0, np.float32)
        rows = np.cumsum(sure) - 1
        self.spent.detections += len(seen)
        for each in seen:
            most = self._options.crops * _BINS
            candidates = self._open.setdefault(each.track, _Candidates(frame, most))
            candidates.see(frame)
            box = whole_box(each.box, size)
            if sure[each.place] and box[3] >= self._options.least_height and box[2] > 0:
                left, top, width, height = box
                pixels = frame.image[top : top + height, left : left + width].copy()
                value = quality(pixels, float(visible[rows[each.place]]), each.score)
                candidates.offer(Crop(CropName.of(frame.number, box, pixels), frame.milliseconds, pixels, value))

    def _whole(self, ended: list[int]) -> list[Tracklet]:
        """Return the tracklets of tracks that have ended, but for those that are too short."""
        whole = []
        for number in ended:
            found = self._open.pop(number)
            crops = found.chosen(self._options.crops)
            if found.boxes >= self._options.least_boxes and crops:
                whole.append(Tracklet(number, found.first, found.last, found.boxes, crops))
                self.spent.tracklets += 1
                self.spent.crops += len(crops)
        return whole
