"""The metrics against scikit-learn, which is slower here, or lacks weights, ties or unknown labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import accuracy_score, average_precision_score, balanced_accuracy_score, roc_curve

from passerby.metrics.attributes import accuracy, balanced_accuracy
from passerby.metrics.functional import average_precision
from passerby.metrics.open_set import Pairs, false_match_rate, true_positive_rate
from passerby.metrics.probability import isotonic, labeled_pairs

SEEDS = pytest.mark.parametrize("seed", range(5))


def random_pairs(seed: int) -> Pairs:
    """Return pairs with ties, of which different ones stand for one to four."""
    draw = np.random.default_rng(seed)
    same, different = draw.normal(0, 1, 40).round(1), draw.normal(1, 1, 90).round(1)
    counts = draw.integers(1, 5, 90)
    return Pairs.from_distances(*(torch.from_numpy(column) for column in (same, different, counts)))


@SEEDS
def test_accuracies_of_known_labels(seed: int) -> None:
    draw = np.random.default_rng(seed)
    true = np.concatenate([np.arange(4), draw.integers(-1, 4, 60)])  # every class occurs
    predicted = draw.integers(0, 4, 64)
    known = true >= 0
    for ours, theirs in ((accuracy, accuracy_score), (balanced_accuracy, balanced_accuracy_score)):
        found = ours(torch.from_numpy(predicted), torch.from_numpy(true))
        assert found == pytest.approx(theirs(true[known], predicted[known]), abs=1e-12)


@SEEDS
def test_average_precision_by_steps(seed: int) -> None:
    relevant = np.random.default_rng(seed).random((6, 30)) < 0.2
    relevant[:, 7] = True
    counts = torch.from_numpy(relevant.sum(1))
    ranks = torch.from_numpy(np.concatenate([row.nonzero()[0] + 1 for row in relevant]))
    expected = [average_precision_score(row, -np.arange(30.0)) for row in relevant]
    assert average_precision(ranks, counts).tolist() == pytest.approx(expected, abs=1e-12)


@SEEDS
def test_roc_with_weights(seed: int) -> None:
    pairs = random_pairs(seed)
    distances, labels, counts = labeled_pairs(pairs)
    theirs = roc_curve(labels, -distances, sample_weight=counts, drop_intermediate=False)
    below = torch.from_numpy(np.nextafter(-theirs[2][1:], np.inf))  # they accept at the threshold, we below it
    assert false_match_rate(pairs, below).tolist() == pytest.approx(theirs[0][1:].tolist(), abs=1e-12)
    assert true_positive_rate(pairs, below).tolist() == pytest.approx(theirs[1][1:].tolist(), abs=1e-12)


@SEEDS
def test_isotonic_regression_with_weights(seed: int) -> None:
    pairs = random_pairs(seed)
    distances, labels, counts = labeled_pairs(pairs)
    low, high = 1 / (pairs.total + 2), (len(pairs.same) + 1) / (len(pairs.same) + 2)
    regression = IsotonicRegression(increasing=False, y_min=low, y_max=high)
    expected = regression.fit(distances.numpy(), labels.numpy(), sample_weight=counts.numpy()).predict(distances)
    assert isotonic(pairs)(distances).tolist() == pytest.approx(expected.tolist(), abs=1e-12)
