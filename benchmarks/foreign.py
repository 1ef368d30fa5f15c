"""Measure a checkpoint of another toolkit on a benchmark, loaded in one line: ``passerby.load(FILE).evaluate(data)``.

usage: python benchmarks/foreign.py CHECKPOINT --data market1501:ZIP [--note TEXT] -o FILE
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import passerby
from passerby.training.run import environment


def measure(checkpoint: Path, data: str) -> dict[str, Any]:
    recorded, start = environment(), time.process_time()
    model = passerby.load(checkpoint, device="cpu")
    result = model.evaluate(passerby.data.load(data))
    return {
        "checkpoint": {"name": checkpoint.name, "sha256": hashlib.sha256(checkpoint.read_bytes()).hexdigest()},
        "model": repr(model),
        "test": result.to_dict(),
        "cpu_seconds": round(time.process_time() - start),
        "environment": recorded,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--note", default="")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    entry = {"note": arguments.note, **measure(arguments.checkpoint, arguments.data)}
    arguments.output.write_text(json.dumps(entry, indent=1) + "\n")
    test = entry["test"]
    print(f"{entry['model']}: rank-1 {test['cmc']['1']:.2%}, mAP {test['mean_ap']:.2%}, {entry['cpu_seconds']} CPU s")


if __name__ == "__main__":
    main()
