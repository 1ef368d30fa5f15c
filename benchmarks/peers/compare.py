"""Compare evaluation and re-ranking with other toolkits: the same arrays, one thread, alternating.

Everything starts from embeddings, so that computing distances counts for all; every measurement has its own process.

usage: python benchmarks/peers/install.py FOLDER
       python benchmarks/peers/compare.py FOLDER [--features MARKET.npz] [--repeats 3] [-o FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from passerby.training.run import environment

QUERIES, GALLERY, DIMENSIONS = 3368, 15913, 512
TASKS: dict[str, tuple[str, int, int, tuple[str, ...]]] = {
    "evaluation": ("evaluate", QUERIES, GALLERY, ("passerby", "pyppbox", "fastreid")),
    "evaluation in Python": ("evaluate", QUERIES, GALLERY, ("passerby", "torchreid")),
    "re-ranking": ("re-rank", 1000, 5000, ("passerby", "pyppbox", "fastreid")),
    "re-ranking of all": ("re-rank", QUERIES, GALLERY, ("passerby",)),
}
"""The operation, the sizes and the toolkits of each comparison."""


def random_people(queries: int, gallery: int) -> dict[str, Any]:
    """Return embeddings of people with about 20 images each by six cameras."""
    draw = np.random.default_rng(0)
    n = queries + gallery
    pid, cam = draw.integers(n // 20, size=n), draw.integers(6, size=n)
    centers = draw.normal(size=(n // 20, DIMENSIONS))
    features = (centers[pid] + 3 * draw.normal(size=(n, DIMENSIONS))).astype(np.float32)
    everything: dict[str, Any] = {"f": features, "pid": pid, "cam": cam}
    rows = {"query": slice(None, queries), "gallery": slice(queries, None)}
    return {f"{side}_{name}": values[some] for side, some in rows.items() for name, values in everything.items()}


def of_file(file: Path, queries: int, gallery: int) -> dict[str, Any]:
    """Return the first rows of a file, in single precision."""
    with np.load(file) as stored:
        found = {name: stored[name][: queries if name.startswith("query") else gallery] for name in stored}
    return {n: v.astype(np.float32 if n.endswith("_f") else np.int64) for n, v in found.items()}


def run(side: str, operation: str, arrays: Path, folder: Path) -> dict[str, Any]:
    command = [sys.executable, str(Path(__file__).with_name("side.py")), side, operation, str(arrays), str(folder)]
    done = subprocess.run(
        command, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True, capture_output=True, text=True
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def compare(name: str, folder: Path, features: Path | None, repeats: int) -> dict[str, Any]:
    operation, queries, gallery, sides = TASKS[name]
    arrays = of_file(features, queries, gallery) if features else random_people(queries, gallery)
    found: dict[str, list[dict[str, Any]]] = {side: [] for side in sides}
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "arrays.npz"
        np.savez(file, **arrays)
        for _ in range(repeats):
            for side in sides:
                found[side].append(run(side, operation, file, folder))
                print(name, side, found[side][-1], flush=True)
    names = ("cpu_seconds", "wall_seconds", "peak_gigabytes")
    medians = {
        side: {n: statistics.median(one[n] for one in runs) for n in names} | {"numbers": runs[0]["numbers"]}
        for side, runs in found.items()
    }
    own = medians["passerby"]["cpu_seconds"]
    ratios = {side: round(m["cpu_seconds"] / own, 2) for side, m in medians.items() if side != "passerby"}
    return {"queries": queries, "gallery": gallery, "medians": medians, "times_as_slow": ratios, "runs": found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--features", type=Path, help="an .npz of `evaluate --save-features` (default: random people)")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", action="append", choices=list(TASKS))
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parents[1] / "results" / "peers.json")
    asked = parser.parse_args()
    recorded = environment() | {"threads": 1}  # of each measured process
    tasks = {name: compare(name, asked.folder, asked.features, asked.repeats) for name in asked.only or TASKS}
    what = (
        f"{DIMENSIONS}-d embeddings of {'Market-1501' if asked.features else 'random people'}, one thread, medians of "
        f"{asked.repeats}; times_as_slow: CPU seconds ÷ passerby's"
    )
    asked.output.write_text(json.dumps({"what": what, "recorded": recorded, "tasks": tasks}, indent=1) + "\n")
    for name, task in tasks.items():
        print(name, task["times_as_slow"])


if __name__ == "__main__":
    main()
