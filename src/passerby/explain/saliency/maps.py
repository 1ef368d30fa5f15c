"""Where a model looks: for an identity, or for what makes two pictures near, which needs no labels.

With the map A of a layer (c channels) and G = ∂v/∂A, the gradient of a value v:

- Selvaraju et al., Grad-CAM (ICCV 2017), Eq 1–2, ReLU(Σ_c ᾱ_c A_c), ᾱ_c the mean of G_c: ``method="gradcam"``;
- Draelos and Carin (HiResCAM, 2020), ReLU(Σ_c G_c A_c): ``method="elementwise"``, the default;
- Zhou et al., class activation maps (CVPR 2016), Eq 2, Σ_c w_c A_c: :func:`class_activation_maps`;
- v is an identity's score before the softmax: :func:`identity_saliency`, or an attribute's: :func:`attribute_saliency`;
- or −‖f(x) − f(y)‖², as the model's protocol compares embeddings: :func:`distance_saliency`. For pooled maps this
  splits the distance into positions, as Stylianou et al. (Visualizing deep similarity networks, 2019) do a product.

By default the maps of the two finest layers, each of sum 1, are averaged. benchmarks/saliency.py chose: what the last
map (4×2 cells at 128×64) calls salient often lies in the picture's corners, whichever method weighs it.

*Deviations*: a class activation map takes the gradient of the class's score for w, which it is where one linear layer
follows the pooling; elsewhere (aanet, osnet, parts with weights) it is the network's linear part at that picture. It is
shifted and scaled to [0, 1]. What maps leave out of a protocol, :func:`unexplained` says.

captum's layer attributions are not used: a value here is of two pictures at once, and maps of body parts go back to
where these were cut; what would be left for it is one product and one mean.
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
"""Layers whose maps are averaged, from the finest."""
Maps = dict[str, dict[str, Tensor]]
"""Of some layers, by name, and then by what they are of: ``(b, c, h, w)``, or weighed ``(b, h, w)``."""
Weigh = Callable[[Tensor, Tensor], Tensor]
"""A and G ``(b, c, h, w)`` → a map ``(b, h, w)``."""


class PairSaliency(NamedTuple):
    """What makes pictures near to each other, row by row."""

    a: Tensor
    """``(b, h, w)``, of the pictures of one side."""
    b: Tensor
    distances: Tensor
    """``(b,)``: squared, of the embeddings as the protocol compares them."""


def identity_saliency(
    seen: ModelView,
    *,
    classes: Int[Tensor, " b"] | None = None,
    method: Method = "elementwise",
    layers: Sequence[str] | None = None,
) -> Float[Tensor, "b h w"]:
    """What speaks for an identity: maps of the model's size, 0 or more.

    Args:
        classes: index of the identity for each picture; ``None``: the one that the model deems the likeliest.
        layers: names among the model's ``map_layers()``; ``None``: the two finest.

    Raises:
        ConfigError: if the model has no identities, or does not say where its maps are.
        UnknownNameError: for a layer or method that there is not.
    """
    return _of_score(seen, lambda output: _scores(output, classes), method, layers)


def attribute_saliency(
    seen: ModelView,
    group: int,
    *,
    values: Int[Tensor, " b"] | None = None,
    method: Method = "elementwise",
    layers: Sequence[str] | None = None,
) -> Float[Tensor, "b h w"]:
    """What speaks for a value of an attribute, as :func:`identity_saliency` says it of an identity.

    Args:
        group: place of the attribute in the model's schema.
        values: of each picture; ``None``: the one that the model deems the likeliest.

    Raises:
        ConfigError, UnknownNameError: as :func:`identity_saliency`, or if the model predicts no attributes.
    """

    def score(output: ModelOutput) -> Tensor:
        if output.attributes is None:
            raise ConfigError("the model predicts no attributes to explain; explain a distance (--by distance)")
        return _chosen(output.attributes[group], values)

    return _of_score(seen, score, method, layers)


def _of_score(
    seen: ModelView, score: Callable[[ModelOutput], Tensor], method: Method, layers: Sequence[str] | None
) -> Float[Tensor, "b h w"]:
    weigh, chosen = _weigh(method), select_layers(seen, layers)
    output, maps = _watch(seen, chosen)
    gradients = torch.autograd.grad(score(output).sum(), _flat(maps))
    return place_maps(seen, _weighed(maps, gradients, weigh))


def class_activation_maps(seen: ModelView, *, classes: Int[Tensor, " b"] | None = None) -> Float[Tensor, "b h w"]:
    """Where the last map adds to an identity's score, from 0 (least) to 1 (most of the picture).

    Raises:
        ConfigError: as :func:`identity_saliency`.
    """
    last = list(seen.model.network.map_layers())[-1:]
    output, maps = _watch(seen, select_layers(seen, last))
    gradients = torch.autograd.grad(_scores(output, classes).sum(), _flat(maps))
    (of_last,) = _weighed(maps, gradients, _pooled).values()
    found = _placed(seen, of_last)
    low, high = found.amin(dim=(1, 2), keepdim=True), found.amax(dim=(1, 2), keepdim=True)
    return (found - low) / (high - low).clamp_min(torch.finfo(found.dtype).tiny)


def distance_saliency(
    a: ModelView, b: ModelView, *, method: Method = "elementwise", layers: Sequence[str] | None = None
) -> PairSaliency:
    """What makes each picture of ``a`` near to that of ``b`` in the same row: maps of the model's size, 0 or more.

    A picture is at distance 0 from itself, where no change brings it nearer: such maps are 0.

    Raises:
        ShapeError: if there are more of one than of the other.
        ConfigError, UnknownNameError: as :func:`identity_saliency`.
    """
    if len(a) != len(b):
        raise ShapeError(f"pictures are compared row by row, got {len(a)} and {len(b)}; give as many of both")
    of_a, of_b, distances = distance_maps(a, b, method=method, layers=layers)
    return PairSaliency(place_maps(a, of_a), place_maps(b, of_b), distances)


def distance_maps(
    a: ModelView, b: ModelView, *, method: Method = "elementwise", layers: Sequence[str] | None = None
) -> tuple[Maps, Maps, Float[Tensor, " b"]]:
    """The same as the layers have them, before they are placed on the pictures, and the distances."""
    weigh = _weigh(method)
    (out_a, maps_a), (out_b, maps_b) = (_watch(seen, select_layers(seen, layers)) for seen in (a, b))
    distances = paired_distances(out_a.embedding, out_b.embedding, normalize=a.model.protocol.normalize)
    gradients = torch.autograd.grad(-distances.sum(), [*_flat(maps_a), *_flat(maps_b)])
    split = len(_flat(maps_a))
    return _weighed(maps_a, gradients[:split], weigh), _weighed(maps_b, gradients[split:], weigh), distances.detach()


def paired_distances(x: Float[Tensor, "b d"], y: Float[Tensor, "b d"], *, normalize: bool) -> Float[Tensor, " b"]:
    """‖x − y‖² of each row, of length 1 where a protocol normalizes; differentiable."""
    return (l2_normalize(x) - l2_normalize(y) if normalize else x - y).square().sum(dim=1)


def select_layers(seen: ModelView, layers: Sequence[str] | None) -> MapLayers:
    """The model's layers of these names; ``None``: the two finest.

    Raises:
        ConfigError: if the model does not say where its maps are, or none is named.
        UnknownNameError: for a layer that there is not.
    """
    known = seen.model.network.map_layers()
    names = list(known)[:FINEST] if layers is None else list(layers)
    if not names:
        raise ConfigError(f"a map is of one layer or more; name some of {', '.join(known)}")
    for name in names:
        if name not in known:
            raise UnknownNameError(f"layer of {seen.model.network.card.name}", name, known)
    return {name: known[name] for name in names}


def describe_limits(protocols: Iterable[Protocol]) -> str:
    """What distance maps leave out of what some protocols compare, in words; empty where they leave out nothing.

    Maps are of pictures as they are, and of the distance of embeddings, which every model has.
    """
    hows, said = list(protocols), []
    if any(how.flip_tta for how in hows):
        said.append("Maps are of pictures as they are, without the mirror images that the protocol averages in.")
    if others := sorted({how.distance for how in hows} - {"global"}):
        said.append(f"They explain the distance of embeddings, not that of stripes in it ({', '.join(others)}).")
    if any(how.rerank for how in hows):
        said.append("They explain distances before re-ranking.")
    return " ".join(said)


def _weigh(method: Method) -> Weigh:
    if method not in get_args(Method):
        raise UnknownNameError("way to weigh a map", method, get_args(Method))
    weigh = _product if method == "elementwise" else _pooled
    return lambda A, G: weigh(A, G).relu()


def _product(A: Tensor, G: Tensor) -> Tensor:
    return (G * A).sum(dim=1)


def _pooled(A: Tensor, G: Tensor) -> Tensor:
    return (G.mean(dim=(2, 3), keepdim=True) * A).sum(dim=1)


def _watch(seen: ModelView, layers: MapLayers) -> tuple[ModelOutput, Maps]:
    """The model's output with what these layers' modules handed on for it, all with gradients."""
    with torch.enable_grad(), _kept(layers) as maps:
        output: ModelOutput = seen.model.network(*(pictures.detach().requires_grad_() for pictures in seen.inputs))
    return output, maps


@contextmanager
def _kept(layers: MapLayers) -> Iterator[Maps]:
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


def place_maps(seen: ModelView, maps: Maps) -> Float[Tensor, "b h w"]:
    """The mean of the layers' maps on the pictures, each of sum 1 (one that is 0 everywhere stays so)."""
    placed = [_placed(seen, found) for found in maps.values()]
    sums = [found.sum(dim=(1, 2), keepdim=True).clamp_min(torch.finfo(found.dtype).tiny) for found in placed]
    return torch.stack([found / total for found, total in zip(placed, sums, strict=True)]).mean(dim=0)


def _placed(seen: ModelView, maps: Mapping[str, Tensor]) -> Tensor:
    """Maps of bodies and parts on the pictures that they were cut from; a cell's value is spread over its pixels."""
    height, width = seen.model.size
    if seen.rectangles is None:
        return upsample_maps(maps[WHOLE], (height, width))
    canvas = torch.zeros(len(seen), height, width, device=maps[next(iter(maps))].device)
    for what, found in maps.items():
        boxes = seen.rectangles.whole if what == WHOLE else seen.rectangles.parts[:, PARTS.index(what)]
        for row, box in enumerate(boxes.tolist()):
            left, top, right, bottom = _pixels(box, height, width)
            cells = found[row].numel() / ((bottom - top) * (right - left))
            spread = upsample_maps(found[row : row + 1], (bottom - top, right - left))[0]
            canvas[row, top:bottom, left:right] += cells * spread
    return canvas


def _pixels(box: Sequence[float], height: int, width: int) -> tuple[int, int, int, int]:
    """Whole pixels of a rectangle within the picture, one at least."""
    left, top = min(max(round(box[0]), 0), width - 1), min(max(round(box[1]), 0), height - 1)
    return left, top, max(left + 1, min(round(box[2]), width)), max(top + 1, min(round(box[3]), height))


def _scores(output: ModelOutput, classes: Tensor | None) -> Tensor:
    """``(b,)``: of the identities asked for, before the softmax."""
    if output.logits is None:
        raise ConfigError("the model has no identity scores to explain; explain a distance (--by distance)")
    return _chosen(output.logits, classes)


def _chosen(scores: Float[Tensor, "b n"], classes: Tensor | None) -> Float[Tensor, " b"]:
    """The greatest of each row, or that of the class asked for."""
    chosen = scores.detach().argmax(dim=1) if classes is None else classes.to(scores.device)
    return scores.gather(1, chosen[:, None])[:, 0]
