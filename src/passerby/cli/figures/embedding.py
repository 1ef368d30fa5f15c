"""``passerby figures embedding``: a map of the embeddings of some people."""

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
        Literal["pca", "tsne", "umap"], typer.Option(help="Projection: PCA, t-SNE, or UMAP if umap-learn is installed.")
    ] = "pca",
    color: Annotated[Literal["person", "camera"], typer.Option(help="What colors and markers show.")] = "person",
    people: Annotated[int, typer.Option(min=1, help="Number of random people.")] = 12,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the people, of t-SNE and of UMAP.")] = 0,
    perplexity: Annotated[
        float | None, typer.Option(min=1, help="Perplexity of t-SNE (default 30, or a third of few images).")
    ] = None,
    thumbnails: Annotated[int, typer.Option(min=0, help="Maximum number of images in the map.")] = 14,
    blur: BlurOption = None,
    device: DeviceOption = "auto",
    keypoints: KeypointsOption = None,
    flip_tta: FlipTtaOption = None,
    normalize: NormalizeOption = None,
) -> None:
    """Draw a map of embeddings by person or by camera, with some of the images."""
    from passerby.data.registry import load as load_dataset
    from passerby.explain.format import run_names
    from passerby.explain.images import ImageSet
    from passerby.figures.embedding_map import embedding_figure, select_people
    from passerby.figures.save import check_figure, save_figure
    from passerby.inference.load import load

    check_figure(output)
    dataset = load_dataset(data)
    samples = select_people(dataset, people, seed=seed)
    model = load(run, device=device, keypoints=keypoints, flip_tta=flip_tta, normalize=normalize)
    with progress_bar("embedding", len(samples)) as progress:
        embeddings = model.embed_samples(dataset.source, samples, progress=progress)
    [name] = run_names([run])
    figure = embedding_figure(
        embeddings,
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
    typer.echo(f"The figure is in {output}.")
