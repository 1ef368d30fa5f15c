"""Saliency maps: where an image raises the score of an identity, or lowers its distance to another image.

Distance saliency needs no labels.

With the map A of a layer (c channels) and G = ∂v/∂A, the gradient of a value v:

- Selvaraju et al., Grad-CAM (ICCV 2017), Eq 1–2, ReLU(Σ_c ᾱ_c A_c), ᾱ_c the mean of G_c: ``method="gradcam"``;
- Draelos and Carin (HiResCAM, 2020), ReLU(Σ_c G_c A_c): ``method="elementwise"``, the default;
- Zhou et al., class activation maps (CVPR 2016), Eq 2, Σ_c w_c A_c: :func:`class_activation_maps`;
- v is the score of an identity before the softmax (:func:`identity_saliency`) or of an attribute
  (:func:`attribute_saliency`);
- or v is −‖f(x) − f(y)‖², as the model's protocol compares embeddings: :func:`distance_saliency`. For pooled maps this
  splits the distance into positions, as Stylianou et al. (Visualizing deep similarity networks, 2019) do a product.

By default the maps of the two finest layers, each with sum 1, are averaged, as benchmarks/saliency.py decided: the most
salient place of the last map (4×2 cells at 128×64) often lies in a corner of the image, whichever method weighs it.

*Deviations*: a class activation map takes the gradient of the class's score as w, which is exact where one linear layer
follows the pooling; elsewhere (aanet, osnet, parts with weights) it is the network's linear part at that image. It is
shifted and scaled to [0, 1]. :func:`describe_limits` tells what the maps leave out of a protocol.

captum's layer attributions are not used: here a value depends on two images at once, and maps of body parts are placed
where the parts were cropped; one product and one mean would be left for captum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal, NamedTuple, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from passerby.data.keypoints.regions import PARTS
from passerby.errors import ConfigError, ShapeError, UnknownNameError
from passerby.explain.images import ModelView
from passerby.explain.upsample import upsample_maps
from passerby.models.base import WHOLE, MapLayers
from passerby.retrieval.distance.euclidean import l2_normalize
from passerby.types import ModelOutput, Protocol

Method = Literal["elementwise", "gradcam"]
FINEST = 2
"""The number of layers, from the finest, whose maps are averaged by default."""
Maps = dict[str, dict[str, Tensor]]
"""The maps by layer and input (whole image or part): ``(b, c, h, w)``, or weighted ``(b, h, w)``."""
Weigh = Callable[[Tensor, Tensor], Tensor]
"""A function of A and G ``(b, c, h, w)`` that returns a map ``(b, h, w)``."""


class PairSaliency(NamedTuple):
    """The saliency of both images of each pair: where they lower the distance."""

    a: Tensor
    """The maps ``(b, h, w)`` of the images of one side."""
    b: Tensor
    distances: Tensor
    """The squared distances ``(b,)`` of the embeddings, as the protocol compares them."""


def identity_saliency(
    view: ModelView,
    *,
    classes: Int[Tensor, " b"] | None = None,
    method: Method = "elementwise",
    layers: Sequence[str] | None = None,
) -> Float[Tensor, "b h w"]:
    """Map where an image raises the score of an identity; maps have the model's size and are not negative.

    Args:
        classes: class index of the identity for each image; ``None``: the class of the highest score.
        layers: names among the model's ``map_layers()``; ``None``: the two finest.

    Raises:
        ConfigError: if the model has no identity scores, or declares no map layers.
        UnknownNameError: if a layer or the method is unknown.
    """
    return _of_score(view, lambda output: _scores(output, classes), method, layers)


def attribute_saliency(
    view: ModelView,
    group: int,
    *,
    values: Int[Tensor, " b"] | None = None,
    method: Method = "elementwise",
    layers: Sequence[str] | None = None,
) -> Float[Tensor, "b h w"]:
    """Map where an image raises the score of an attribute value, as :func:`identity_saliency` does for an identity.

    Args:
        group: index of the attribute in the model's schema.
        values: value index for each image; ``None``: the value of the highest score.

    Raises:
        ConfigError, UnknownNameError: as :func:`identity_saliency`, or if the model predicts no attributes.
    """

    def score(output: ModelOutput) -> Tensor:
        if output.attributes is None:
            raise ConfigError("the model predicts no attributes to explain. Fix: explain a distance (--by distance)")
        return _selected(output.attributes[group], values)

    return _of_score(view, score, method, layers)


def _of_score(
    view: ModelView, score: Callable[[ModelOutput], Tensor], method: Method, layers: Sequence[str] | None
) -> Float[Tensor, "b h w"]:
    weigh = _weigh(method)
    output, maps = _run(view, select_layers(view, layers))
    gradients = torch.autograd.grad(score(output).sum(), _flat(maps))
    return place_maps(view, _weighed(maps, gradients, weigh))


def class_activation_maps(view: ModelView, *, classes: Int[Tensor, " b"] | None = None) -> Float[Tensor, "b h w"]:
    """Map how much the last feature map adds to an identity's score, from 0 (least) to 1 (most of the image).

    Raises:
        ConfigError: as :func:`identity_saliency`.
    """
    last = list(view.model.network.map_layers())[-1:]
    output, maps = _run(view, select_layers(view, last))
    gradients = torch.autograd.grad(_scores(output, classes).sum(), _flat(maps))
    (of_last,) = _weighed(maps, gradients, _pooled).values()
    found = _placed(view, of_last)
    low, high = found.amin(dim=(1, 2), keepdim=True), found.amax(dim=(1, 2), keepdim=True)
    return (found - low) / (high - low).clamp_min(torch.finfo(found.dtype).tiny)


def distance_saliency(
    a: ModelView, b: ModelView, *, method: Method = "elementwise", layers: Sequence[str] | None = None
) -> PairSaliency:
    """Map where each image of ``a`` lowers its distance to the image of ``b`` in the same row, and the reverse.

    Maps have the model's size and are not negative. An image is at distance 0 from itself, which nothing lowers: such
    maps are 0.

    Raises:
        ShapeError: if ``a`` and ``b`` have different lengths.
        ConfigError, UnknownNameError: as :func:`identity_saliency`.
    """
    if len(a) != len(b):
        raise ShapeError(f"images are compared row by row, but got {len(a)} and {len(b)}. Fix: give as many of both")
    of_a, of_b, distances = distance_maps(a, b, method=method, layers=layers)
    return PairSaliency(place_maps(a, of_a), place_maps(b, of_b), distances)


def distance_maps(
    a: ModelView, b: ModelView, *, method: Method = "elementwise", layers: Sequence[str] | None = None
) -> tuple[Maps, Maps, Float[Tensor, " b"]]:
    """Compute the same maps at the resolution of the layers, not yet placed on the images, and the distances."""
    weigh = _weigh(method)
    (out_a, maps_a), (out_b, maps_b) = (_run(view, select_layers(view, layers)) for view in (a, b))
    distances = paired_distances(out_a.embedding, out_b.embedding, normalize=a.model.protocol.normalize)
    gradients = torch.autograd.grad(-distances.sum(), [*_flat(maps_a), *_flat(maps_b)])
    split = len(_flat(maps_a))
    return _weighed(maps_a, gradients[:split], weigh), _weighed(maps_b, gradients[split:], weigh), distances.detach()


def paired_distances(x: Float[Tensor, "b d"], y: Float[Tensor, "b d"], *, normalize: bool) -> Float[Tensor, " b"]:
    """Compute ‖x − y‖² of each row, L2-normalized if ``normalize``; differentiable."""
    return (l2_normalize(x) - l2_normalize(y) if normalize else x - y).square().sum(dim=1)


def select_layers(view: ModelView, layers: Sequence[str] | None) -> MapLayers:
    """Select the model's map layers by name; ``None``: the two finest.

    Raises:
        ConfigError: if the model declares no map layers, or ``layers`` is empty.
        UnknownNameError: if a layer is unknown.
    """
    known = view.model.network.map_layers()
    names = list(known)[:FINEST] if layers is None else list(layers)
    if not names:
        raise ConfigError(f"a saliency map needs at least one layer. Fix: name some of {', '.join(known)}")
    for name in names:
        if name not in known:
            raise UnknownNameError(f"layer of {view.model.card.name}", name, known)
    return {name: known[name] for name in names}


def describe_limits(protocols: Iterable[Protocol]) -> str:
    """Describe what distance maps leave out of some protocols; empty where they leave out nothing.

    Maps explain the distance of the embeddings of single images, which every model has.
    """
    used, limits = list(protocols), []
    if any(protocol.flip_tta for protocol in used):
        limits.append("Maps do not include flip test-time augmentation.")
    if others := sorted({protocol.distance for protocol in used} - {"global"}):
        limits.append(f"Maps explain the distance of embeddings, not that of stripes in it ({', '.join(others)}).")
    if any(protocol.rerank for protocol in used):
        limits.append("Maps explain distances before re-ranking.")
    return " ".join(limits)


def _weigh(method: Method) -> Weigh:
    if method not in get_args(Method):
        raise UnknownNameError("saliency method", method, get_args(Method))
    weigh = _product if method == "elementwise" else _pooled
    return lambda A, G: weigh(A, G).relu()


def _product(A: Tensor, G: Tensor) -> Tensor:
    return (G * A).sum(dim=1)


def _pooled(A: Tensor, G: Tensor) -> Tensor:
    return (G.mean(dim=(2, 3), keepdim=True) * A).sum(dim=1)


def _run(view: ModelView, layers: MapLayers) -> tuple[ModelOutput, Maps]:
    """Run the model and return its output with the feature maps of these layers, all with gradients."""
    with torch.enable_grad(), _keep_maps(layers) as maps:
        output: ModelOutput = view.model.network(*(images.detach().requires_grad_() for images in view.inputs))
    return output, maps


@contextmanager
def _keep_maps(layers: MapLayers) -> Iterator[Maps]:
    maps: Maps = {name: {} for name in layers}

    def keep(name: str, what: str) -> Callable[[nn.Module, object, Tensor | tuple[Tensor, ...]], None]:
        def hook(_: nn.Module, __: object, output: Tensor | tuple[Tensor, ...]) -> None:
            maps[name][what] = output if isinstance(output, Tensor) else output[0]

        return hook

    hooks = [
        module.register_forward_hook(keep(name, what))
        for name, modules in layers.items()
        for what, module in modules.items()
    ]
    try:
        yield maps
    finally:
        for handle in hooks:
            handle.remove()


def _flat(maps: Maps) -> list[Tensor]:
    return [A for of_layer in maps.values() for A in of_layer.values()]


def _weighed(maps: Maps, gradients: Sequence[Tensor], weigh: Weigh) -> Maps:
    G = iter(gradients)
    return {name: {what: weigh(A.detach(), next(G)) for what, A in found.items()} for name, found in maps.items()}


def place_maps(view: ModelView, maps: Maps) -> Float[Tensor, "b h w"]:
    """Place the layers' maps on the images, scale each to sum 1 (maps of zeros stay), and average them."""
    placed = [_placed(view, found) for found in maps.values()]
    sums = [found.sum(dim=(1, 2), keepdim=True).clamp_min(torch.finfo(found.dtype).tiny) for found in placed]
    return torch.stack([found / total for found, total in zip(placed, sums, strict=True)]).mean(dim=0)


def _placed(view: ModelView, maps: Mapping[str, Tensor]) -> Tensor:
    """Place maps of bodies and parts on their images; the value of a cell is spread over its pixels."""
    height, width = view.model.size
    if view.rectangles is None:
        return upsample_maps(maps[WHOLE], (height, width))
    canvas = torch.zeros(len(view), height, width, device=maps[next(iter(maps))].device)
    for what, found in maps.items():
        boxes = view.rectangles.whole if what == WHOLE else view.rectangles.parts[:, PARTS.index(what)]
        for row, box in enumerate(boxes.tolist()):
            left, top, right, bottom = _pixels(box, height, width)
            cells = found[row].numel() / ((bottom - top) * (right - left))
            spread = upsample_maps(found[row : row + 1], (bottom - top, right - left))[0]
            canvas[row, top:bottom, left:right] += cells * spread
    return canvas


def _pixels(box: Sequence[float], height: int, width: int) -> tuple[int, int, int, int]:
    """Round a rectangle to whole pixels within the image, at least one."""
    left, top = min(max(round(box[0]), 0), width - 1), min(max(round(box[1]), 0), height - 1)
    return left, top, max(left + 1, min(round(box[2]), width)), max(top + 1, min(round(box[3]), height))


def _scores(output: ModelOutput, classes: Tensor | None) -> Tensor:
    """Return the scores ``(b,)`` of the requested identities, before the softmax."""
    if output.logits is None:
        raise ConfigError("the model has no identity scores to explain. Fix: explain a distance (--by distance)")
    return _selected(output.logits, classes)


def _selected(scores: Float[Tensor, "b n"], classes: Tensor | None) -> Float[Tensor, " b"]:
    """Return the highest score of each row, or that of the requested class."""
    columns = scores.detach().argmax(dim=1) if classes is None else classes.to(scores.device)
    return scores.gather(1, columns[:, None])[:, 0]
