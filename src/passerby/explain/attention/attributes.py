"""AANet's maps (Tay, Roy, Yap, CVPR 2019, §3.3 ii, Fig 6): an activation map per predicted attribute, and the AAM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal, cast

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn.functional import pad

from passerby.data.attributes.schema import Schema
from passerby.errors import ConfigError
from passerby.explain.images import ModelView
from passerby.inference.attributes import AttributePredictions, attribute_predictions, schema_of
from passerby.models.aanet.map import activation_map, min_max
from passerby.models.aanet.model import ATTENTION_MAP, AANet, AttributeNetwork

Edge = Literal["replicate", "constant"]


@dataclass(frozen=True, eq=False)
class AttributeMaps:
    """The attribute maps of some images."""

    schema: Schema
    maps: Mapping[str, Float[Tensor, "b h w"]]
    """The activation map of each group's predicted value, in [0, 1]."""
    predictions: tuple[AttributePredictions, ...]
    """The predicted value and its probability, for each image and group."""
    attention_map: Float[Tensor, "b y x"] | None
    """The attribute attention map (AAM), 1 where it is on; ``None`` for a model without it."""
    attended: tuple[str, ...]
    """The groups that the AAM is made of."""


def attribute_maps(view: ModelView, *, step: int | None = None) -> AttributeMaps:
    """Return the maps of every attribute that the model predicts.

    Args:
        step: pixels from one position of a map to the next, finer than the model's own
            (:func:`stitch_attribute_maps`); the AAM always is the model's.

    Raises:
        ConfigError: if the model predicts no attributes or makes no maps of them, or no map can have this step.
    """
    model = view.model.network
    schema, output = schema_of(model), view.output
    names = [group.name for group in schema.groups]
    maps = {name: values.cpu() for name, values in (output.maps or {}).items()}
    if missing := [name for name in names if name not in maps]:
        raise ConfigError(
            f"{model.card.name} predicts attributes but makes no maps of {', '.join(missing)}. Fix: a custom model "
            "puts them into ModelOutput.maps under the names of the groups, as aanet does"
        )
    probabilities = torch.cat([scores.float().softmax(dim=1) for scores in output.attributes or ()], dim=1).cpu()
    attended = tuple(names[place] for place in model.attended) if isinstance(model, AANet) else ()
    return AttributeMaps(
        schema,
        {name: maps[name] for name in names} if step is None else stitch_attribute_maps(view, step),
        tuple(attribute_predictions(probabilities, schema)),
        maps.get(ATTENTION_MAP),
        attended,
    )


@torch.no_grad()
def stitch_attribute_maps(view: ModelView, step: int) -> dict[str, Float[Tensor, "b y x"]]:
    """Compute AANet's activation maps of the predicted values on a finer grid.

    The model runs on the images shifted by multiples of ``step`` up to its stride, their edges replicated, and the maps
    are interleaved (Sermanet et al., OverFeat, ICLR 2014, §3.3): each position of the finer map has the value that the
    model's own map would have if one of its positions lay there.

    Raises:
        ConfigError: if the model is another one, or ``step`` does not divide the stride.
    """
    model, images = view.model.network, view.inputs[0]
    if not isinstance(model, AANet) or model.attributes is None:
        raise ConfigError(f"finer maps need aanet with attributes, got {model.card.name} as configured in this run")
    own = next(iter((view.output.maps or {}).values()))
    strides = [images.shape[axis + 1] // own.shape[axis] for axis in (1, 2)]
    if step < 1 or any(stride % step or (stride != step and step % 2) for stride in strides):
        raise ConfigError(f"a step must be even and divide the model's, {strides[0]} pixels; got {step}")
    times = [stride // step for stride in strides]
    scores = view.output.attributes or ()
    fine = torch.zeros(len(scores), len(images), own.shape[1] * times[0], own.shape[2] * times[1])
    for a, b in product(range(times[0]), range(times[1])):
        down, right = ((2 * i + 1 - n) * step // 2 for i, n in zip((a, b), times, strict=True))
        fine[:, :, a :: times[0], b :: times[1]] = _raw(
            model.attributes, model.backbone(shift_images(images, down, right)), scores
        )
    return dict(zip(model.attributes.names, map(min_max, fine), strict=True))


def shift_images(images: Shaped[Tensor, "b c h w"], down: int, right: int, *, edge: Edge = "replicate") -> Tensor:
    """Shift the window on the images by so many pixels; beyond the edge stands the edge, or 0 (``constant``)."""
    height, width = images.shape[2:]
    far = max(abs(down), abs(right))
    padded = pad(images, (far,) * 4, mode=edge)
    return padded[:, :, far + down : far + down + height, far + right : far + right + width]


def _raw(network: AttributeNetwork, X: Tensor, scores: Sequence[Tensor]) -> Float[Tensor, "g b h w"]:
    """Compute the activation maps of the values of the highest ``scores``, not scaled."""
    V = torch.relu(network.norm(network.reduce(X)))
    heads = zip(network.classifiers, scores, strict=True)
    return torch.stack([activation_map(V, cast(Tensor, head.weight), each) for head, each in heads]).cpu()
