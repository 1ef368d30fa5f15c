"""``passerby search``: a picture or attributes in, the nearest pictures of a gallery out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from passerby.cli.commands.embed import embed_with_bar
from passerby.cli.options import (
    BlurOption,
    DeviceOption,
    FlipTtaOption,
    JsonOption,
    KeypointsOption,
    NormalizeOption,
    OptionalFigureOption,
    RunArgument,
)
from passerby.cli.registry import Panel, command
from passerby.errors import ConfigError

if TYPE_CHECKING:
    from passerby.data.attributes.query import AttributeQuery
    from passerby.data.images.open import QueryImage
    from passerby.gallery.gallery import Gallery
    from passerby.inference.model import Model
    from passerby.types import Hit


@command("search", panel=Panel.SEARCH, order=1)
def search(
    run: RunArgument,
    gallery: Annotated[str, typer.Option(help="A .parquet file of passerby embed; or pictures as embed takes them.")],
    query: Annotated[
        str | None,
        typer.Argument(help="The picture: a file, or PLACE::NAME in a directory, zip or tar; none with --attributes."),
    ] = None,
    attributes: Annotated[
        str | None,
        typer.Option(
            metavar="GROUP=VALUE,…",
            help="Only pictures predicted to have these; without a picture, all ranked by their probability.",
        ),
    ] = None,
    k: Annotated[int | None, typer.Option("-k", min=1, help="How many; default: 10, or all where fewer.")] = None,
    as_json: JsonOption = False,
    device: DeviceOption = "auto",
    poses: KeypointsOption = None,
    flip: FlipTtaOption = None,
    normalize: NormalizeOption = None,
    output: OptionalFigureOption = None,
    blur: BlurOption = None,
) -> None:
    """Find the pictures nearest to one picture, or those of people with certain attributes."""
    from passerby.data.attributes.query import attribute_query
    from passerby.data.images.open import QueryImage
    from passerby.figures.save import check_figure
    from passerby.inference.attributes import schema_of
    from passerby.inference.load import load

    if query is None and attributes is None:
        raise ConfigError("there is nothing to search for: give a picture, --attributes GROUP=VALUE,…, or both")
    if output:
        check_figure(output)
    elif blur is not None:
        raise ConfigError("--blur and --no-blur are for figures, but none is asked for: add --output FILE.png")
    picture = None if query is None else QueryImage.of(query)
    if picture:
        picture.image  # noqa: B018 - what cannot be read ends here, not after a gallery was embedded
    model = load(run, device=device, keypoints=poses, flip_tta=flip, normalize=normalize)
    asked = None if attributes is None else attribute_query(attributes, schema_of(model.network))
    opened = _open(model, gallery)
    answer = _Answer(query, picture, asked, gallery, opened, opened.search(picture, k, attributes=asked))
    if output:
        answer.draw(output, blur=blur)
    if as_json:
        typer.echo(json.dumps(answer.plain(), indent=2))
    else:
        answer.print()
        if output:
            typer.echo(f"The pictures are in {output}.")


def _open(model: Model, gallery: str) -> Gallery:
    from passerby.data.images.open import list_images
    from passerby.gallery.gallery import Gallery

    if gallery.endswith(".parquet"):
        return Gallery.from_parquet(model, gallery)
    return embed_with_bar(model, *list_images(gallery))


@dataclass(frozen=True)
class _Answer:
    """What was asked, and what was found."""

    name: str | None
    picture: QueryImage | None
    asked: AttributeQuery | None
    place: str
    gallery: Gallery
    hits: Sequence[Hit]

    def plain(self) -> dict[str, Any]:
        """The whole answer as plain values; what is unknown is null."""
        picture, answer = self.picture, dict[str, Any]()
        if picture is not None:
            answer["query"] = {"path": self.name, "pid": picture.pid, "camid": picture.sample.camid}
        else:
            answer["query"] = None
        if self.asked is not None:
            by = "filter, then distance" if picture else "probability"
            answer |= {"attributes": self.asked.values, "ranked_by": by, "matching": self.gallery.matching(self.asked)}
        return {**answer, "gallery": self.place, "hits": [_plain(hit) for hit in self.hits]}

    def draw(self, figure: Path, *, blur: bool | None) -> None:
        from passerby.explain.images import ImageSet
        from passerby.figures.save import save_figure
        from passerby.figures.search_result import search_figure

        album = ImageSet(self.gallery.source, blur=blur)
        found = [(hit, album.image(hit.path)) for hit in self.hits]
        asked = self.asked.values if self.asked else None
        image, pid, camid = None, None, None
        if self.picture:
            image = ImageSet(self.picture.source, blur=blur).image(self.picture.sample.path)
            pid, camid = self.picture.pid, self.picture.sample.camid
        save_figure(search_figure(image, found, pid=pid, camid=camid, attributes=asked), figure)

    def print(self) -> None:
        from rich.console import Console
        from rich.table import Table

        from passerby.types import Role

        typer.echo(self._heading())
        if not self.hits:
            return
        numbers = [*(["distance"] if self.picture else []), *(["probability"] if self.asked else [])]
        table = Table(box=None, pad_edge=False)
        judged = any(hit.verdict for hit in self.hits)
        for heading in ("rank", *numbers, *(["P(same)", "verdict"] if judged else []), "person", "camera"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("path", overflow="fold")
        for hit in self.hits:
            person = hit.pid if hit.role is Role.PERSON else hit.role.name.lower()
            known = ("–" if label is None else str(label) for label in (person, hit.camid))
            said = [f"{hit.same_person:.4f}", str(hit.verdict)] if judged else []
            table.add_row(str(hit.rank), *(f"{getattr(hit, n):.4f}" for n in numbers), *said, *known, hit.path)
        console = Console(markup=False, highlight=False)
        if not console.is_terminal:
            console.width = 10_000  # a path in a pipe stays in one piece
        console.print(table)

    def _heading(self) -> str:
        total = f"{len(self.gallery):,}"
        if self.picture is None:
            return f"All {total} pictures, ranked by the probability of {self.asked} (product over groups):"
        pid, camid = self.picture.pid, self.picture.sample.camid
        who = f"{self.name} (person {pid}, camera {camid})" if pid is not None else self.name
        if self.asked is None:
            return f"Nearest to {who}:"
        if not self.hits:
            return (
                f"None of {total} pictures is predicted {self.asked}; ask for less, or rank all: leave the picture out."
            )
        matching = f"{self.gallery.matching(self.asked):,} of {total}"
        return f"Nearest to {who} among the {matching} pictures predicted {self.asked}:"


def _plain(hit: Hit) -> dict[str, Any]:
    """Plain values for JSON; what a calibration says stands there where there is one."""
    judged = hit.verdict is not None
    plain = {name: value for name, value in asdict(hit).items() if judged or name not in ("same_person", "verdict")}
    return {**plain, "role": hit.role.name.lower()}
