"""Collect finished runs into one result file: command, commit, machine, seed, metrics, learning curve.

usage: python benchmarks/record.py -o benchmarks/results/NAME.json [--note TEXT] RUN [RUN ...]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from passerby.training.run import RunFolder, environment

CURVE_POINTS = 20


def read(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(path.read_text())
    return value


def curve(log: list[dict[str, Any]]) -> list[dict[str, float]]:
    """Return the mean losses of each twentieth of the run."""
    size = max(1, len(log) // CURVE_POINTS)
    chunks = [log[i : i + size] for i in range(0, len(log), size)]
    names = [n for n in log[0] if n not in ("step", "epoch", "lr", "images_per_second")]
    means = ({n: round(sum(e[n] for e in c) / len(c), 4) for n in names} for c in chunks)
    return [{"step": c[-1]["step"], **m} for c, m in zip(chunks, means, strict=True)]


def record(path: Path) -> dict[str, Any]:
    """Return the entry of one run."""
    config, log = read(path / "config.json"), RunFolder(path).log()
    batch = config["sampler"]["p"] * config["sampler"]["k"]
    seconds = sum(batch / entry["images_per_second"] for entry in log)
    return {
        "run": path.name,
        "config": config,
        "environment": read(path / "environment.json"),
        "seed": config["seed"],
        "images_trained": batch * len(log),
        "training_minutes": round(seconds / 60, 1),
        "median_images_per_second": sorted(e["images_per_second"] for e in log)[len(log) // 2],
        "test": read(path / "metrics.json"),
        "curve": curve(log),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("-o", "--output", required=True, type=Path)
    parser.add_argument("--note", default="")
    arguments = parser.parse_args()
    result = {
        "note": arguments.note,
        "recorded": environment()["time"],
        "runs": [record(run) for run in arguments.runs],
    }
    text = json.dumps(result, indent=1)
    arguments.output.write_text(text + "\n")
    for run in result["runs"]:
        test = run["test"]
        print(f"{run['run']}: rank-1 {test['cmc']['1']:.2%}, mAP {test['mean_ap']:.2%}, {run['training_minutes']} min")


if __name__ == "__main__":
    main()
