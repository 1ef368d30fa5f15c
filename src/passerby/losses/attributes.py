"""The loss of attributes: the mean cross-entropy of the classifiers of all groups."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from passerby.data.attributes.schema import UNKNOWN
from passerby.errors import ConfigError, ShapeError


def mean_cross_entropy(
    scores: Sequence[Float[Tensor, "b _"]], labels: Sequence[Int[Tensor, " b"]]
) -> Float[Tensor, ""]:
    """Return the mean over several classifiers of their cross-entropies, each a mean over the batch.

    A label of −1 is unknown and does not count; nor does a classifier for which the batch has no label. Without
    any label the loss is 0.
    """
    sums = [
        F.cross_entropy(logits, classes, ignore_index=UNKNOWN, reduction="sum")
        for logits, classes in zip(scores, labels, strict=True)
    ]
    known = torch.stack([(classes != UNKNOWN).sum() for classes in labels])
    losses = torch.stack(sums) / known.clamp_min(1)
    return losses.sum() / (known > 0).sum().clamp_min(1)


def attribute_columns(attributes: Int[Tensor, "b g"] | None, groups: int) -> tuple[Int[Tensor, " b"], ...]:
    """Return the classes of each group.

    Raises:
        ConfigError: if the batch has no attributes.
        ShapeError: if they do not fit the model's groups.
    """
    if attributes is None:
        raise ConfigError(
            "the attributes task needs a data set with attribute labels. Fix: leave 'attributes' "
            "out of loss.tasks, or set loss.attributes=0"
        )
    if attributes.ndim != 2 or attributes.shape[1] != groups:
        raise ShapeError(
            f"the model predicts {groups} attributes, so a batch's must be (b, {groups}), got "
            f"{tuple(attributes.shape)}. Fix: build the model with the schema of the data set"
        )
    return attributes.unbind(dim=1)
