"""What a model says of people in words: probabilities of a schema's values, read as groups and classes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from passerby.data.attributes.query import AttributeQuery, attribute_query, group_place
from passerby.data.attributes.schema import Schema
from passerby.errors import ConfigError
from passerby.models.base import ReidModel

OWN = "own"
"""What a model predicts of the query itself."""


@dataclass(frozen=True, slots=True)
class GroupPrediction:
    """What a model says of one group."""

    value: str
    """The most probable one."""
    probability: float
    """That the model gives it, in [0, 1]; not calibrated."""
    probabilities: dict[str, float]
    """Of all values; they add up to 1."""


AttributePredictions = dict[str, GroupPrediction]
"""Of one picture, by name of group."""


def schema_of(model: ReidModel) -> Schema:
    """The attributes that a model predicts.

    Raises:
        ConfigError: if it predicts none.
    """
    if model.schema is None:
        raise ConfigError(
            f"{model.card.name} predicts no attributes as this run has it; use a run of a model that does: "
            "passerby train aanet --data DATA"
        )
    return model.schema


def classes(probabilities: Float[Tensor, "n v"], schema: Schema) -> Int[Tensor, "n g"]:
    """The most probable class of each group, the first of equally probable ones."""
    return torch.stack([probabilities[:, part].argmax(dim=1) for part in schema.slices], dim=1)


def predicted(probabilities: Float[Tensor, "n v"], query: AttributeQuery) -> Bool[Tensor, " n"]:
    """Which rows have every value asked for as the most probable one of its group."""
    found = classes(probabilities, query.schema)
    places, wanted = list(query.classes), torch.tensor(list(query.classes.values()))
    return (found[:, places] == wanted).all(dim=1)


def asked_of_queries(text: str, probabilities: Float[Tensor, "q v"], schema: Schema) -> list[AttributeQuery]:
    """What is asked for beside each query.

    Args:
        text: ``GROUP=VALUE,…``, the same of all; or what is predicted of the query itself: of every group, ``own``, or
            of some, ``own:GROUP,…``.
        probabilities: of the queries.

    Raises:
        ConfigError: for a group or value that the schema has not.
    """
    head, colon, names = text.partition(":")
    if head.strip() != OWN:
        return [attribute_query(text, schema)] * len(probabilities)
    places = [group_place(name, schema) for name in names.split(",")] if colon else range(len(schema.groups))
    return [
        AttributeQuery(schema, {place: int(found[place]) for place in places})
        for found in classes(probabilities, schema)
    ]


def attribute_predictions(probabilities: Float[Tensor, "n v"], schema: Schema) -> list[AttributePredictions]:
    """Probabilities with their names."""
    return [_predictions(row, schema) for row in probabilities]


def _predictions(row: Float[Tensor, " v"], schema: Schema) -> AttributePredictions:
    found = {}
    for group, part in zip(schema.groups, schema.slices, strict=True):
        shares = row[part].tolist()
        best = int(row[part].argmax())
        named = dict(zip(group.values, shares, strict=True))
        found[group.name] = GroupPrediction(group.values[best], shares[best], named)
    return found


def log_probability(probabilities: Float[Tensor, "n v"], query: AttributeQuery) -> Float[Tensor, " n"]:
    """Return Σ ln p over the values asked for, float64, as if groups were independent.

    A probability that is 0 in float32 counts as the least above it.
    """
    starts = [part.start for part in query.schema.slices]
    asked = [starts[place] + cls for place, cls in query.classes.items()]
    return probabilities[:, asked].clamp_min(torch.finfo(torch.float32).tiny).double().log().sum(dim=1)
