"""AANet's maps (Tay, Roy, Yap, CVPR 2019, §3.3 ii, Fig 6): where each predicted attribute is seen, and the AAM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from passerby.data.attributes import Schema
from passerby.errors import ConfigError
from passerby.evaluation.attributes import AttributePredictions, attribute_predictions, schema_of
from passerby.explain.album import Seen
from passerby.models.aanet import ATTENTION_MAP, AANet


@dataclass(frozen=True, eq=False)
class AttributeMaps:
    """Of some pictures."""

    schema: Schema
    maps: Mapping[str, Float[Tensor, "b h w"]]
    """By group: the activation map of its predicted value, in [0, 1]."""
    said: tuple[AttributePredictions, ...]
    """Of each picture, by group: the predicted value and its probability."""
    attention_map: Float[Tensor, "b h w"] | None
    """The AAM, 1 where it is on; ``None`` for a model without it."""
    attended: tuple[str, ...]
    """The groups that it is made of."""


def attribute_maps(seen: Seen) -> AttributeMaps:
    """The maps of every attribute that the model predicts.

    Raises:
        ConfigError: if it predicts none, or makes no maps of them.
    """
    model = seen.predictor.model
    schema, output = schema_of(model), seen.output
    names = [group.name for group in schema.groups]
    maps = {name: values.cpu() for name, values in (output.maps or {}).items()}
    if missing := [name for name in names if name not in maps]:
        raise ConfigError(
            f"{model.card.name} predicts attributes but makes no maps of {', '.join(missing)}; a model of one's own "
            "puts them into ModelOutput.maps by the names of the groups, as aanet does"
        )
    probabilities = torch.cat([scores.float().softmax(dim=1) for scores in output.attributes or ()], dim=1).cpu()
    attended = tuple(names[place] for place in model.attended) if isinstance(model, AANet) else ()
    return AttributeMaps(
        schema,
        {name: maps[name] for name in names},
        tuple(attribute_predictions(probabilities, schema)),
        maps.get(ATTENTION_MAP),
        attended,
    )
