"""Train on synthetic pedestrians alone, and evaluate on Market-1501.

The strong baseline with a MobileNetV2 backbone from ImageNet weights, 128×64. Generator and training are tuned on
Market's *training* people (``--split train-people``: one query per camera of each person with an even ID, the rest is
the gallery); ``--split test`` is for the final number. ``--untrained`` measures the same backbone without training.

usage: python benchmarks/pedestrians_market.py --market market1501:ZIP --weights FILE --work DIR --name NAME
           [--people 400] [--steps 3125] [--difficulty light=0.5 ...] [--set optimizer.lr=5e-4 ...] [-o FILE]
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import passerby
from passerby.config import parse_override, with_overrides
from passerby.data.dataset import Dataset
from passerby.data.registry import load
from passerby.evaluation.evaluate import evaluate
from passerby.models.base import ReidModel
from passerby.recipes.registry import load_recipe
from passerby.synthetic.export import write_pedestrians
from passerby.synthetic.files import settings_json, short_hash
from passerby.synthetic.settings import Settings
from passerby.synthetic.spec import parse_difficulty
from passerby.training.config import TrainConfig
from passerby.training.initial import load_backbone_weights
from passerby.training.loop import build_model, train
from passerby.training.run import environment
from passerby.types import Sample

TRAINING = {
    "model.options.backbone": "mobilenet_v2",
    "data.height": 128,
    "data.width": 64,
    "sampler.p": 16,
    "sampler.k": 4,
    "optimizer.lr": 1e-3,
    "schedule.name": "cosine",
    "schedule.warmup_epochs": 0.5,
    "augment.pad": 5,
    "augment.erase": 0.3,
}


def held_out(market: Dataset) -> Dataset:
    """Return Market's training people with even IDs: the first image per camera is a query, the rest the gallery."""
    first: dict[tuple[int | None, int | None], Sample] = {}
    chosen = [s for s in market.split("train") if s.pid is not None and s.pid % 2 == 0]
    for sample in chosen:
        first.setdefault((sample.pid, sample.camid), sample)
    queries = {s.path for s in first.values()}
    return replace(
        market,
        train=(),
        query=tuple(first.values()),
        gallery=tuple(s for s in chosen if s.path not in queries),
    )


def generated(settings: Settings, work: Path, *, workers: int, fresh: bool) -> Path:
    """Return the folder of the training half, which is generated if it does not exist."""
    data = work / f"data-{short_hash(settings)}"
    if fresh:
        shutil.rmtree(data, ignore_errors=True)
    if not data.exists():
        write_pedestrians(data, settings, workers=workers, train_only=True)
    return data


def training(arguments: argparse.Namespace, data: Path) -> TrainConfig:
    """Return the recipe with as many epochs as the steps need."""
    count = len(load(str(data)).train) if data.exists() else 0
    epochs = max(1, round(arguments.steps / max(1, math.ceil(count / 64))))
    changes: dict[str, Any] = {
        **TRAINING,
        "model.backbone_weights": str(arguments.weights),
        "data.train": str(data),
        "seed": arguments.seed,
        "epochs": epochs,
        **dict(parse_override(text) for text in arguments.settings),
    }
    config = with_overrides(load_recipe("strong_baseline"), changes)
    return with_overrides(config, {"checkpoint_every": config.epochs})


def trained(config: TrainConfig, run: Path) -> ReidModel:
    shutil.rmtree(run, ignore_errors=True)
    train(config, run)
    return passerby.load(run).network


def untrained(config: TrainConfig) -> ReidModel:
    model = build_model(config, num_classes=2)
    load_backbone_weights(model, config)
    return model


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    market = load(arguments.market)
    test = market if arguments.split == "test" else held_out(market)
    changes = dict(parse_difficulty(text) for text in arguments.difficulty)
    settings = Settings(
        people=2 * arguments.people,
        cameras=arguments.cameras,
        images=arguments.images,
        seed=arguments.data_seed,
        preset=arguments.preset,
        changes=changes,
    )
    entry: dict[str, Any] = {"name": arguments.name, "split": arguments.split, "test": test.summary()}
    if arguments.untrained:
        config = training(arguments, Path("nowhere"))
        model = untrained(config)
    else:
        clock = Clock()
        data = generated(settings, arguments.work, workers=arguments.workers, fresh=arguments.fresh)
        entry |= {"drawing": clock.read(), "pedestrians": json.loads(settings_json(settings))}
        config, clock = training(arguments, data), Clock()
        model = trained(config, arguments.work / f"run-{arguments.name}")
        entry |= {"training": clock.read(), "train": load(str(data)).summary()}
    result = evaluate(model, test, size=config.data.size)
    assert result.mean_ap is not None
    return entry | {
        "rank1": round(100 * result.rank1, 2),
        "mean_ap": round(100 * result.mean_ap, 2),
        "result": result.to_dict(),
        "config": config.model_dump(mode="json"),
        "recorded": environment(),
    }


class Clock:
    """A clock of wall and CPU minutes (with finished children) since it was made."""

    def __init__(self) -> None:
        self.start = time.perf_counter(), _cpu()

    def read(self) -> dict[str, float]:
        wall, cpu = time.perf_counter() - self.start[0], _cpu() - self.start[1]
        return {"wall_minutes": round(wall / 60, 2), "cpu_minutes": round(cpu / 60, 2)}


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def merged(path: Path, new: dict[str, Any]) -> dict[str, Any]:
    """Return the result file with one measurement added or replaced."""
    runs = json.loads(path.read_text())["runs"] if path.exists() else []
    what = "rank-1 and mAP in percent on Market-1501 of models that were trained on synthetic people only"
    return {"what": what, "runs": [r for r in runs if r["name"] != new["name"]] + [new]}


def parsed(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).parent / "results" / "pedestrians_market.json"
    add = parser.add_argument
    add("-o", "--output", type=Path, default=default)
    add("--market", required=True, help="market1501:PATH")
    add("--weights", required=True, type=Path, help="ImageNet weights of MobileNetV2")
    add("--work", required=True, type=Path, help="folder of images and runs")
    add("--name", required=True, help="name of this measurement in the result file")
    add("--split", choices=("train-people", "test"), default="train-people")
    add("--people", type=int, default=300, help="number of training identities")
    add("--cameras", type=int, default=6)
    add("--images", type=int, default=4)
    add("--preset", default="default")
    add("--difficulty", action="append", default=[], metavar="NAME=VALUE")
    add("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE", help="setting of the training")
    add("--steps", type=int, default=3125, help="batches of 64: 3,125 are 200,000 images")
    add("--seed", type=int, default=0, help="random seed of the training")
    add("--data-seed", type=int, default=0)
    add("--workers", type=int, default=2)
    add("--fresh", action="store_true", help="generate the images again")
    add("--untrained", action="store_true")
    return parser.parse_args(words)


def main() -> None:
    arguments = parsed()
    new = measure(arguments)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(merged(arguments.output, new), indent=1) + "\n")
    print(f"{new['name']}: rank-1 {new['rank1']}, mAP {new['mean_ap']} ({new['test']})")


if __name__ == "__main__":
    main()
