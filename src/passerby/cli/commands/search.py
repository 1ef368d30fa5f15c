"""``passerby search``: find the images of a gallery that match an image or attributes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from passerby.cli.commands.embed import BrokenImages, embed_gallery
from passerby.cli.options import (
    BatchSizeOption,
    BlurOption,
    DeviceOption,
    FlipTtaOption,
    HitsOption,
    JsonOption,
    KeypointsOption,
    ModelArgument,
    NormalizeOption,
    OptionalFigureOption,
    OptionalQueryArgument,
    SkipBrokenOption,
    WantedAttributesOption,
)
from passerby.cli.registry import Panel, command
from passerby.cli.results import calibration_note
from passerby.errors import ConfigError, DatasetLayoutError, ImageError, escape_controls

if TYPE_CHECKING:
    from PIL import Image

    from passerby.data.attributes.query import AttributeQuery
    from passerby.data.images.open import QueryImage
    from passerby.explain.images import ImageSet
    from passerby.gallery.gallery import Gallery
    from passerby.gallery.verdicts.check import DomainCheck
    from passerby.inference.model import Model
    from passerby.types import Hit


@command("search", panel=Panel.SEARCH, order=1)
def search(  # noqa: PLR0913 - options of a command
    run: ModelArgument,
    gallery: Annotated[
        str,
        typer.Option(
            "--gallery",
            metavar="GALLERY",
            help="A .parquet file of `passerby embed`, a gallery on disk, or images to embed.",
        ),
    ],
    query: OptionalQueryArgument = None,
    attributes: WantedAttributesOption = None,
    k: HitsOption = None,
    images: Annotated[
        str | None,
        typer.Option(
            "--images",
            metavar="PLACE",
            help="Images of the .parquet file, for --output: a folder, zip, tar or dataset (default where embed "
            "read them, if it ran here).",
        ),
    ] = None,
    skip_broken: SkipBrokenOption = False,
    output: OptionalFigureOption = None,
    device: DeviceOption = "auto",
    batch_size: BatchSizeOption = 64,
    flip_tta: FlipTtaOption = None,
    normalize: NormalizeOption = None,
    keypoints: KeypointsOption = None,
    blur: BlurOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the gallery images closest to an image, or those of people with given attributes."""
    from passerby.data.attributes.query import attribute_query
    from passerby.data.images.open import QueryImage
    from passerby.figures.save import check_figure
    from passerby.inference.attributes import schema_of
    from passerby.inference.load import load
    from passerby.inference.options import InferenceOptions

    check_asked(query, attributes)
    if output:
        check_figure(output)
    elif images is not None:
        raise ConfigError("--images has no effect without a figure. Fix: add --output FILE.png")
    elif blur is not None:
        raise ConfigError("--blur and --no-blur have no effect without a figure. Fix: add --output FILE.png")
    image = None if query is None else QueryImage.of(query)
    if image:
        image.image  # noqa: B018 - an unreadable image is an error before the gallery is embedded
    options = InferenceOptions(
        device=device, batch_size=batch_size, flip_tta=flip_tta, normalize=normalize, keypoints=keypoints, blur=blur
    )
    model = load(run, options)
    wanted = None if attributes is None else attribute_query(attributes, schema_of(model))
    opened = _open(model, gallery, images, skip_broken=skip_broken)
    if output:
        opened.source  # noqa: B018 - images that may not be shown are an error before the search
    answer = Answer(query, image, wanted, gallery, opened, opened.search(image, k, attributes=wanted), k)
    if output:
        answer.draw(output, blur=options.blur)
    if as_json:
        typer.echo(json.dumps(answer.to_dict(), indent=2))
    else:
        answer.print()
        if output:
            typer.echo(f"The figure is in {output}.")


def check_asked(query: str | None, attributes: str | None) -> None:
    """Check that a search asks for something.

    Raises:
        ConfigError: if it does not.
    """
    if query is None and attributes is None:
        raise ConfigError("nothing to search for. Fix: give an image, --attributes GROUP=VALUE,…, or both")


def _open(model: Model, gallery: str, images: str | None, *, skip_broken: bool) -> Gallery:
    from passerby.data.images.open import list_images_and_splits
    from passerby.gallery import Gallery
    from passerby.gallery.store.manifest import is_gallery

    if gallery.endswith(".parquet") or is_gallery(gallery):
        if skip_broken:
            raise ConfigError(
                f"--skip-broken is about images to embed, but --gallery is '{gallery}', whose images are embedded. "
                "Fix: leave it out"
            )
        return Gallery.open(model, gallery, root=images)
    if images is not None:
        raise ConfigError(f"--images belongs to a .parquet file, but --gallery is '{gallery}'. Fix: leave it out")
    broken = BrokenImages(gallery, skip=skip_broken)
    embedded = embed_gallery(model, *list_images_and_splits(gallery), on_broken=broken.note)
    broken.print()
    return embedded


@dataclass(frozen=True)
class Answer:
    """A query, image or attributes or both, and its hits."""

    name: str | None
    image: QueryImage | None
    attributes: AttributeQuery | None
    place: str
    gallery: Gallery
    hits: Sequence[Hit]
    k: int | None
    """The number of hits that was asked for; ``None`` for the default."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, ``None`` for what is unknown."""
        image, answer = self.image, dict[str, Any]()
        if image is not None:
            answer["query"] = {"path": self.name, "pid": image.pid, "camid": image.sample.camid}
        else:
            answer["query"] = None
        if self.attributes is not None:
            by = "filter, then distance" if image else "probability"
            matching = self.gallery.matching(self.attributes)
            answer |= {"attributes": self.attributes.values, "ranked_by": by, "matching": matching}
        answer |= {"gallery": self.place, "hits": [_hit_to_dict(hit) for hit in self.hits]}
        check = self.check
        return answer | ({} if check is None else {"calibrated_on": self.calibrated_on, "verdicts": check.to_dict()})

    @property
    def check(self) -> DomainCheck | None:
        """The check whether verdicts hold for the gallery; ``None`` where no hit has one."""
        if self.image is None:
            return None
        return self.gallery.domain if not self.hits or any(hit.verdict for hit in self.hits) else None

    @property
    def calibrated_on(self) -> str | None:
        """The images that P(same person) was fitted on; ``None`` where no hit has one."""
        return None if self.check is None else self.check.calibration.place

    def draw(self, figure: Path, *, blur: bool | None) -> None:
        """Write a figure of the query and its hits."""
        from passerby.explain.images import ImageSet
        from passerby.figures.save import save_figure
        from passerby.figures.search_result import search_figure

        images = ImageSet(self.gallery.source, blur=blur)
        found = [(hit, _image_or_none(images, hit.path)) for hit in self.hits]
        attributes = self.attributes.values if self.attributes else None
        query, pid, camid = self._shown(images, blur=blur)
        save_figure(
            search_figure(query, found, pid=pid, camid=camid, attributes=attributes, calibrated_on=self.calibrated_on),
            figure,
        )

    def _shown(self, _: ImageSet, *, blur: bool | None) -> tuple[Image.Image | None, int | None, int | None]:
        """Return the query as a figure shows it, its person and its camera."""
        from passerby.explain.images import ImageSet

        if self.image is None:
            return None, None, None
        shown = ImageSet(self.image.source, blur=blur).image(self.image.sample.path)
        return shown, self.image.pid, self.image.sample.camid

    @property
    def by_distance(self) -> bool:
        """The flag that hits are ranked by a distance."""
        return self.image is not None

    def print(self) -> None:
        """Print a table of the hits."""
        typer.echo(escape_controls(self._heading(), one_line=True))
        self._print_hits()
        if self.k is not None and len(self.hits) < self.k:
            typer.echo(f"No more than these {len(self.hits):,} images can be found, fewer than -k {self.k:,}.")

    def _print_hits(self) -> None:
        from rich.console import Console
        from rich.table import Table

        from passerby.gallery.stored_hits import StoredHit
        from passerby.types import Role

        if not self.hits:
            return
        numbers = [*(["distance"] if self.by_distance else []), *(["probability"] if self.attributes else [])]
        table = Table(box=None, pad_edge=False)
        calibrated = self.check is not None
        ids = ["id"] if isinstance(self.hits[0], StoredHit) else []
        ids += ["others"] if getattr(self.hits[0], "others", None) is not None else []
        for heading in ("rank", *numbers, *(["P(same)", "verdict"] if calibrated else []), "person", "camera", *ids):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("path", overflow="fold")
        for hit in self.hits:
            person = hit.pid if hit.role is Role.PERSON else hit.role.name.lower()
            labels = ("–" if label is None else str(label) for label in (person, hit.camid))
            probability = "–" if hit.same_person is None else f"{hit.same_person:.4f}"
            verdict = [probability, hit.verdict or "–"] if calibrated else []
            path = escape_controls(hit.path, one_line=True)
            row = [str(each) for each in (hit.id, hit.others)[: len(ids)]] if isinstance(hit, StoredHit) else []
            table.add_row(str(hit.rank), *(f"{getattr(hit, n):.4f}" for n in numbers), *verdict, *labels, *row, path)
        console = Console(markup=False, highlight=False)
        if not console.is_terminal:
            console.width = 10_000  # a path in a pipe stays in one piece
        console.print(table)
        if self.check is not None:
            of = "gallery" if self.check.own else "run"
            typer.echo(calibration_note(f"{self.calibrated_on}", self.check.reason, of=of))

    def _heading(self) -> str:
        total = f"{len(self.gallery):,}"
        if self.image is None:
            return f"All {total} images, ranked by the probability of {self.attributes} (product over groups):"
        pid, camid = self.image.pid, self.image.sample.camid
        query = f"{self.name} (person {pid}, camera {camid})" if pid is not None else self.name
        if self.attributes is None and not self.hits:
            return f"None of {total} images satisfies the conditions. Fix: ask for fewer conditions."
        if self.attributes is None:
            return f"Closest to {query}:"
        if not self.hits:
            return (
                f"None of {total} images is predicted {self.attributes}. "
                "Fix: ask for fewer attributes, or leave IMAGE out to rank all images."
            )
        matching = f"{self.gallery.matching(self.attributes):,} of {total}"
        return f"Closest to {query} among the {matching} images predicted {self.attributes}:"


def _image_or_none(images: ImageSet, name: str) -> Image.Image | None:
    """Return an image for a figure; ``None``, with a line on stderr, if it is gone or cannot be read."""
    try:
        return images.image(name)
    except (DatasetLayoutError, ImageError) as error:
        typer.echo(f"passerby: the figure lacks an image: {escape_controls(str(error), one_line=True)}", err=True)
        return None


def _hit_to_dict(hit: Hit) -> dict[str, Any]:
    """Return plain values for JSON, with those of a calibration only if there is one."""
    calibrated = hit.verdict is not None
    plain = {name: value for name, value in asdict(hit).items() if calibrated or name not in ("same_person", "verdict")}
    return {**plain, "role": hit.role.name.lower()}
