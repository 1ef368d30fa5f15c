"""Compare DMLI of all of Market-1501's pairs with a numpy port vectorized over pairs and with the matrix product.

Everything runs in one thread, alternating, in separate processes; the port and the product are timed on fewer pairs.
The port does what AlignedReID's evaluation does: one matrix product, then a dynamic program whose cells are matrices of
all pairs.

usage: python benchmarks/peers/dmli.py [--repeats 3] [-o FILE]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"  # before numpy is imported

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for retrieval.py

import numpy as np
import torch

from passerby.retrieval.distance.dmli import dmli
from passerby.training.run import environment
from retrieval import Sizes, measure, people

QUERIES, GALLERY, STRIPES, CHANNELS = 3368, 15913, 16, 128
FEW = Sizes(queries=400, gallery=1600, stripes=STRIPES, channels=CHANNELS, threads=1)
Arrays = tuple[Any, Any]


def port(x: Any, y: Any) -> Any:
    (m, s, _), (n, t, _) = x.shape, y.shape
    a, b = x.reshape(m * s, -1), y.reshape(n * t, -1)
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    e = np.exp(np.sqrt(np.maximum(squared, 1e-12)))
    cost = ((e - 1) / (e + 1)).reshape(m, s, n, t).transpose(1, 3, 0, 2)
    best = np.empty((s, t, m, n), x.dtype)
    for i in range(s):
        for j in range(t):
            before = [best[i - 1, j]] * (i > 0) + [best[i, j - 1]] * (j > 0)
            best[i, j] = cost[i, j] + (np.minimum(*before) if len(before) == 2 else before[0] if before else 0)
    return best[-1, -1]


def products(x: Any, y: Any) -> Any:
    """Compute torch's product of the stripes in the tiles of DMLI."""
    a, b = (torch.from_numpy(v).split(size) for v, size in ((x, 32), (y, 64)))
    return [torch.mm(i.flatten(0, 1), j.flatten(0, 1).T)[0, 0] for i in a for j in b]


def of_numpy(x: Any, y: Any) -> Any:
    return (x.reshape(-1, CHANNELS) @ y.reshape(-1, CHANNELS).T)[0, 0]


CALLS: dict[str, Callable[[Any, Any], Any]] = {"numpy port": port, "product": products, "product by numpy": of_numpy}


def timed(name: str, answer: Any) -> None:
    torch.set_num_threads(1)
    x, y = (side.local.numpy() for side in people(FEW, local=True))  # type: ignore[union-attr]
    CALLS[name](x[:40], y[:40])  # warm-up
    start = time.process_time()
    CALLS[name](x, y)
    answer.send((time.process_time() - start) / (len(x) * len(y)))


def seconds_per_pair(name: str) -> float:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=timed, args=(name, theirs))
    process.start()
    found: float = ours.recv()
    process.join()
    return found


def largest_difference() -> float:
    x, y = (side.local for side in people(Sizes(queries=40, gallery=160), local=True))
    assert x is not None
    assert y is not None
    return float(
        (dmli(x.double(), y.double()) - torch.from_numpy(port(x.double().numpy(), y.double().numpy()))).abs().max()
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "-o", "--output", type=Path, default=Path(__file__).parents[1] / "results" / "dmli_market1501.json"
    )
    asked = parser.parse_args()
    recorded = environment() | {"threads": 1}  # of each measured process
    whole = Sizes(queries=QUERIES, gallery=GALLERY, stripes=STRIPES, channels=CHANNELS, threads=1)
    runs: dict[str, list[float]] = {name: [] for name in ("passerby", *CALLS)}
    costs = []
    for _ in range(asked.repeats):
        costs.append(measure("dmli", whole, repeats=1))
        runs["passerby"].append(costs[-1].cpu_seconds / (QUERIES * GALLERY))
        for name in CALLS:
            runs[name].append(seconds_per_pair(name))
        print({name: f"{1e6 * values[-1]:.2f} µs per pair" for name, values in runs.items()}, flush=True)
    medians = {name: statistics.median(values) for name, values in runs.items()}
    result = {
        "what": f"evaluation of {QUERIES} x {GALLERY} random people by {STRIPES} stripes x {CHANNELS}, float32, one "
        "thread; the port and the products on 400 x 1,600 pairs; microseconds per pair, CPU, medians",
        "recorded": recorded,
        "seed": whole.seed,
        "cpu_seconds": statistics.median(cost.cpu_seconds for cost in costs),
        "peak_gigabytes": statistics.median(cost.peak_gigabytes for cost in costs),
        "microseconds": {name: round(1e6 * value, 3) for name, value in medians.items()},
        "times_as_slow_numpy_port": round(medians["numpy port"] / medians["passerby"], 2),
        "share_of_product": round(medians["product"] / medians["passerby"], 3),
        "largest_difference_float64": largest_difference(),
        "runs": {name: [round(1e6 * v, 3) for v in values] for name, values in runs.items()},
    }
    asked.output.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({name: value for name, value in result.items() if name not in ("recorded", "runs")}, indent=1))


if __name__ == "__main__":
    main()
