"""Calibrate weights in the package on held-out synthetic people, with the margin by which other worlds differ.

The calibration is fitted on the first world. Its margin is six times the farthest that a threshold of another world
(other people, streets, cameras and difficulties) lies on the side where verdicts would be wrong, since real cameras
differ from synthetic ones by more than these from each other. Run it after scripts/ship_weights.py.

usage: python scripts/calibrate_shipped.py NAME
"""

from __future__ import annotations

import sys
from dataclasses import replace

import torch

from passerby.data.registry import load as load_dataset
from passerby.evaluation.calibrate import calibrate
from passerby.inference.load import load
from passerby.metrics.calibration import DIFFERENT_AT, SAME_AT, Calibration, write_calibration
from passerby.weights.catalog import shipped

WORLDS = (
    "pedestrians:people=240,images=2,seed=101",
    "pedestrians:people=240,images=2,seed=102",
    "pedestrians:people=240,images=2,seed=103,preset=easy",
    "pedestrians:people=240,images=2,seed=104,preset=hard",
    "pedestrians:people=240,images=2,seed=105,color=2",
    "pedestrians:people=240,images=2,seed=106,twins=0.4",
)


def margin(fitted: Calibration, others: list[Calibration]) -> float:
    """Return six times the farthest shift of a threshold that would make a verdict wrong, rounded up to two digits."""
    near, far = ([threshold(each, rate) for each in (fitted, *others)] for rate in (SAME_AT, DIFFERENT_AT))
    shift = max(max(near[0] - each for each in near), max(each - far[0] for each in far))
    return float(torch.tensor(600 * shift).ceil()) / 100


def threshold(fitted: Calibration, rate: float) -> float:
    """Return a threshold; there must be enough pairs."""
    found = fitted.threshold(rate)
    assert found is not None
    return found


def main(name: str) -> None:
    """Calibrate, print, and write the file beside the weights."""
    folder = shipped(name)
    assert folder is not None, f"{name} is not in the package"
    model = load(name, device="cpu")
    found = []
    for world in WORLDS:
        fitted = calibrate(model, load_dataset(world))
        found.append(fitted)
        print(world, *(f"{each.rate:g}: {each.distance}" for each in fitted.thresholds), flush=True)  # noqa: T201
    kept = replace(found[0], margin=margin(found[0], found[1:]))
    write_calibration(folder, kept)
    print(f"margin {kept.margin}")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1])
