"""Predicted attributes: probabilities of a schema's values, read as groups and classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from passerby.data.attributes.query import AttributeQuery, attribute_query, group_place
from passerby.data.attributes.schema import Schema
from passerby.errors import ConfigError
from passerby.models.card import ModelCard

OWN = "own"
"""The word for the attributes that a model predicts of the query itself."""


@dataclass(frozen=True, slots=True)
class GroupPrediction:
    """The prediction for one attribute group."""

    value: str
    """The most probable value."""
    probability: float
    """The probability that the model gives it, in [0, 1]; not calibrated."""
    probabilities: dict[str, float]
    """The probabilities of all values; they add up to 1."""


AttributePredictions = dict[str, GroupPrediction]
"""The predictions for one image, by name of group."""


class AttributePredictor(Protocol):
    """A network, a session or a model: what tells which attributes it predicts."""

    @property
    def card(self) -> ModelCard:
        """The facts of the model."""

    @property
    def schema(self) -> Schema | None:
        """The attributes that it predicts; ``None`` if it predicts none."""


def schema_of(model: AttributePredictor) -> Schema:
    """Return the attributes that a model predicts.

    Raises:
        ConfigError: if it predicts none.
    """
    if model.schema is None:
        raise ConfigError(
            f"{model.card.name} predicts no attributes in this run. Fix: use a run of a model that does: "
            "passerby train aanet --data DATA"
        )
    return model.schema


def predicted_classes(probabilities: Float[Tensor, "n v"], schema: Schema) -> Int[Tensor, "n g"]:
    """Return the most probable class of each group, the first of equally probable ones."""
    return torch.stack([probabilities[:, part].argmax(dim=1) for part in schema.slices], dim=1)


def match_predictions(probabilities: Float[Tensor, "n v"], query: AttributeQuery) -> Bool[Tensor, " n"]:
    """Return which rows have every value asked for as the most probable one of its group."""
    found = predicted_classes(probabilities, query.schema)
    places, wanted = list(query.classes), torch.tensor(list(query.classes.values()))
    return (found[:, places] == wanted).all(dim=1)


def attribute_queries(text: str, probabilities: Float[Tensor, "q v"], schema: Schema) -> list[AttributeQuery]:
    """Return the attributes that each query asks for.

    Args:
        text: ``GROUP=VALUE,…``, the same for all; or what is predicted of the query itself: in every group, ``own``, or
            in some, ``own:GROUP,…``.
        probabilities: those of the queries.

    Raises:
        ConfigError: for a group or value that the schema lacks.
    """
    head, colon, names = text.partition(":")
    if head.strip() != OWN:
        return [attribute_query(text, schema)] * len(probabilities)
    places = [group_place(name, schema) for name in names.split(",")] if colon else range(len(schema.groups))
    return [
        AttributeQuery(schema, {place: int(found[place]) for place in places})
        for found in predicted_classes(probabilities, schema)
    ]


def attribute_predictions(probabilities: Float[Tensor, "n v"], schema: Schema) -> list[AttributePredictions]:
    """Return probabilities with the names of their groups and values."""
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
