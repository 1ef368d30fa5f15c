"""Pictures chosen by the attributes that a model predicts of them (AANet's Fig 8; Tay, Roy, Yap, CVPR 2019).

Beside a query picture they filter: what stays are pictures whose most probable value of every group asked for is the
one asked for, and embeddings rank them. Without one they rank: all pictures, by the product of the probabilities of the
values asked for, as if groups were independent.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from passerby.data.attributes.query import AttributeQuery
from passerby.data.attributes.schema import Schema
from passerby.inference.embeddings_file import Groups


def names(schema: Schema | None) -> Groups:
    """Of groups and values, as files of embeddings carry them."""
    return () if schema is None else tuple((group.name, group.values) for group in schema.groups)


def log_probability(probabilities: Float[Tensor, "n v"], query: AttributeQuery) -> Float[Tensor, " n"]:
    """Σ ln p over the values asked for, float64; a probability that is 0 in float32 counts as the least above it."""
    starts = [part.start for part in query.schema.slices]
    asked = [starts[place] + cls for place, cls in query.classes.items()]
    return probabilities[:, asked].clamp_min(torch.finfo(torch.float32).tiny).double().log().sum(dim=1)
