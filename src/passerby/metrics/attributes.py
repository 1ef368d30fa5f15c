"""The accuracy of attribute prediction, group by group: AANet's Table 4 (Tay, Roy, Yap, CVPR 2019), and baselines.

Plain accuracy, which the paper prints, is misleading for a group with rare values: nine people in ten carry no handbag,
so that a constant prediction is right nine times in ten. Two numbers are therefore added: balanced accuracy, the mean
recall over the values that occur, and the accuracy of always predicting the most common value of the training people.

Classes are those of a :class:`~passerby.data.attributes.schema.Schema`, −1 where unknown; unknown ones do not count.
"""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from passerby.data.attributes.schema import UNKNOWN, Attribute, Schema
from passerby.errors import ShapeError
from passerby.types import AttributeResult, GroupAccuracy


def accuracy(predicted: Int[Tensor, " n"], true: Int[Tensor, " n"]) -> float:
    """Return the share of the known classes that were predicted; NaN if none is known.

    >>> accuracy(torch.tensor([0, 0, 0, 1]), torch.tensor([0, 0, 1, -1]))
    0.6666666666666666
    """
    known = true != UNKNOWN
    return (predicted == true)[known].double().mean().item()


def balanced_accuracy(predicted: Int[Tensor, " n"], true: Int[Tensor, " n"]) -> float:
    """Return the mean, over the classes that occur, of the share of each that was predicted; NaN if none is known.

    >>> balanced_accuracy(torch.tensor([0, 0, 0, 1]), torch.tensor([0, 0, 1, -1]))
    0.5
    """
    recalls = [(predicted == true)[true == cls].double().mean() for cls in _occurring(true)]
    return torch.stack(recalls).mean().item() if recalls else float("nan")


def majority(classes: Int[Tensor, " n"]) -> int:
    """Return the most common known class, the first of equally common ones; −1 if none is known."""
    known = classes[classes != UNKNOWN]
    return int(known.bincount().argmax()) if len(known) else UNKNOWN


def attribute_result(
    predicted: Int[Tensor, "n g"], true: Int[Tensor, "n g"], training: Int[Tensor, "p g"], schema: Schema
) -> AttributeResult:
    """Return the accuracies of every group of the schema that is known for some image.

    Args:
        predicted: predicted classes of n images.
        true: their true classes.
        training: classes of the p training people, whose most common ones are the baseline; p may be 0.

    Raises:
        ShapeError: if a table does not have one column per group.
    """
    for name, table in (("predicted", predicted), ("true", true), ("training", training)):
        if table.shape[1] != len(schema.groups):
            raise ShapeError(
                f"{name} classes need one column per group of {schema.name}: got {table.shape[1]}, expected "
                f"{len(schema.groups)}"
            )
    columns = zip(schema.groups, predicted.unbind(1), true.unbind(1), training.unbind(1), strict=True)
    groups = (_group(*column) for column in columns if (column[2] != UNKNOWN).any())
    return AttributeResult(schema.name, tuple(groups))


def _group(group: Attribute, predicted: Tensor, true: Tensor, training: Tensor) -> GroupAccuracy:
    commonest = majority(training)
    known = commonest != UNKNOWN
    return GroupAccuracy(
        name=group.name,
        accuracy=accuracy(predicted, true),
        balanced=balanced_accuracy(predicted, true),
        majority=group.values[commonest] if known else None,
        majority_accuracy=accuracy(torch.full_like(true, commonest), true) if known else None,
        images=int((true != UNKNOWN).sum()),
        values=len(_occurring(true)),
    )


def _occurring(true: Tensor) -> list[int]:
    return [int(cls) for cls in true.unique() if cls != UNKNOWN]
