"""The accuracy of attributes, by hand and against a plain loop."""

from __future__ import annotations

import doctest
import math

import pytest
import torch
from torch import Tensor

from passerby.data.attributes.schema import Attribute, Schema
from passerby.errors import ShapeError
from passerby.metrics import attributes as module
from passerby.metrics.attributes import accuracy, attribute_result, balanced_accuracy, majority

SMALL = Schema(
    "small",
    (Attribute("hat", ("no", "yes"), ("hat",)), Attribute("coat", ("red", "blue", "green"), ("coat",))),
    ("hat", "coat"),
)


def table(*rows: tuple[int, int]) -> Tensor:
    return torch.tensor(rows, dtype=torch.int64).reshape(-1, 2)


def test_by_hand() -> None:
    true = table((0, 0), (0, 0), (0, 2), (1, -1), (-1, 2))
    predicted = table((0, 0), (0, 1), (0, 2), (0, 0), (1, 2))
    training = table((0, 2), (1, 2), (0, 0), (-1, -1))
    result = attribute_result(predicted, true, training, SMALL)
    hat, coat = result.groups
    assert (hat.name, hat.images, hat.values) == ("hat", 4, 2)
    assert (hat.accuracy, hat.balanced) == (3 / 4, (3 / 3 + 0 / 1) / 2)
    assert (hat.majority, hat.majority_accuracy) == ("no", 3 / 4)
    assert (coat.name, coat.images, coat.values) == ("coat", 4, 2)
    assert (coat.accuracy, coat.balanced) == (3 / 4, (1 / 2 + 2 / 2) / 2)
    assert (coat.majority, coat.majority_accuracy) == ("green", 2 / 4)
    assert result.mean == {"accuracy": 3 / 4, "balanced": 5 / 8, "majority_accuracy": 5 / 8}


def test_the_majority_is_of_the_training_people_and_not_of_the_tested_ones() -> None:
    true = table((0, 0), (0, 0), (1, 0))
    (hat, coat) = attribute_result(true, true, table((1, 1)), SMALL).groups
    assert (hat.majority, hat.majority_accuracy) == ("yes", 1 / 3)
    assert (coat.majority, coat.majority_accuracy) == ("blue", 0.0)


def test_unknown_groups_are_left_out_and_without_training_people_there_is_no_majority() -> None:
    true = table((0, -1), (1, -1))
    result = attribute_result(true, true, table(), SMALL)
    (hat,) = result.groups
    assert (hat.majority, hat.majority_accuracy) == (None, None)
    assert result.mean == {"accuracy": 1.0, "balanced": 1.0, "majority_accuracy": None}
    assert result.to_dict()["groups"]["hat"]["accuracy"] == 1.0
    assert attribute_result(table(), table(), table(), SMALL).mean["accuracy"] is None


@pytest.mark.parametrize("seed", range(5))
def test_parity_with_a_plain_loop(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    true = torch.randint(-1, 5, (60,), generator=generator)
    predicted = torch.randint(0, 5, (60,), generator=generator)
    pairs = [(p, t) for p, t in zip(predicted.tolist(), true.tolist(), strict=True) if t != -1]
    assert accuracy(predicted, true) == pytest.approx(sum(p == t for p, t in pairs) / len(pairs))
    recalls = []
    for cls in {t for _, t in pairs}:
        of_class = [p for p, t in pairs if t == cls]
        recalls.append(of_class.count(cls) / len(of_class))
    assert balanced_accuracy(predicted, true) == pytest.approx(sum(recalls) / len(recalls))


@pytest.mark.parametrize("occur", [2, 3])
def test_a_constant_guess_has_the_balanced_accuracy_of_chance(occur: int) -> None:
    true = torch.tensor([0] * 50 + [1] * 3 + [2] * 4 * (occur - 2))
    assert balanced_accuracy(torch.zeros_like(true), true) == pytest.approx(1 / occur)


def test_without_known_classes_accuracy_is_nan() -> None:
    unknown = torch.tensor([-1, -1])
    assert math.isnan(accuracy(unknown, unknown))
    assert math.isnan(balanced_accuracy(unknown, unknown))
    assert majority(unknown) == -1


def test_of_equally_common_values_the_first_is_the_majority() -> None:
    assert majority(torch.tensor([2, 1, 1, 2, -1, -1, -1])) == 1


def test_tables_of_another_schema_raise() -> None:
    wide = torch.zeros(4, 3, dtype=torch.int64)
    with pytest.raises(ShapeError, match="predicted classes need one column per group of small: got 3, expected 2"):
        attribute_result(wide, wide, wide, SMALL)


def test_the_examples() -> None:
    assert doctest.testmod(module).failed == 0
