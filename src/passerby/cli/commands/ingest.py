"""``passerby ingest``: add images from anywhere to a gallery on disk, once or as they come."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from passerby.cli.gallery_options import CollectionOption, GalleryArgument, TagOptions, open_gallery
from passerby.cli.ingest_options import (
    Add,
    Additions,
    CameraIdOption,
    CropsOption,
    DetectorOption,
    EveryOption,
    NamePatternOption,
    SplitOption,
    StrictOption,
    TakenOption,
    ThumbnailsOption,
    ingest_options,
    read_list,
)
from passerby.cli.options import BatchSizeOption, BlurOption, DeviceOption, JsonOption, KeypointsOption, ModelArgument
from passerby.cli.registry import Panel, command
from passerby.errors import ConfigError, DatasetLayoutError

if TYPE_CHECKING:
    from passerby.gallery.ingest.inputs import Input
    from passerby.gallery.ingest.options import IngestOptions


@command("ingest", panel=Panel.SEARCH, order=3)
def ingest(  # noqa: PLR0913 - options of a command
    run: ModelArgument,
    gallery: GalleryArgument,
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SOURCE]…", help="Images: files, folders, zips, tars, datasets as NAME:PATH; videos, streams."
        ),
    ] = None,
    create: Annotated[bool, typer.Option("--create", help="Create the gallery if there is none.")] = False,
    file_list: Annotated[
        Path | None,
        typer.Option("--list", metavar="FILE", help="List of files, one path per line; - is standard input."),
    ] = None,
    follow: Annotated[
        Path | None,
        typer.Option("--follow", metavar="FOLDER", help="Folder whose images are added as they come, until Ctrl-C."),
    ] = None,
    poll: Annotated[
        float, typer.Option("--poll", metavar="SECONDS", min=0.05, help="Seconds between two looks at that folder.")
    ] = 2.0,
    split: SplitOption = None,
    camera: CameraIdOption = None,
    taken: TakenOption = None,
    name_pattern: NamePatternOption = None,
    tag: TagOptions = None,
    collection: CollectionOption = None,
    thumbnails: ThumbnailsOption = False,
    blur: BlurOption = None,
    every: EveryOption = 1,
    crops: CropsOption = 4,
    detector: DetectorOption = None,
    strict: StrictOption = False,
    device: DeviceOption = "auto",
    batch_size: BatchSizeOption = 64,
    keypoints: KeypointsOption = None,
    engine: Annotated[
        Literal["ray"] | None,
        typer.Option("--engine", help="Workers that embed: ray, several processes or machines (default this one)."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", min=1, help="Number of workers of --engine ray (default 2).")
    ] = None,
    ray_address: Annotated[
        str | None,
        typer.Option("--ray-address", metavar="ADDRESS", help="Ray cluster that runs (default one for this command)."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Embed images of folders, archives, lists, datasets and videos, and add those that a gallery does not hold."""
    options = ingest_options(
        split=split, camera=camera, taken=taken, tags=tag, collection=collection, names=name_pattern,
        thumbnails=thumbnails, blur=blur, strict=strict, every=every, crops=crops, detector=detector,
    )  # fmt: skip
    if not (create or gallery.exists()):
        raise DatasetLayoutError(f"there is no gallery '{gallery}'. Fix: add --create, or give the path of one")
    _check_engine(engine, workers, ray_address, follow)
    inputs = _inputs(sources or [], file_list, follow, options)
    opened = open_gallery(
        run, gallery, device=device, batch_size=batch_size, keypoints=keypoints, create=create
    )  # fmt: skip
    additions = Additions(gallery, options)
    if inputs:
        with _engine(engine, workers, ray_address, run, opened, options, device) as add:
            additions.add(add, inputs)
    if follow is not None:
        _follow(opened, follow, poll, options, additions)
    additions.print(as_json=as_json)
    if follow is None:
        additions.check()


def _inputs(sources: list[str], file_list: Path | None, follow: Path | None, options: IngestOptions) -> list[Input]:
    """Return the opened inputs: what is misspelled is told before a model is loaded."""
    from passerby.gallery.ingest.follow import check_folder
    from passerby.gallery.ingest.inputs import open_input
    from passerby.gallery.ingest.lists import open_list

    if not sources and file_list is None and follow is None:
        raise ConfigError(
            "there is nothing to add: got no source. Fix: name folders, archives or images, --list FILE or "
            "--follow FOLDER"
        )
    if follow is not None:
        check_folder(follow)
    listed = [] if file_list is None else open_list(read_list(file_list), options)
    return [*(open_input(source, options) for source in sources), *listed]


def _check_engine(engine: str | None, workers: int | None, address: str | None, follow: Path | None) -> None:
    """Check that options of workers are given where there are any.

    Raises:
        ConfigError: if they have no effect.
    """
    given = {"--workers": workers, "--ray-address": address}
    if engine is None and (names := [name for name, value in given.items() if value is not None]):
        raise ConfigError(f"{', '.join(names)} has no effect without --engine ray. Fix: add it, or leave them out")
    if engine is not None and follow is not None:
        raise ConfigError(
            "--follow adds images as they come, which one process does. Fix: leave --engine or --follow out"
        )


@contextmanager
def _engine(
    engine: str | None,
    workers: int | None,
    address: str | None,
    run: Path,
    opened: Any,
    options: IngestOptions,
    device: str,
) -> Iterator[Add]:
    """Yield what adds inputs: this process, or workers."""
    if engine is None:
        yield lambda inputs, progress: opened.ingest(inputs, options, progress=progress)
        return
    from passerby.scale.cluster import cluster
    from passerby.scale.ingest import RayIngest
    from passerby.scale.options import Workers

    how = Workers(count=workers or 2, address=address)
    with cluster(how) as ray:
        yield lambda inputs, progress: RayIngest(
            ray, how, run, opened.model, opened.store, options, device=device, progress=progress
        ).add_all(inputs)


def _follow(opened: Any, folder: Path, poll: float, options: IngestOptions, additions: Additions) -> None:
    from passerby.gallery.ingest.follow import follow
    from passerby.gallery.ingest.ingest import Ingest

    typer.echo(f"passerby: following {folder}; Ctrl-C ends it", err=True)
    with _signals_stop() as stop:
        follow(Ingest(opened.model, opened.store, options), folder, stop, poll=poll, report=additions.tell)


@contextmanager
def _signals_stop() -> Iterator[threading.Event]:
    """Yield an event that SIGINT and SIGTERM set; a second signal interrupts what is still being done."""
    stop = threading.Event()

    def end(_number: int, _frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
