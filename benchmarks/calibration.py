"""Calibration errors of distances: fitted on one half of the people, measured on the other, with several seeds.

The embeddings are those of a file (``--features``, see docs/evaluation.md) or of a run on a dataset.

usage: python benchmarks/calibration.py (--features FILE.npz | --run RUN --data DATA) -o benchmarks/results/NAME.json
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path
from typing import Any

import passerby
from passerby.data.registry import load as load_dataset
from passerby.inference.embeddings_file import read_query_gallery
from passerby.metrics.held_out import split_people
from passerby.metrics.pairs import pair_distances
from passerby.metrics.probability import Method, fit
from passerby.metrics.verification import fit_thresholds, measure, open_set_metrics
from passerby.training.run import environment
from passerby.types import Embeddings, Protocol

METHODS: tuple[Method, ...] = ("isotonic", "logistic")


def sides(arguments: argparse.Namespace) -> tuple[Embeddings, Embeddings, Protocol]:
    """Return query, gallery and the protocol."""
    if arguments.features:
        return *read_query_gallery(arguments.features), Protocol()
    model, dataset = passerby.load(arguments.run), load_dataset(arguments.data)
    query, gallery = (model.embed_samples(dataset.source, dataset.split(s)) for s in ("query", "gallery"))
    return query, gallery, model.protocol


def held_out(query: Embeddings, gallery: Embeddings, how: Protocol, seed: int) -> dict[str, Any]:
    """Return the errors of both methods for one split of the people."""
    fitted, other = (pair_distances(*half, how) for half in split_people(query, gallery, seed))
    found: dict[str, Any] = {"seed": seed, "fitted_on": {"same": len(fitted.same), "different": fitted.total}}
    for method in METHODS:
        start = time.process_time()
        curve = fit(fitted, method)
        seconds = round(time.process_time() - start, 2)
        measured = measure(curve, fit_thresholds(fitted), fitted.prior, other).to_dict()
        found[method] = {"fit_cpu_seconds": seconds, "ece": measured["ece"], "ece_balanced": measured["ece_balanced"]}
        found |= {"same": measured["same"], "different": measured["different"], "at": measured["at"]}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--features", type=Path)
    what.add_argument("--run", type=Path)
    parser.add_argument("--data")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    query, gallery, how = sides(arguments)
    start = time.process_time()
    whole = open_set_metrics(pair_distances(query, gallery, how))
    seconds = round(time.process_time() - start, 2)
    results = [held_out(query, gallery, how, seed) for seed in arguments.seeds]
    record = {
        "what": "distances to P(same person): fitted on one half of the people, measured on the other",
        "recorded": environment(),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "everybody": {"cpu_seconds": seconds, **whole},
        "held_out": results,
    }
    arguments.output.write_text(json.dumps(record, indent=1) + "\n")
    for each in results:
        errors = ", ".join(f"{m} {each[m]['ece']:.5f} / {each[m]['ece_balanced']:.4f}" for m in METHODS)
        rates = ", ".join(f"{at['rate']:g}: {at['false_match_rate']}" for at in each["at"])
        print(f"seed {each['seed']}: ECE / balanced: {errors}; false-match rates at thresholds {rates}")


if __name__ == "__main__":
    main()
