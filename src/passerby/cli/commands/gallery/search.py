"""``passerby gallery search``: find images of a gallery on disk, under conditions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from passerby.cli.commands.search import Answer
from passerby.cli.gallery_options import (
    BeforeOption,
    CameraOptions,
    CollectionOption,
    EngineRequiredOption,
    GalleryArgument,
    ImagesOption,
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
    OptionalQueriesArgument,
    RerankOption,
    WantedAttributesOption,
)
from passerby.cli.registry import command
from passerby.errors import ConfigError

if TYPE_CHECKING:
    from PIL import Image

    from passerby.data.images.open import QueryImage
    from passerby.explain.images import ImageSet
    from passerby.gallery.asking.ask import Ask
    from passerby.gallery.store import Store
    from passerby.gallery.stored_hits import StoredHit


@command("search", group="gallery", order=2)
def search(  # noqa: PLR0913 - options of a command
    run: ModelArgument,
    gallery: GalleryArgument,
    queries: OptionalQueriesArgument = None,
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
    group: Annotated[
        list[int] | None, typer.Option("--group", metavar="N", help="Only images of this group; repeatable.")
    ] = None,
    like_id: Annotated[
        list[int] | None, typer.Option("--like-id", metavar="ID", help="Row that is a query, too; repeatable.")
    ] = None,
    combine: Annotated[
        Literal["mean", "max"],
        typer.Option("--combine", help="Several images: their mean, or the nearest to any of them."),
    ] = "mean",
    positive: Annotated[
        list[int] | None,
        typer.Option("--positive", metavar="ID", help="Row that shows the person: moves the query; repeatable."),
    ] = None,
    negative: Annotated[
        list[int] | None,
        typer.Option("--negative", metavar="ID", help="Row that shows another person: is left out; repeatable."),
    ] = None,
    feedback: Annotated[
        bool, typer.Option("--feedback", help="Use recorded answers about the query's own images, too.")
    ] = False,
    rerank: RerankOption = False,
    distance: Annotated[
        Literal["global", "local", "global_local"],
        typer.Option("--distance", help="Distance that ranks the nearest again: of stripes, or the sum of both."),
    ] = "global",
    one_per: Annotated[
        Literal["tracklet", "person", "group"] | None,
        typer.Option("--one-per", help="Show the best image of each, with the number of the others."),
    ] = None,
    images: ImagesOption = None,
    engine_required: EngineRequiredOption = False,
    output: OptionalFigureOption = None,
    device: DeviceOption = "auto",
    keypoints: KeypointsOption = None,
    blur: BlurOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the images closest to one person's images among those that satisfy all conditions."""
    from passerby.data.attributes.query import attribute_query
    from passerby.data.images.open import QueryImage
    from passerby.figures.save import check_figure
    from passerby.gallery.asking.ask import Ask
    from passerby.gallery.store.where import Where, moment
    from passerby.inference.attributes import schema_of
    from passerby.types import Rerank

    if not queries and not like_id and attributes is None:
        raise ConfigError("nothing to search for. Fix: give an image, --like-id ID, --attributes GROUP=VALUE,…")
    how = Ask(
        combine=combine,
        like_ids=tuple(like_id or ()),
        positives=tuple(positive or ()),
        negatives=tuple(negative or ()),
        rerank=Rerank() if rerank else None,
        distance=distance,
        one_per=one_per,
    )
    if not queries and not like_id and (feedback or how != Ask(combine=combine)):
        raise ConfigError("what ranks or moves a query needs one. Fix: give an image, or --like-id ID")
    if output:
        check_figure(output)
    asked = [QueryImage.of(each) for each in queries or ()]
    opened = open_gallery(
        run, gallery, device=device, keypoints=keypoints, root=images, engine_required=engine_required
    )
    rows = _rows(opened.store, how.like_ids)
    where = Where(
        cameras=camera or (),
        not_cameras=[*(not_camera or ()), *(_cameras_of(asked, rows) if other_cameras else ())],
        people=person or (),
        groups=group or (),
        taken_from=moment(since) if since is not None else None,
        taken_before=moment(before) if before is not None else None,
        tags=tag or (),
        collections=(collection,) if collection is not None else (),
    )
    wanted = None if attributes is None else attribute_query(attributes, schema_of(opened.model))
    how = opened.with_feedback(asked, how) if feedback else how
    hits = opened.search(asked, k, attributes=wanted, where=where, how=how)
    names = [*(queries or ()), *(f"row {row}" for row in how.like_ids)]
    image = asked[0] if asked else None
    answer = StoredAnswer(" and ".join(names) or None, image, wanted, str(gallery), opened, hits, k, how, asked, rows)
    if output:
        answer.draw(output, blur=blur)
    if where.not_cameras and (unknown := opened.of_unknown_camera(wanted, where)):
        typer.echo(
            f"passerby: {unknown:,} images have no known camera, so they stay with --not-camera and --other-cameras. "
            "Fix: name the camera when images are added: passerby gallery add --camera-id ID",
            err=True,
        )
    if as_json:
        typer.echo(json.dumps({**answer.to_dict(), "satisfying": opened.matching(wanted, where)}, indent=2))
        return
    if where != Where():
        typer.echo(f"{opened.matching(wanted, where):,} of {len(opened):,} images satisfy the conditions.")
    answer.print()
    if output:
        typer.echo(f"The figure is in {output}.")


@dataclass(frozen=True)
class StoredAnswer(Answer):
    """An answer of a gallery on disk, which may be asked with several images and with its own rows."""

    how: Ask
    images: Sequence[QueryImage]
    rows: Sequence[StoredHit]

    @property
    def by_distance(self) -> bool:
        """The flag that hits are ranked by a distance."""
        return bool(self.images or self.rows)

    @property
    def said(self) -> str:
        """The differences from a search for one image, in words."""
        return self.how.described(len(self.images) + len(self.rows))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, ``None`` for what is unknown."""
        answer = super().to_dict()
        if len(self.images) + len(self.rows) > 1 or self.rows:
            answer["queries"] = [
                *({"path": each.sample.path, "pid": each.pid, "camid": each.sample.camid} for each in self.images),
                *({"id": each.id, "path": each.path, "pid": each.pid, "camid": each.camid} for each in self.rows),
            ]
        return answer | ({"asked": {**asdict(self.how), "in_words": self.said}} if self.said else {})

    def print(self) -> None:
        """Print a table of the hits."""
        super().print()
        if self.said and self.by_distance:
            typer.echo(f"Asked: {self.said}.")
        pairs = self.how.is_of_pairs(len(self.images) + len(self.rows))
        if self.by_distance and not pairs and self.gallery.domain is not None:
            typer.echo("The calibration is of distances of two images, so these have no verdicts.")

    def _heading(self) -> str:
        if self.by_distance and (self.image is None or len(self.images) + len(self.rows) > 1):
            return f"Closest to {self.name}{'' if self.attributes is None else f', predicted {self.attributes}'}:"
        return super()._heading()

    def _shown(self, images: ImageSet, *, blur: bool | None) -> tuple[Image.Image | None, int | None, int | None]:
        """Return the query as a figure shows it, of several the first one."""
        if self.image is None and self.rows:
            row = self.rows[0]
            return images.image(row.path), row.pid, row.camid
        return super()._shown(images, blur=blur)


def _rows(store: Store, ids: Sequence[int]) -> list[StoredHit]:
    """Return the rows that are queries."""
    from passerby.gallery.retention import described

    found = {row.id: row for row in described(store, list(ids), len(ids))} if ids else {}
    if absent := [row for row in ids if row not in found]:
        raise ConfigError(f"no row has the ID {absent[0]}. Fix: take IDs that a search shows")
    return [found[row] for row in ids]


def _cameras_of(images: Sequence[QueryImage], rows: Sequence[StoredHit]) -> list[int]:
    known = [*(each.sample.camid for each in images), *(each.camid for each in rows)]
    cameras = [each for each in known if each is not None]
    if not known or len(cameras) < len(known):
        raise ConfigError(
            "--other-cameras needs the camera of the query, which is unknown. Fix: give the query as PLACE::NAME of a "
            "dataset, or name the camera: --not-camera ID"
        )
    return cameras
