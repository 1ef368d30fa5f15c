"""``passerby figures saliency``: where an image lowers its distance to another one, or raises an identity's score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from passerby.cli.figures.model_options import ModelOptions
from passerby.cli.figures.sample_options import SampleOptions
from passerby.cli.options import (
    BlurOption,
    DeviceOption,
    FigureOption,
    KeypointsOption,
    QueryOption,
    RequiredDataOption,
    RunsArgument,
    SampleSeedOption,
)
from passerby.cli.registry import command
from passerby.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

    from passerby.explain.images import ImageSet, ModelView
    from passerby.explain.saliency.pairs import ImagePair
    from passerby.figures.saliency import SaliencyGroup
    from passerby.inference.model import Model
    from passerby.types import Sample

Explained = Literal["distance", "identity"]
Method = Literal["elementwise", "gradcam", "cam"]
_NUMBER: dict[Explained, int] = {"distance": 2, "identity": 8}
_TITLES: dict[Explained, str] = {"distance": "Distance saliency", "identity": "Identity saliency"}
_METHODS: dict[Method, str] = {
    "elementwise": "gradient × activation",
    "gradcam": "Grad-CAM",
    "cam": "class activation map of the last layer",
}
_SCALE = "Each map has its own scale: bright is high, dark is low or zero."
_FEET: dict[Explained, str] = {
    "distance": f"{_SCALE} d: squared distance. Another person: the nearest to the query, by "
    "the last run, among 200 random gallery images.",
    "identity": f"{_SCALE} The identity is the most probable training person; p: its probability.",
}


@command("saliency", group="figures", order=5)
def saliency(
    runs: RunsArgument,
    data: RequiredDataOption,
    output: FigureOption,
    by: Annotated[
        Explained, typer.Option(help="What is explained: the distance of pairs, or the most probable identity.")
    ] = "distance",
    query: QueryOption = None,
    n: Annotated[
        int | None,
        typer.Option("-n", "--pairs", min=1, help="Number of queries (default 2; 8 by identity)."),
    ] = None,
    method: Annotated[
        Method, typer.Option(help="How gradients weight a map; cam (class activation map) by identity only.")
    ] = "elementwise",
    layer: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Map layer of the model; repeatable (default the two finest)."),
    ] = None,
    seed: SampleSeedOption = 0,
    blur: BlurOption = None,
    device: DeviceOption = "auto",
    keypoints: KeypointsOption = None,
) -> None:
    """Draw saliency maps of pairs of images or of identities, of several runs below each other."""
    from passerby.explain.saliency.maps import describe_limits
    from passerby.explain.saliency.pairs import select_pairs
    from passerby.figures.saliency import saliency_figure
    from passerby.figures.save import check_figure, save_figure
    from passerby.inference.options import InferenceOptions

    check_figure(output)
    _check_method(by, method, layer)
    samples = SampleOptions(query, n, seed)
    options = ModelOptions(tuple(runs), data, InferenceOptions(device=device, keypoints=keypoints, blur=blur))
    models = options.load()
    selected = samples.select(options.dataset, n=_NUMBER[by])
    if by == "distance":
        pairs = select_pairs(models[-1], options.dataset, selected, seed=seed)
        groups = _pair_groups(models, options.images, pairs, method, layer)
    else:
        groups = _identity_groups(models, options.images, selected, method, layer)
    layers = f" in {_and(layer)}" if layer else ""
    title = f"{_TITLES[by]} ({_METHODS[method]}{layers}): {_and(options.names)} on {data}"
    foot = f"{_FEET[by]} {describe_limits(model.protocol for model in models)}".strip()
    save_figure(saliency_figure(groups, options.names, title=title, foot=foot), output)
    typer.echo(f"The figure is in {output}.")


def _check_method(by: Explained, method: Method, layer: Sequence[str] | None) -> None:
    """Check, before any work, that the options fit together.

    Raises:
        ConfigError: if they do not.
    """
    if method == "cam" and by == "distance":
        raise ConfigError("a class activation map explains an identity. Fix: add --by identity, or another --method")
    if method == "cam" and layer:
        raise ConfigError("--layer has no effect on a class activation map of the last layer. Fix: leave it out")


def _pair_groups(
    models: Sequence[Model],
    images: ImageSet,
    pairs: Sequence[ImagePair],
    method: Method,
    layers: Sequence[str] | None,
) -> list[SaliencyGroup]:
    from passerby.explain.images import view_samples
    from passerby.explain.saliency.maps import distance_saliency
    from passerby.figures.saliency import distance_groups

    assert method != "cam"  # was checked
    found = []
    for model in models:
        a, b = (view_samples(model, images, side) for side in zip(*[(p.query, p.other) for p in pairs], strict=True))
        found.append(distance_saliency(a, b, method=method, layers=layers))
    return distance_groups(images, pairs, found)


def _identity_groups(
    models: Sequence[Model],
    images: ImageSet,
    samples: Sequence[Sample],
    method: Method,
    layers: Sequence[str] | None,
) -> list[SaliencyGroup]:
    from passerby.explain.images import view_samples
    from passerby.figures.saliency import identity_groups

    views = [view_samples(model, images, samples) for model in models]
    maps = [_identity_maps(view, method, layers) for view in views]
    return identity_groups(images, views, maps, [_captions(view) for view in views])


def _identity_maps(view: ModelView, method: Method, layers: Sequence[str] | None) -> Tensor:
    from passerby.explain.saliency.maps import class_activation_maps, identity_saliency

    if method == "cam":
        return class_activation_maps(view)
    return identity_saliency(view, method=method, layers=layers)


def _captions(view: ModelView) -> list[tuple[str, ...]]:
    """Return index and probability of the class that each map explains."""
    assert view.output.logits is not None  # else there would be no maps
    shares, classes = view.output.logits.softmax(dim=1).max(dim=1)
    return [(f"class {k}", f"p = {p:.2f}") for k, p in zip(classes.tolist(), shares.tolist(), strict=True)]


def _and(names: Sequence[str]) -> str:
    return " and ".join(names)
