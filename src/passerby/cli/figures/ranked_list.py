"""``passerby figures ranked-list``: what queries find, right and wrong, of runs or of anybody's embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from passerby.cli.figures.model_options import Distance, Origin
from passerby.cli.options import (
    BlurOption,
    DataOption,
    DeviceOption,
    FigureOption,
    FlipTtaOption,
    KeypointsOption,
    NormalizeOption,
    check_names_or_number,
)
from passerby.cli.registry import command

if TYPE_CHECKING:
    from torch import Tensor

    from passerby.data.attributes.query import AttributeQuery
    from passerby.explain.evaluated import EvaluatedEmbeddings
    from passerby.explain.ranked_lists import RankedList, Selection

_NUMBER = 5
_CHOSEN = {
    "best": "the {n} of highest average precision",
    "worst": "the {n} of lowest average precision",
    "random": "{n} drawn at random (seed {seed})",
}


@command("ranked-list", group="figures", order=3)
def ranked_list(  # noqa: PLR0913 - options of a command
    output: FigureOption,
    runs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[RUN]…", help="Run folders; lists of several stand below each other."),
    ] = None,
    data: DataOption = None,
    features: Annotated[
        Path | None,
        typer.Option(metavar="FILE.npz|.parquet", help="Embeddings of anybody's instead of runs; docs/evaluation.md."),
    ] = None,
    pictures: Annotated[
        str | None, typer.Option(metavar="PLACE", help="Of --features: where the pictures are that its paths name.")
    ] = None,
    queries: Annotated[
        list[str] | None,
        typer.Option(
            metavar="best|worst|random|NAME",
            help="By average precision (of the first run), at random (default), or names of pictures; repeatable.",
        ),
    ] = None,
    n: Annotated[int | None, typer.Option("-n", min=1, help=f"How many queries ({_NUMBER}).")] = None,
    k: Annotated[int | None, typer.Option("-k", min=1, help="Hits of each; default: 10, or all where fewer.")] = None,
    junk: Annotated[bool, typer.Option("--junk", help="Show what the protocol ignores, too.")] = False,
    distance: Annotated[Distance, typer.Option(help="What is compared: embeddings, stripes, or both.")] = "global",
    rerank: Annotated[bool, typer.Option("--rerank", help="Re-rank by k-reciprocal neighbors.")] = False,
    attributes: Annotated[
        str | None,
        typer.Option(
            metavar="GROUP=VALUE,…|own[:GROUP,…]",
            help="Below each list, what is left of it if only pictures predicted so stay; own: as the query is.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of random queries, and of who comes first among equals.")] = 0,
    blur: BlurOption = None,
    device: DeviceOption = "auto",
    poses: KeypointsOption = None,
    flip: FlipTtaOption = None,
    normalize: NormalizeOption = None,
) -> None:
    """Draw queries and what each finds: green is right, vermilion is wrong, gray does not count."""
    from passerby.explain.images import ImageSet
    from passerby.explain.ranked_lists import select_queries
    from passerby.figures.ranked_list import ranked_list_figure
    from passerby.figures.save import check_figure, save_figure

    check_figure(output)
    which = _which(tuple(queries or ("random",)))
    check_names_or_number(() if isinstance(which, str) else which, n, what="query")
    origin = Origin(
        tuple(runs or ()), data, features, pictures, distance, rerank, attributes is not None, device, poses, flip,
        normalize,
    )  # fmt: skip
    source, embedded = origin.open()
    first = embedded[0]
    rows = select_queries(first.query, first.gallery, first.protocol, which, n or _NUMBER, seed=seed)
    lists = {
        name: some
        for each in embedded
        for name, some in _lists(each, rows, k=k, junk=junk, attributes=attributes).items()
    }
    chosen = _CHOSEN[which].format(n=len(rows), seed=seed) if isinstance(which, str) else "by name"
    of = f" for {first.name}" if which in ("best", "worst") and len(embedded) > 1 else ""
    title = _title(embedded, f"on {origin.place}; queries: {chosen}{of}")
    save_figure(ranked_list_figure(lists, ImageSet(source, blur=blur), title=title), output)
    typer.echo(f"The ranked lists are in {output}.")


def _which(queries: tuple[str, ...]) -> Selection | tuple[str, ...]:
    from passerby.explain.ranked_lists import Selection

    words: dict[str, Selection] = {word: word for word in get_args(Selection)}
    return words[queries[0]] if len(queries) == 1 and queries[0] in words else queries


def _lists(
    each: EvaluatedEmbeddings, rows: Tensor, *, k: int | None, junk: bool, attributes: str | None
) -> dict[str, Sequence[RankedList]]:
    """By name; with attributes, what is left of them, too."""
    from passerby.explain.ranked_lists import ranked_lists
    from passerby.inference.attributes import attribute_queries

    def listed(asked: Sequence[AttributeQuery] | None = None) -> Sequence[RankedList]:
        return ranked_lists(
            each.query, each.gallery, each.protocol, rows, k=k, junk=junk, calibration=each.calibration, filters=asked
        )

    if attributes is None:
        return {each.name: listed()}
    assert each.schema is not None  # of a model that predicts attributes, else it was refused
    assert each.query.attributes is not None
    asked = attribute_queries(attributes, each.query.attributes[rows], each.schema)
    return {each.name: listed(), f"{each.name}, filtered": listed(asked)}


def _title(embedded: Sequence[EvaluatedEmbeddings], where: str) -> str:
    """Whose lists, of which data and queries, by which protocol."""
    hows = {str(each.protocol) for each in embedded}
    lines = hows if len(hows) == 1 else [f"{each.name}: {each.protocol}" for each in embedded]
    return "\n".join([f"{' and '.join(each.name for each in embedded)} {where}", *lines])
