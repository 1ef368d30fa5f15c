"""The options of the commands that add images to galleries on disk, and what these commands have in common."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import typer

from passerby.cli.results import progress_bar
from passerby.errors import PasserbyError, escape_controls

if TYPE_CHECKING:
    from passerby.gallery.ingest.inputs import Input
    from passerby.gallery.ingest.options import IngestOptions
    from passerby.gallery.ingest.result import AddedImages

SplitOption = Annotated[
    Literal["train", "query", "gallery", "all"] | None,
    typer.Option("--split", help="Split of a dataset (default gallery, or all without one)."),
]
CameraIdOption = Annotated[
    int | None,
    typer.Option("--camera-id", metavar="ID", help="Camera of all these images (default as their place tells)."),
]
TakenOption = Annotated[
    str | None,
    typer.Option("--taken", metavar="TIME", help="Moment when they were taken, e.g. 2024-05-01T12:30."),
]
NamePatternOption = Annotated[
    str | None,
    typer.Option(
        "--name-pattern",
        metavar="PATTERN",
        help="What names tell: {camera}, {person}, {date}, {time}, {frame}, and * for anything.",
    ),
]
ThumbnailsOption = Annotated[bool, typer.Option("--thumbnails", help="Keep a small JPEG of each image in the gallery.")]
EveryOption = Annotated[
    int, typer.Option("--every", metavar="N", min=1, help="Look for people in every N-th frame of videos.")
]
CropsOption = Annotated[int, typer.Option("--crops", metavar="N", min=1, help="Most crops of one tracklet of a video.")]
DetectorOption = Annotated[
    str | None,
    typer.Option("--detector", metavar="FILE", help="ONNX file of a NanoDet that finds people in videos."),
]
StrictOption = Annotated[bool, typer.Option("--strict", help="Stop at the first image that cannot be read.")]


def ingest_options(
    *,
    split: Literal["train", "query", "gallery", "all"] | None,
    camera: int | None,
    taken: str | None,
    tags: Sequence[str] | None,
    collection: str | None,
    names: str | None,
    thumbnails: bool,
    blur: bool | None,
    strict: bool,
    every: int = 1,
    crops: int = 4,
    detector: str | None = None,
) -> IngestOptions:
    """Return the options of a call, checked.

    Raises:
        ConfigError: if one is not valid.
    """
    from passerby.data.names.pattern import NamePattern
    from passerby.data.video.options import TrackletOptions
    from passerby.gallery.ingest.options import IngestOptions
    from passerby.gallery.store.where import moment

    if blur is not None and not thumbnails:
        raise PasserbyError("--blur and --no-blur are about thumbnails. Fix: add --thumbnails, or leave them out")
    return IngestOptions(
        split=split,
        camera=camera,
        taken=None if taken is None else moment(taken),
        tags=tuple(tags or ()),
        collection=collection,
        names=None if names is None else NamePattern(names),
        thumbnails=thumbnails,
        blur=blur,
        strict=strict,
        video=TrackletOptions(every=every, crops=crops),
        detector=detector,
    )


Add: TypeAlias = "Callable[[Sequence[Input], Callable[[int], object]], AddedImages]"
"""A function that adds inputs, with what is called with numbers of images."""


class Additions:
    """The sum of what a command adds, and what it prints of it."""

    def __init__(self, gallery: Path, options: IngestOptions) -> None:
        self.gallery, self.options = gallery, options
        self.added = self.known = self.from_exif = 0
        self.broken: dict[str, PasserbyError] = {}
        self._begin = time.monotonic()

    def add(self, add: Add, inputs: Sequence[Input]) -> None:
        """Embed the images of inputs and add them, with a progress bar; what was understood of them is said first."""
        from passerby.gallery.ingest.understood import of_inputs

        understood = of_inputs(inputs, self.options)
        if understood.images:
            _say(str(understood))
        totals = [each.total for each in inputs]
        total = None if None in totals else sum(n or 0 for n in totals)
        self._begin = time.monotonic()
        with progress_bar("adding", total) as advance:
            self.count(add(inputs, advance))

    def count(self, result: AddedImages) -> None:
        """Count the result of an addition, and list what could not be read."""
        self.added += len(result.ids)
        self.known += result.known
        self.from_exif += result.from_exif
        self.broken |= result.broken
        for note in result.notes:
            _say(note)
        for error in result.broken.values():
            typer.echo(f"passerby: skipped: {escape_controls(str(error), one_line=True)}", err=True)

    def tell(self, result: AddedImages, images: Sequence[str]) -> None:
        """Count a micro-batch of a folder that is followed, and say so; some of the images may have been broken."""
        for image in images:
            self.broken.pop(image, None)
        self.count(result)
        if result.ids:
            _say(f"{len(result.ids):,} images were added")

    def print(self, *, as_json: bool) -> None:
        """Print the summary."""
        if self.from_exif:
            _say(f"the moments of {self.from_exif:,} images are those of their EXIF")
        if as_json:
            typer.echo(json.dumps(self.to_dict(), indent=2))
            return
        parts = [f"{self.added:,} images were added to {self.gallery}"]
        keep = f" and keep their {', '.join(kept)}" if (kept := self._kept()) else ""
        parts += [f"{self.known:,} were there already{keep}"] if self.known else []
        parts += [f"{len(self.broken):,} that cannot be read were skipped"] if self.broken else []
        typer.echo(f"{'; '.join(parts)}.")

    def check(self) -> None:
        """End the command with an error if every image was broken.

        Raises:
            typer.Exit: with code 1.
        """
        if self.broken and not self.added + self.known:
            raise typer.Exit(1)

    def _kept(self) -> list[str]:
        """Return which of the given facts are not those of known images, as nothing of these is changed."""
        given = self.options
        facts = {
            "camera": given.camera is not None,
            "time": given.taken is not None,
            "tags": bool(given.tags),
            "collection": given.collection is not None,
            "thumbnails": given.thumbnails,
        }
        return [name for name, is_given in facts.items() if is_given and self.known]

    def to_dict(self) -> dict[str, Any]:
        """Return the summary for JSON."""
        seconds = time.monotonic() - self._begin
        return {
            "gallery": str(self.gallery),
            "added": self.added,
            "known": self.known,
            "known_keep": self._kept(),
            "broken": [{"image": name, "error": str(error)} for name, error in self.broken.items()],
            "moments_from_exif": self.from_exif,
            "seconds": round(seconds, 3),
            "images_per_second": round((self.added + self.known + len(self.broken)) / seconds, 2) if seconds else None,
        }


def read_list(file: Path) -> Iterable[str]:
    """Return the lines of a list of files; ``-`` is standard input.

    Raises:
        DatasetLayoutError: if it cannot be read.
    """
    from passerby.errors import DatasetLayoutError

    try:
        return (sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")).split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetLayoutError(
            f"the list '{file}' cannot be read: {getattr(error, 'strerror', None) or error}. Fix: give a text file "
            "with one path per line, in UTF-8, or - for standard input"
        ) from None


def _say(text: str) -> None:
    typer.echo(f"passerby: {escape_controls(text, one_line=True)}", err=True)
