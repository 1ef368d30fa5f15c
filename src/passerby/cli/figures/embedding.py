"""``passerby figures embedding``: where people's pictures lie, seen from above."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from passerby.cli.options import (
    BlurOption,
    DeviceOption,
    FigureOption,
    FlipTtaOption,
    KeypointsOption,
    NormalizeOption,
    RequiredDataOption,
    RunArgument,
)
from passerby.cli.registry import command
from passerby.cli.results import progress_bar


@command("embedding", group="figures", order=4)
def embedding(  # noqa: PLR0913 - options of a command
    run: RunArgument,
    data: RequiredDataOption,
    output: FigureOption,
    method: Annotated[
        Literal["pca", "tsne", "umap"], typer.Option(help="How: PCA, t-SNE, or UMAP where umap-learn is installed.")
    ] = "pca",
    color: Annotated[Literal["person", "camera"], typer.Option(help="What colors and markers tell.")] = "person",
    people: Annotated[int, typer.Option(min=1, help="Of how many people, drawn by the seed.")] = 12,
    seed: Annotated[int, typer.Option(min=0, help="Of the people, of t-SNE and of UMAP.")] = 0,
    perplexity: Annotated[
        float | None, typer.Option(min=1, help="Of t-SNE: about how many neighbors count; default: 30, or fewer.")
    ] = None,
    thumbnails: Annotated[int, typer.Option(min=0, help="How many pictures to show, where there is room.")] = 14,
    blur: BlurOption = None,
    device: DeviceOption = "auto",
    poses: KeypointsOption = None,
    flip: FlipTtaOption = None,
    normalize: NormalizeOption = None,
) -> None:
    """Draw a map of embeddings: a point a picture, by person or by camera, with some of the pictures."""
    from passerby.data.registry import load as load_dataset
    from passerby.explain.format import run_names
    from passerby.explain.images import ImageSet
    from passerby.figures.embedding_map import embedding_figure, select_people
    from passerby.figures.save import check_figure, save_figure
    from passerby.inference.load import load

    check_figure(output)
    dataset = load_dataset(data)
    samples = select_people(dataset, people, seed=seed)
    model = load(run, device=device, keypoints=poses, flip_tta=flip, normalize=normalize)
    with progress_bar("embedding", len(samples)) as more:
        found = model.embed_samples(dataset.source, samples, progress=more)
    [name] = run_names([run])
    figure = embedding_figure(
        found,
        title=f"{name} on {data}",
        method=method,
        color=color,
        normalize=model.protocol.normalize,
        seed=seed,
        perplexity=perplexity,
        images=ImageSet(dataset.source, blur=blur),
        thumbnails=thumbnails,
    )
    save_figure(figure, output)
    typer.echo(f"The map is in {output}.")
