"""The attributes that a model predicts of two images, compared one by one."""

from __future__ import annotations

from typing import Literal, NamedTuple

from passerby.inference.attributes import AttributePredictions, attribute_predictions
from passerby.inference.model import Model
from passerby.types import Embeddings

CONFIDENT = 0.8
"""The default probability below which a predicted attribute is ignored."""
Agreement = Literal["agrees", "conflicts", "uncertain"]


class AttributePair(NamedTuple):
    """One attribute as predicted for both images."""

    group: str
    a: str
    """The value predicted for image A."""
    probability_a: float
    """The probability of that value as the model outputs it, not calibrated."""
    b: str
    probability_b: float
    judged: Agreement
    """The comparison of both values; ``uncertain`` where one of them is not confident."""


def compare_attributes(model: Model, x: Embeddings, y: Embeddings, *, confident: float) -> tuple[AttributePair, ...]:
    """Compare the attributes predicted for the first image of ``x`` and of ``y``; empty where there are none.

    Args:
        confident: the minimum probability of a confident prediction.
    """
    schema = model.schema
    if schema is None or x.attributes is None or y.attributes is None:
        return ()
    (one,), (other,) = (attribute_predictions(each, schema) for each in (x.attributes, y.attributes))
    return tuple(_compare_group(group.name, one, other, confident) for group in schema.groups)


def _compare_group(
    group: str, one: AttributePredictions, other: AttributePredictions, confident: float
) -> AttributePair:
    a, b = one[group], other[group]
    judged: Agreement = "agrees" if a.value == b.value else "conflicts"
    if min(a.probability, b.probability) < confident:
        judged = "uncertain"
    return AttributePair(group, a.value, a.probability, b.value, b.probability, judged)
