"""Adapt a model to a dataset's training images without labels, and evaluate every state of the run on its test images.

Labels are used to evaluate only. The result holds, for each state of the run, the quality without labels beside rank-1
and mAP, their rank correlation (Spearman), and the CPU seconds of the adaptation alone. With ``--people`` states are
evaluated on that many of the test people, without mirror images, and start and kept state on the whole test split.

usage: python benchmarks/adapt.py RUN --data DATA --run FOLDER [--people N] [--set rounds=5 ...] [-o FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from scipy.stats import spearmanr

import passerby
from passerby.config import parse_override, with_overrides
from passerby.data.dataset import Dataset
from passerby.data.registry import load
from passerby.inference.model import Model
from passerby.training.adapt.config import AdaptConfig
from passerby.training.adapt.training import AdaptTraining
from passerby.training.engine import run_training
from passerby.training.run import environment

STATES: list[dict[str, Any]] = []


def of_people(data: Dataset, people: int | None) -> Dataset:
    """Return the test images of the first ``people`` persons, without distractors; of all, with them, for ``None``."""
    if people is None:
        return data
    chosen = set(sorted({s.pid for s in data.split("query") if s.pid is not None})[:people])
    query, gallery = (tuple(s for s in data.split(name) if s.pid in chosen) for name in ("query", "gallery"))
    return replace(data, train=(), query=query, gallery=gallery)


def whole(model: Model, data: Dataset) -> dict[str, float]:
    """Return rank-1 and mAP on all test images."""
    result = model.evaluate(data)
    return {"rank1": result.rank1, "mean_ap": result.mean_ap}


class Evaluated(AdaptTraining):
    """An adaptation whose states are evaluated as well."""

    evaluating = 0.0
    """The CPU seconds that the evaluations took."""
    people: int | None = None

    def _measure(self, name: str) -> Any:
        state = super()._measure(name)
        began = time.process_time()
        test = of_people(load(self.config.data.place), self.people)
        protocol = self.model.protocol_for(test)
        if self.people is not None:
            protocol = replace(protocol, flip_tta=False)
        result = self.model.evaluate(test, protocol=protocol)
        Evaluated.evaluating += time.process_time() - began
        STATES.append({**asdict(self.rounds[-1]), "rank1": result.rank1, "mean_ap": result.mean_ap})
        print(json.dumps(STATES[-1]), flush=True)
        return state


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("start")
    parser.add_argument("--data", required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--people", type=int)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    changes = dict(parse_override(text) for text in arguments.settings)
    config = with_overrides(AdaptConfig(), {"start": arguments.start, "data.place": arguments.data, **changes})
    Evaluated.people = arguments.people
    began = time.process_time()
    result = run_training(
        AdaptConfig, Evaluated, config, arguments.run, resume=False, show_progress=False, on_checkpoint=None
    )
    seconds = time.process_time() - began - Evaluated.evaluating
    correlation = spearmanr([s["quality"] for s in STATES], [s["mean_ap"] for s in STATES]).statistic
    entry = {
        "data": load(arguments.data).summary(),
        "settings": config.model_dump(mode="json"),
        "environment": environment(),
        "cpu_seconds": round(seconds, 1),
        "adapted": result.adapted,
        "kept": result.kept,
        "reason": result.reason,
        "rank_correlation": float(correlation),
        "states": STATES,
    }
    if arguments.people is not None:
        entry["people"] = arguments.people
        entry["whole"] = {
            name: whole(passerby.load(place, device="cpu"), load(arguments.data))
            for name, place in (("kept", str(arguments.run)),)
        }
    text = json.dumps(entry, indent=1) + "\n"
    sys.stdout.write(text)
    if arguments.output:
        arguments.output.write_text(text)


if __name__ == "__main__":
    main()
