"""``passerby gallery search``: find images of a gallery on disk, under conditions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from passerby.cli.commands.search import Answer, check_asked
from passerby.cli.gallery_options import (
    BeforeOption,
    CameraOptions,
    CollectionOption,
    EngineRequiredOption,
    GalleryArgument,
    PersonOptions,
    TagOptions,
    open_gallery,
)
from passerby.cli.options import (
    BlurOption,
    DeviceOption,
    HitsOption,
    JsonOption,
    KeypointsOption,
    ModelArgument,
    OptionalFigureOption,
    OptionalQueryArgument,
    WantedAttributesOption,
)
from passerby.cli.registry import command
from passerby.errors import ConfigError

if TYPE_CHECKING:
    from passerby.data.images.open import QueryImage


@command("search", group="gallery", order=2)
def search(  # noqa: PLR0913 - options of a command
    run: ModelArgument,
    gallery: GalleryArgument,
    query: OptionalQueryArgument = None,
    attributes: WantedAttributesOption = None,
    k: HitsOption = None,
    camera: CameraOptions = None,
    not_camera: Annotated[
        list[int] | None, typer.Option("--not-camera", metavar="ID", help="No images of this camera; repeatable.")
    ] = None,
    other_cameras: Annotated[
        bool, typer.Option("--other-cameras", help="No images of the query's own camera, which must be known.")
    ] = False,
    person: PersonOptions = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Only images taken at this moment or later.")
    ] = None,
    before: BeforeOption = None,
    tag: TagOptions = None,
    collection: CollectionOption = None,
    images: Annotated[
        str | None,
        typer.Option("--images", metavar="PLACE", help="Images of the gallery's rows (default where they were)."),
    ] = None,
    engine_required: EngineRequiredOption = False,
    output: OptionalFigureOption = None,
    device: DeviceOption = "auto",
    keypoints: KeypointsOption = None,
    blur: BlurOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the images closest to an image among those that satisfy all conditions."""
    from passerby.data.attributes.query import attribute_query
    from passerby.data.images.open import QueryImage
    from passerby.figures.save import check_figure
    from passerby.gallery.store.where import Where, moment
    from passerby.inference.attributes import schema_of

    check_asked(query, attributes)
    if output:
        check_figure(output)
    image = None if query is None else QueryImage.of(query)
    where = Where(
        cameras=camera or (),
        not_cameras=[*(not_camera or ()), *([_camera_of(image)] if other_cameras else ())],
        people=person or (),
        taken_from=moment(since) if since is not None else None,
        taken_before=moment(before) if before is not None else None,
        tags=tag or (),
        collections=(collection,) if collection is not None else (),
    )
    opened = open_gallery(
        run, gallery, device=device, keypoints=keypoints, root=images, engine_required=engine_required
    )
    wanted = None if attributes is None else attribute_query(attributes, schema_of(opened.model))
    hits = opened.search(image, k, attributes=wanted, where=where)
    answer = Answer(query, image, wanted, str(gallery), opened, hits)
    if output:
        answer.draw(output, blur=blur)
    if as_json:
        typer.echo(json.dumps({**answer.to_dict(), "satisfying": opened.matching(wanted, where)}, indent=2))
        return
    if where != Where():
        typer.echo(f"{opened.matching(wanted, where):,} of {len(opened):,} images satisfy the conditions.")
    answer.print()
    if output:
        typer.echo(f"The figure is in {output}.")


def _camera_of(image: QueryImage | None) -> int:
    if image is None or image.sample.camid is None:
        raise ConfigError(
            "--other-cameras needs the camera of the query, which is unknown. Fix: give the query as PLACE::NAME of a "
            "dataset, or name the camera: --not-camera ID"
        )
    return image.sample.camid
