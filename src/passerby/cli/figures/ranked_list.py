"""``passerby figures ranked-list``: queries and their ranked lists, of runs or of precomputed embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from passerby.cli.figures.embedding_options import EmbeddingOptions
from passerby.cli.options import (
    BlurOption,
    DataOption,
    DeviceOption,
    DistanceOption,
    FeaturesOption,
    FigureOption,
    FlipTtaOption,
    KeypointsOption,
    NormalizeOption,
    OptionalRunsArgument,
    RerankOption,
    check_names_or_number,
)
from passerby.cli.registry import command
from passerby.errors import ConfigError, DatasetLayoutError

if TYPE_CHECKING:
    from torch import Tensor

    from passerby.data.attributes.query import AttributeQuery
    from passerby.data.source import Source
    from passerby.explain.evaluated import EvaluatedEmbeddings
    from passerby.explain.ranked_lists import RankedList, Selection

_NUMBER = 5
_SELECTED = {
    "best": "the {n} of highest average precision",
    "worst": "the {n} of lowest average precision",
    "random": "{n} drawn at random (seed {seed})",
}


@command("ranked-list", group="figures", order=3)
def ranked_list(  # noqa: PLR0913 - options of a command
    output: FigureOption,
    runs: OptionalRunsArgument = None,
    data: DataOption = None,
    features: FeaturesOption = None,
    images: Annotated[
        str | None, typer.Option(metavar="PLACE", help="Folder, zip or tar with the images that --features name.")
    ] = None,
    queries: Annotated[
        list[str] | None,
        typer.Option(
            metavar="best|worst|random|NAME",
            help="Queries by average precision of the first run, or by name; repeatable (default random).",
        ),
    ] = None,
    n: Annotated[int | None, typer.Option("-n", min=1, help=f"Number of queries (default {_NUMBER}).")] = None,
    k: Annotated[int | None, typer.Option("-k", min=1, help="Length of a list (default 10, or the gallery's).")] = None,
    junk: Annotated[bool, typer.Option("--junk", help="Also show what the protocol ignores.")] = False,
    distance: DistanceOption = None,
    rerank: RerankOption = False,
    attributes: Annotated[
        str | None,
        typer.Option(
            metavar="GROUP=VALUE,…|own[:GROUP,…]",
            help="Also show the lists filtered by predicted attributes; own: those of the query.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the queries, and of the order of equal ones.")] = 0,
    blur: BlurOption = None,
    device: DeviceOption = "auto",
    keypoints: KeypointsOption = None,
    flip_tta: FlipTtaOption = None,
    normalize: NormalizeOption = None,
) -> None:
    """Draw queries and their nearest gallery images, marked as true matches, false matches or junk."""
    from passerby.explain.images import ImageSet
    from passerby.explain.ranked_lists import select_queries
    from passerby.figures.ranked_list import ranked_list_figure
    from passerby.figures.save import check_figure, save_figure
    from passerby.inference.options import InferenceOptions

    check_figure(output)
    selection = _parse_queries(tuple(queries or ("random",)))
    check_names_or_number(() if isinstance(selection, str) else selection, n, what="query")
    options = EmbeddingOptions(
        runs=tuple(runs or ()),
        data=data,
        features=(features,) if features else (),
        inference=InferenceOptions(device=device, keypoints=keypoints, flip_tta=flip_tta, normalize=normalize),
        whole_gallery=True,
        distance=distance,
        rerank=rerank,
        junk=junk,
        attributes=attributes is not None,
    )
    source, embedded = _open(options, images)
    first = embedded[0]
    rows = select_queries(first.query, first.gallery, first.protocol, selection, n or _NUMBER, seed=seed)
    lists = {
        name: found
        for each in embedded
        for name, found in _lists(each, rows, k=k, junk=junk, attributes=attributes).items()
    }
    selected = _SELECTED[selection].format(n=len(rows), seed=seed) if isinstance(selection, str) else "by name"
    by_first = f" for {first.name}" if selection in ("best", "worst") and len(embedded) > 1 else ""
    title = _title(embedded, f"on {images or options.location}; queries: {selected}{by_first}")
    save_figure(ranked_list_figure(lists, ImageSet(source, blur=blur), title=title), output)
    typer.echo(f"The figure is in {output}.")


def _parse_queries(queries: tuple[str, ...]) -> Selection | tuple[str, ...]:
    """Tell a selection from names of queries."""
    from passerby.explain.ranked_lists import Selection

    selections: dict[str, Selection] = {word: word for word in get_args(Selection)}
    return selections[queries[0]] if len(queries) == 1 and queries[0] in selections else queries


def _open(options: EmbeddingOptions, images: str | None) -> tuple[Source, list[EvaluatedEmbeddings]]:
    """Return the source of the images, and the embeddings of each run or of the file.

    Raises:
        ConfigError, DatasetLayoutError: if the images of a file are not known, or ``images`` are given with runs.
    """
    from passerby.data.confined import open_confined

    if not options.features and images is not None:
        raise ConfigError("--images belongs to --features; the images of runs are those of --data. Fix: leave it out")
    embedded = options.open()
    if not options.features:
        return options.dataset.source, embedded
    if images is None:
        raise ConfigError("--features hold no images. Fix: add --images PLACE, a folder, zip or tar")
    _check_names(options.features[0], embedded[0], images)
    return open_confined(images), embedded


def _check_names(file: Path, embedded: EvaluatedEmbeddings, images: str) -> None:
    """Check that a file of embeddings names its images."""
    from passerby.inference.embeddings_file import has_image_paths

    sides = {"query": embedded.query, "gallery": embedded.gallery}
    if missing := [name for name, side in sides.items() if not has_image_paths(side)]:
        raise DatasetLayoutError(
            f"{file} does not name the images of its {' and '.join(missing)}. Fix: add "
            f"{' and '.join(f'{name}_path' for name in missing)} (a column path of Parquet), the names within "
            f"{images}; docs/evaluation.md describes the format"
        )


def _lists(
    each: EvaluatedEmbeddings, rows: Tensor, *, k: int | None, junk: bool, attributes: str | None
) -> dict[str, Sequence[RankedList]]:
    """Return the lists of one run by name, with attributes also the filtered lists."""
    from passerby.explain.ranked_lists import ranked_lists
    from passerby.inference.attributes import attribute_queries

    def lists(filters: Sequence[AttributeQuery] | None = None) -> Sequence[RankedList]:
        return ranked_lists(
            each.query,
            each.gallery,
            each.protocol,
            rows,
            k=k,
            junk=junk,
            calibration=each.calibration,
            filters=filters,
        )

    if attributes is None:
        return {each.name: lists()}
    assert each.schema is not None  # EmbeddingOptions checked that the model predicts attributes
    assert each.query.attributes is not None
    filters = attribute_queries(attributes, each.query.attributes[rows], each.schema)
    return {each.name: lists(), f"{each.name}, filtered": lists(filters)}


def _title(embedded: Sequence[EvaluatedEmbeddings], where: str) -> str:
    """Return the title: runs, data, queries and protocols."""
    protocols = {str(each.protocol) for each in embedded}
    lines = protocols if len(protocols) == 1 else [f"{each.name}: {each.protocol}" for each in embedded]
    return "\n".join([f"{' and '.join(each.name for each in embedded)} {where}", *lines])
