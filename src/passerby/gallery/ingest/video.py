"""Videos as inputs: their people as tracklets of a few crops each.

A part holds whole tracklets, so that a killed process leaves none divided; another call looks through the video again,
and embeds what the gallery does not hold. Crops of a file are cut out of it again whenever they are read; those of a
stream exist only as thumbnails in the gallery.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from passerby.data.names.pattern import NameFacts
from passerby.data.names.read import read_names
from passerby.data.source import Source
from passerby.data.video.address import is_video
from passerby.data.video.crop import as_file
from passerby.data.video.frames import Video
from passerby.data.video.source import StreamCrops, VideoCrops
from passerby.errors import DatasetLayoutError
from passerby.gallery.ingest.inputs import INPUTS, Input, Known, Part
from passerby.gallery.ingest.options import IngestOptions
from passerby.types import Sample

if TYPE_CHECKING:
    from passerby.data.video.detector import Detector
    from passerby.data.video.tracklets import People, Spent, Tracklet

_CROPS = 32
"""The number of crops that are gathered before they are embedded."""
_FRAMES = 25
"""The number of frames after which progress is told."""


@INPUTS.register("video")
class VideoKind:
    """The videos: files, by the ending of their names, and addresses of streams."""

    def takes(self, text: str) -> bool:
        """Return whether a text is the path of a video file or the address of a stream."""
        return is_video(text) and not Path(text).expanduser().is_dir()

    def open(self, text: str, options: IngestOptions) -> Input:
        """Open a video (raises as :class:`VideoInput`)."""
        return VideoInput(text, options)


class VideoInput:
    """The people in one video.

    Args:
        address: the path of a file, or the address of a stream.
        options: where the video is from, and how people in it are found.
        detector: what finds people; by default NanoDet.

    Raises:
        DatasetLayoutError: if the video cannot be opened.
        ConfigError: if the extra ``video`` or ``onnx`` is not installed, or the name does not fit the user's pattern.
        WeightsError: if the detector's file is not one.
    """

    def __init__(self, address: str, options: IngestOptions, *, detector: Detector | None = None) -> None:
        self._address, self._options = address, options
        self._video = Video(address)
        self._facts = NameFacts() if self._video.is_stream else _named(address, options)
        self._detector = detector or _nanodet(options.detector)
        self._first = self._first_moment()

    @property
    def total(self) -> int | None:
        """The number of frames; ``None`` for a stream."""
        return self._video.count

    def parts(self) -> Iterator[Part]:
        """Yield whole tracklets as they end, and last a summary.

        Raises:
            DatasetLayoutError: if no frame can be decoded; at the end, if ``strict`` is set and the file is cut short.
        """
        from passerby.data.video.tracklets import People

        people = People(self._video, self._detector, self._options.video)
        told = 0
        waiting: list[Tracklet] = []
        for number, ended in enumerate(people.steps()):
            waiting += ended
            if sum(len(each.crops) for each in waiting) >= _CROPS or number % _FRAMES == _FRAMES - 1:
                ready, waiting = (waiting, []) if _is_worth(waiting) else ([], waiting)
                part, told = self._part(ready, self._video.read - told), self._video.read
                yield from _embedded(people.spent, part)
        yield from _embedded(people.spent, self._part(waiting, (self._video.count or self._video.read) - told))
        self._video.close()
        yield self._part([], 0, note=self._summary(people))
        if self._options.strict and not self._video.is_stream and (ending := self._video.ending):
            raise DatasetLayoutError(f"{ending}. Fix: fetch the video again, or add it without --strict")

    def _part(self, tracklets: list[Tracklet], steps: int, note: str | None = None) -> Part:
        pairs = [(each, crop) for each in tracklets for crop in each.crops]
        held = {str(crop.name): as_file(crop.pixels) for _, crop in pairs}
        source: Source = StreamCrops(self._address, held) if self._video.is_stream else VideoCrops(self._file, held)
        samples = [Sample(path=str(crop.name), time=crop.name.frame) for _, crop in pairs]
        known = [
            Known(
                camera=self._facts.camera,
                person=self._facts.person,
                taken=self._moment(crop.milliseconds),
                tracklet=each.number,
                seen=self._span(each),
            )
            for each, crop in pairs
        ]
        return Part(source, samples, known, steps=max(steps, 0), note=note)

    @property
    def _file(self) -> Path:
        return Path(self._address).expanduser()

    def _first_moment(self) -> int | None:
        """Return when the first frame was taken: as the user says, or the name; of a stream, now."""
        if self._options.taken is not None:
            return self._options.taken
        return int(time.time() * 1000) if self._video.is_stream else self._facts.taken

    def _moment(self, milliseconds: float) -> int | None:
        return None if self._first is None else self._first + round(milliseconds)

    def _span(self, tracklet: Tracklet) -> tuple[int, int] | None:
        first, last = self._moment(tracklet.first), self._moment(tracklet.last)
        return None if first is None or last is None else (first, last)

    def _summary(self, people: People) -> str:
        spent, video = people.spent, self._video
        shares = ", ".join(f"{part} {1000 * each / max(spent.frames, 1):.1f}" for part, each in spent.seconds.items())
        sentences = [
            f"'{video.name}': {video.read:,} frames, {spent.frames:,} of them looked through, {spent.tracklets:,} "
            f"tracklets, {spent.crops:,} crops; CPU ms per frame: {shares}"
        ]
        sentences += [video.ending] if video.ending else []
        if video.is_stream:
            sentences.append("its crops cannot be read again: the gallery keeps thumbnails of them")
        elif self._first is None:
            sentences.append("when it begins is not known, so its people have no time: give --taken TIME")
        return "; ".join(sentences)


def _embedded(spent: Spent, part: Part) -> Iterator[Part]:
    """Yield a part; what is done with it counts as embedding."""
    with spent.on("embed"):
        yield part


def _is_worth(tracklets: list[Tracklet]) -> bool:
    return sum(len(each.crops) for each in tracklets) >= _CROPS


def _named(address: str, options: IngestOptions) -> NameFacts:
    """Return what the name of a file and of its folder tell."""
    path = Path(address).expanduser().absolute().with_suffix("")
    return read_names([f"{path.parent.name}/{path.name}"], options.names).facts[0]


def _nanodet(file: str | None) -> Detector:
    from passerby.models.nanodet.detector import NanoDet

    return NanoDet(file)
