"""Growth of time and memory of evaluation and re-ranking with the number of images.

N images of random people, of which Market-1501's share (3,368 of 19,281) are queries; every measurement has its own
process. Fitted exponents: cost ~ N^e, with memory above that of the smallest process.

usage: python benchmarks/retrieval_growth.py [--images 5000 10000 …] [--threads 2] [-o FILE] [--figure FILE.png]
       python benchmarks/retrieval_growth.py --images 93820 -o benchmarks/results/retrieval_msmt17.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from passerby.figures.style import SERIES
from passerby.training.run import environment
from retrieval import Cost, Sizes, exponent, measure

IMAGES = (5_000, 10_000, 20_000, 40_000, 80_000)
SHARE = 3368 / 19281
OPERATIONS = ("evaluate", "re-rank")
RESULTS = Path(__file__).parent / "results"


def sizes_of(images: int, threads: int) -> Sizes:
    queries = round(SHARE * images)
    return Sizes(queries=queries, gallery=images - queries, threads=threads)


def fitted(images: Sequence[int], costs: Sequence[Cost]) -> dict[str, float]:
    """Return the exponents, that of memory without what Python and torch take anyway."""
    if len(costs) < 2:
        return {}
    bare = measure("evaluate", Sizes(queries=2, gallery=20, dimensions=2), repeats=1).peak_gigabytes
    return {
        "cpu_seconds": round(exponent(images, [cost.cpu_seconds for cost in costs]), 2),
        "peak_gigabytes": round(exponent(images, [cost.peak_gigabytes - bare for cost in costs]), 2),
    }


def figure(images: Sequence[int], found: dict[str, Any]) -> Figure:
    """Plot time, on logarithmic axes, on which a power is a line, and memory."""
    plot = Figure(figsize=(8, 3.4), layout="constrained")
    seconds, memory = plot.subplots(1, 2)
    for axis, name in ((seconds, "cpu_seconds"), (memory, "peak_gigabytes")):
        for (operation, costs), marker, color in zip(found.items(), "os", SERIES, strict=False):
            label = f"{operation}: grows as $N^{{{costs['exponents'][name]:.2f}}}$"
            values = [cost[name] for cost in costs["costs"]]
            axis.plot(images, values, marker=marker, color=color, label=label)
            axis.annotate(
                f"{values[-1]:.3g}",
                (images[-1], values[-1]),
                (0, 8 if marker == "s" else -16),
                textcoords="offset points",
                ha="center",
            )
        axis.set_xscale("log")
        axis.margins(x=0.09)
        axis.set_xticks(images, [f"{n // 1000}k" for n in images])
        axis.minorticks_off()
        axis.set_xlabel("images N (query and gallery)")
        axis.grid(alpha=0.3)
        axis.legend(frameon=False, fontsize=9)
    seconds.set_yscale("log")
    seconds.set_ylim(top=1000)
    seconds.set_yticks([0.1, 1, 10, 100, 1000], ["0.1", "1", "10", "100", "1000"])
    seconds.set_title("CPU seconds")
    memory.set_ylim(0, 1.6 * max(cost["peak_gigabytes"] for costs in found.values() for cost in costs["costs"]))
    memory.set_title("peak memory of the process, GB")
    return plot


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=IMAGES)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "retrieval_growth.json")
    parser.add_argument("--figure", type=Path)
    asked = parser.parse_args()
    recorded = environment()
    found: dict[str, Any] = {}
    for operation in OPERATIONS:
        costs = []
        for images in asked.images:
            costs.append(measure(operation, sizes_of(images, asked.threads), repeats=1))
            print(
                f"{operation}, {images:,} images: {costs[-1].cpu_seconds} CPU s, {costs[-1].peak_gigabytes} GB",
                flush=True,
            )
        found[operation] = {"exponents": fitted(asked.images, costs), "costs": [asdict(cost) for cost in costs]}
        print(operation, found[operation]["exponents"], flush=True)
    what = "512-d embeddings of random people, one measurement per size; exponents of N by least squares on logarithms"
    asked.output.write_text(json.dumps({"what": what, "recorded": recorded, "operations": found}, indent=1) + "\n")
    if asked.figure:
        figure(asked.images, found).savefig(asked.figure, dpi=130)


if __name__ == "__main__":
    main()
