"""``passerby figures saliency``: what speaks for an identity, or makes two pictures near to each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from passerby.cli.options import (
    BlurOption,
    DeviceOption,
    FigureOption,
    KeypointsOption,
    QueryOption,
    RequiredDataOption,
    SampleSeedOption,
    check_names_or_number,
)
from passerby.cli.registry import command
from passerby.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

    from passerby.data.dataset import Dataset
    from passerby.explain.images import ImageSet, ModelView
    from passerby.figures.saliency import SaliencyGroup
    from passerby.inference.model import Model
    from passerby.types import Sample

By = Literal["distance", "identity"]
Way = Literal["elementwise", "gradcam", "cam"]
_NUMBER: dict[By, int] = {"distance": 2, "identity": 8}
_WAYS: dict[Way, str] = {
    "elementwise": "gradient × activation",
    "gradcam": "Grad-CAM",
    "cam": "class activation map of the last layer",
}


@command("saliency", group="figures", order=5)
def saliency(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN…", help="Run folders; maps of several stand below each other.")
    ],
    data: RequiredDataOption,
    output: FigureOption,
    by: Annotated[By, typer.Option(help="What is explained: what makes pictures near, or the likeliest identity.")] = (
        "distance"
    ),
    query: QueryOption = None,
    n: Annotated[
        int | None,
        typer.Option("-n", "--pairs", min=1, help="How many queries (2; by identity 8); each has a match and a near."),
    ] = None,
    method: Annotated[Way, typer.Option(help="How maps are weighed; cam by identity only.")] = "elementwise",
    layer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Whose maps, of those that the model has; repeatable; default: the finest 2."
        ),
    ] = None,
    seed: SampleSeedOption = 0,
    blur: BlurOption = None,
    device: DeviceOption = "auto",
    poses: KeypointsOption = None,
) -> None:
    """Draw where models look: for what makes two pictures near, or for an identity; the first run above the others."""
    from passerby.data.images.open import open_images
    from passerby.explain.format import run_names
    from passerby.explain.images import ImageSet
    from passerby.explain.select import select_samples
    from passerby.figures.saliency import saliency_figure
    from passerby.figures.save import check_figure, save_figure
    from passerby.inference.load import load

    check_figure(output)
    _refuse_misfits(by, method, layer, query, n)
    dataset, names = open_images(data), run_names(runs)
    predictors = [load(run, device=device, keypoints=poses) for run in runs]
    samples = select_samples(dataset, query or (), n=n or _NUMBER[by], seed=seed)
    album = ImageSet(dataset.source, blur=blur)
    if by == "distance":
        groups = _of_distance(predictors, dataset, samples, album, method, layer, seed)
    else:
        groups = _of_identity(predictors, samples, album, method, layer)
    how = f"{_WAYS[method]}{f' in {_and(layer)}' if layer else ''}"
    title = f"What {_WHAT[by]} ({how}): {_and(names)} on {data}"
    save_figure(saliency_figure(groups, names, title=title, foot=_foot(by, predictors)), output)
    typer.echo(f"The figure is in {output}.")


_WHAT: dict[By, str] = {"distance": "makes two pictures near", "identity": "speaks for an identity"}
_SCALE = "Bright: much; dark: little or nothing; each map from its own least to its own most."
_FOOT: dict[By, str] = {
    "distance": f"{_SCALE} d: squared distance. Another person: the nearest to the query, by "
    "the last run, among 200 gallery pictures drawn at random.",
    "identity": f"{_SCALE} The identity is the training person that the model deems the likeliest; p: how likely.",
}


def _foot(by: By, predictors: Sequence[Model]) -> str:
    """How to read the maps, and what they leave out."""
    from passerby.explain.saliency.maps import describe_limits

    return f"{_FOOT[by]} {describe_limits(predictor.protocol for predictor in predictors)}".strip()


def _refuse_misfits(
    by: By, method: Way, layer: Sequence[str] | None, query: Sequence[str] | None, n: int | None
) -> None:
    """Before any work.

    Raises:
        ConfigError: if an option would decide nothing.
    """
    if method == "cam" and by == "distance":
        raise ConfigError("a class activation map is of an identity: add --by identity, or choose another --method")
    if method == "cam" and layer:
        raise ConfigError("a class activation map is of the last layer: leave --layer out")
    check_names_or_number(query or (), n)


def _of_distance(
    predictors: Sequence[Model],
    dataset: Dataset,
    samples: Sequence[Sample],
    album: ImageSet,
    method: Way,
    layers: Sequence[str] | None,
    seed: int,
) -> list[SaliencyGroup]:
    from passerby.explain.images import view_samples
    from passerby.explain.saliency.maps import distance_saliency
    from passerby.explain.saliency.pairs import select_pairs
    from passerby.figures.saliency import distance_groups

    assert method != "cam"  # was refused
    pairs = select_pairs(predictors[-1], dataset, samples, seed=seed)
    found = []
    for model in predictors:
        a, b = (view_samples(model, album, some) for some in zip(*[(p.query, p.other) for p in pairs], strict=True))
        found.append(distance_saliency(a, b, method=method, layers=layers))
    return distance_groups(album, pairs, found)


def _of_identity(
    predictors: Sequence[Model], samples: Sequence[Sample], album: ImageSet, method: Way, layers: Sequence[str] | None
) -> list[SaliencyGroup]:
    from passerby.explain.images import view_samples
    from passerby.figures.saliency import identity_groups

    seen = [view_samples(model, album, samples) for model in predictors]
    maps = [_identity_maps(one, method, layers) for one in seen]
    return identity_groups(album, seen, maps, [_likeliest(one) for one in seen])


def _identity_maps(seen: ModelView, method: Way, layers: Sequence[str] | None) -> Tensor:
    from passerby.explain.saliency.maps import class_activation_maps, identity_saliency

    if method == "cam":
        return class_activation_maps(seen)
    return identity_saliency(seen, method=method, layers=layers)


def _likeliest(seen: ModelView) -> list[tuple[str, ...]]:
    """Index and probability of the class that each map is of."""
    assert seen.output.logits is not None  # else there would be no maps
    shares, classes = seen.output.logits.softmax(dim=1).max(dim=1)
    return [(f"class {k}", f"p = {p:.2f}") for k, p in zip(classes.tolist(), shares.tolist(), strict=True)]


def _and(names: Sequence[str]) -> str:
    return " and ".join(names)
