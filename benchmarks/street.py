"""Measure the weights in the package on Market-1501: accuracy, subgroups, attributes, verdicts, time on one thread.

Choices between weights use ``--split train-people`` (:func:`pedestrians_market.held_out`); the test split is for the
final number.

usage: python benchmarks/street.py --market market1501:ZIP --attributes market_attribute.mat [--model street|RUN]
           [--split test] [-o FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pedestrians_market import held_out

import passerby
from passerby.data.attributes.labels import read_attributes
from passerby.data.registry import load
from passerby.evaluation.evaluate import evaluate
from passerby.evaluation.subgroups import Grouping
from passerby.metrics.calibration import DIFFERENT_AT, SAME_AT
from passerby.metrics.open_set import false_match_rate, true_positive_rate
from passerby.metrics.pairs import pair_distances
from passerby.training.run import environment
from passerby.types import Embeddings

REPEATS = 50


def milliseconds(model: passerby.Model) -> dict[str, float]:
    """Return the CPU milliseconds per image, decoded before, alone and in batches of 64, on one thread."""
    torch.set_num_threads(1)
    noise = np.random.default_rng(0)
    images = [noise.integers(0, 256, (128, 64, 3), dtype=np.uint8) for _ in range(64)]
    found = {}
    for name, batch in (("alone", images[:1]), ("of 64", images)):
        model.embed(batch)
        each = []
        for _ in range(REPEATS if len(batch) == 1 else 3):
            start = time.process_time()
            model.embed(batch)
            each.append(1000 * (time.process_time() - start) / len(batch))
        found[name] = round(statistics.median(each), 2)
    return found


def verdicts(model: passerby.Model, query: Embeddings, gallery: Embeddings) -> dict[str, Any] | None:
    """Return how often verdicts are right and wrong on these people; ``None`` without a calibration."""
    found = model.search_calibration
    if found is None:
        return None
    pairs = pair_distances(query, gallery, model.protocol)
    near, far = found.threshold(SAME_AT), found.threshold(DIFFERENT_AT)
    assert near is not None
    assert far is not None
    limits = torch.tensor([near - found.margin, far + found.margin], dtype=torch.float64)
    false, true = (rate(pairs, limits).tolist() for rate in (false_match_rate, true_positive_rate))
    return {
        "margin": found.margin,
        "below the threshold of possible": {"different": false[0], "same": true[0]},
        "above the threshold of no evidence": {"different": 1 - false[1], "same": 1 - true[1]},
    }


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    market = load(arguments.market)
    test = market if arguments.split == "test" else held_out(market)
    model = passerby.load(arguments.model, device="cpu")
    attributes = read_attributes(arguments.attributes, model.schema) if arguments.split == "test" else None
    grouping = Grouping.of_dataset(("attributes",), test, attributes=attributes) if attributes else None
    start = time.process_time()
    result = evaluate(model, test, attributes=attributes)
    seconds = time.process_time() - start
    entry = {
        "model": repr(model),
        "fingerprint": model.fingerprint,
        "split": arguments.split,
        "result": result.to_dict(),
        "cpu_seconds": round(seconds),
        "cpu_milliseconds_per_image": milliseconds(model),
        "recorded": environment(),
    }
    if result.embeddings is not None:
        entry["verdicts"] = verdicts(model, *result.embeddings)
    if grouping is not None and result.embeddings is not None:
        groups = grouping.subgroups(*result.embeddings, result)
        entry["subgroups"] = [group.to_dict() for group in groups]
    return entry


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--market", required=True)
    parser.add_argument("--attributes", type=Path)
    parser.add_argument("--model", default="street")
    parser.add_argument("--split", choices=("test", "train-people"), default="test")
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent / "results/street.json")
    arguments = parser.parse_args()
    entry = measure(arguments)
    arguments.output.write_text(json.dumps(entry, indent=1) + "\n")
    result = entry["result"]
    print(f"{entry['model']}: rank-1 {result['cmc']['1']:.2%}, mAP {result['mean_ap']:.2%}, {arguments.split}")


if __name__ == "__main__":
    main()
