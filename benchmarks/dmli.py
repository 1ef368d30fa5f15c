"""Compare the speed of batched DMLI with a pure-Python loop over the same pairs.

usage: python benchmarks/dmli.py [-o benchmarks/results/dmli.json]
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import normalize

from passerby.retrieval.distance.dmli import dmli
from passerby.training.run import environment

IMAGES, STRIPES, CHANNELS = 32, 16, 128
LOOP_ROWS = 2
"""The rows of pairs that the loop computes; its seconds are scaled to all rows."""
REPEATS, SEED = 5, 0

Image = list[list[float]]


def loop(xs: list[Image], ys: list[Image]) -> list[list[float]]:
    """Compute the formula pair by pair and cell by cell."""
    return [[pair(x, y) for y in ys] for x in xs]


def pair(x: Image, y: Image) -> float:
    best: list[float] = []  # the row above, overwritten from left to right
    for i, a in enumerate(x):
        for j, b in enumerate(y):
            e = math.exp(math.dist(a, b))
            reached = min(best[j] if i else math.inf, best[j - 1] if j else math.inf)
            total = (e - 1) / (e + 1) + (reached if i or j else 0.0)
            best[j : j + 1] = [total]
    return best[-1]


def seconds(call: Callable[[], object]) -> tuple[float, float]:
    """Return wall and CPU seconds of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - cpu


def measure() -> dict[str, Any]:
    torch.set_num_threads(1)  # the loop has one too
    draw = torch.Generator().manual_seed(SEED)
    x, y = (normalize(torch.randn(IMAGES, STRIPES, CHANNELS, generator=draw), dim=2) for _ in range(2))
    xs, ys = x[:LOOP_ROWS].tolist(), y.tolist()
    difference = (
        (dmli(x[:LOOP_ROWS].double(), y.double()) - torch.tensor(loop(xs, ys), dtype=torch.float64)).abs().max().item()
    )
    with torch.no_grad():
        dmli(x, y)  # warm-up
        # alternating, so that a busy machine slows both down equally
        times = [(seconds(lambda: dmli(x, y)), seconds(lambda: loop(xs, ys))) for _ in range(REPEATS)]
    return {"difference": difference} | summary(times)


def summary(times: list[tuple[tuple[float, float], tuple[float, float]]]) -> dict[str, Any]:
    scale = IMAGES / LOOP_ROWS
    found: dict[str, Any] = {}
    for clock, name in enumerate(("wall", "cpu")):
        batch, looped = [b[clock] for b, _ in times], [p[clock] * scale for _, p in times]
        middle = statistics.median(batch), statistics.median(looped)
        found[name] = {
            "batch_seconds": [round(v, 5) for v in batch],
            "loop_seconds": [round(v, 3) for v in looped],
            "median_ratio": round(middle[1] / middle[0], 1),
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent / "results" / "dmli.json")
    arguments = parser.parse_args()
    numbers = measure()
    wall, cpu = (numbers[clock]["median_ratio"] for clock in ("wall", "cpu"))
    result = {
        "what": f"{IMAGES} x {IMAGES} pairs, {STRIPES} stripes x {CHANNELS}, float32, one thread; the loop is timed on "
        f"{LOOP_ROWS} of {IMAGES} rows and scaled to all, in turn with the batch; on a busy machine trust CPU seconds",
        "recorded": environment() | {"command": "python benchmarks/dmli.py"},
        "seed": SEED,
        "numbers": numbers,
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")
    print(f"batch is {cpu} times as fast by CPU seconds, {wall} by wall")


if __name__ == "__main__":
    main()
