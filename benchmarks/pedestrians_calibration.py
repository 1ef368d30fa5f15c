"""Difficulty of the synthetic pedestrians: a color histogram, an untrained and a trained model, presets × seeds.

60 identities for training and 60 for testing, 6 cameras, 4 images each, 128×64. The seed is that of the people, the
cameras and the training. Each preset and seed is measured on its own; the results are collected in one file.

usage: python benchmarks/pedestrians_calibration.py --work DIR [--only PRESET:SEED ...] [-o FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from passerby.config import with_overrides
from passerby.data.dataset import Dataset, Split
from passerby.data.images.decode import decode
from passerby.data.registry import load
from passerby.evaluation.evaluate import evaluate
from passerby.metrics.protocol import evaluate_embeddings
from passerby.recipes.registry import load_recipe
from passerby.synthetic.export import write_pedestrians
from passerby.synthetic.files import settings_json, short_hash
from passerby.synthetic.settings import PRESETS, Settings
from passerby.training.config import TrainConfig
from passerby.training.loop import build_model, train
from passerby.training.run import environment
from passerby.types import Embeddings, EvalResult, Protocol

SEEDS = (0, 1, 2)
MODELS = ("histogram", "untrained", "trained")
STRIPES, HUES, SATURATIONS, VALUES = 8, 16, 4, 8
TRAINING = {
    "model.options.backbone": "resnet18_half",
    "data.height": 128,
    "data.width": 64,
    "sampler.p": 16,
    "sampler.k": 4,
    "optimizer.lr": 1e-3,
    "schedule.name": "cosine",
    "schedule.warmup_epochs": 0.5,
    "augment.pad": 5,
    "augment.erase": 0.0,
    "epochs": 14,
    "checkpoint_every": 14,
}
"""The training settings: about four minutes on one CPU core, with smaller images to see more of them."""


def histogram(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the histogram ``(8 · 72,)`` of an HSV image ``(h, w, 3)``: per stripe hue × saturation, and value.

    The middle columns, where the person is, weigh more. The square root of shares makes the Euclidean distance the
    Hellinger distance, the best simple one for histograms.
    """
    height, width, _ = pixels.shape
    weight = np.exp(-0.5 * ((np.arange(width) + 0.5 - width / 2) / (0.2 * width)) ** 2)
    hue, saturation, value = (pixels[..., i].astype(np.int64) for i in range(3))
    color = hue * HUES // 256 * SATURATIONS + saturation * SATURATIONS // 256
    brightness = HUES * SATURATIONS + value * VALUES // 256
    parts = []
    for rows in np.array_split(np.arange(height), STRIPES):
        weights = np.tile(weight, len(rows))
        counts = sum(
            np.bincount(cells[rows].ravel(), weights, HUES * SATURATIONS + VALUES) for cells in (color, brightness)
        )
        parts.append(np.sqrt(counts / np.sum(counts)))
    return np.concatenate(parts).astype(np.float32)


def histogram_embeddings(dataset: Dataset, split: Split) -> Embeddings:
    """Return histograms in place of a model's embeddings."""
    samples = dataset.split(split)
    images = (decode(dataset.source.read(s.path), name=s.path).convert("HSV") for s in samples)
    return Embeddings(
        embedding=torch.from_numpy(np.stack([histogram(np.asarray(p)) for p in images])),
        paths=tuple(s.path for s in samples),
        pids=_column([s.pid for s in samples]),
        camids=_column([s.camid for s in samples]),
    )


def _column(values: list[int | None]) -> Tensor:
    return torch.tensor(values)


def config(data: Path, seed: int) -> TrainConfig:
    return with_overrides(load_recipe("strong_baseline"), {**TRAINING, "seed": seed, "data.train": str(data)})


def numbers(result: EvalResult) -> dict[str, float]:
    assert result.mean_ap is not None
    return {"mean_ap": round(100 * result.mean_ap, 2), "rank1": round(100 * result.rank1, 2)}


def measure(preset: str, seed: int, work: Path, workers: int) -> dict[str, Any]:
    settings = Settings(people=120, cameras=6, images=4, size=(128, 64), seed=seed, preset=preset)  # type: ignore[arg-type]
    data = work / f"{preset}-{seed}-{short_hash(settings)}"
    if not data.exists():
        write_pedestrians(data, settings, workers=workers)
    dataset, how = load(str(data)), config(data, seed)
    colors = evaluate_embeddings(
        histogram_embeddings(dataset, "query"), histogram_embeddings(dataset, "gallery"), Protocol()
    )
    untrained = evaluate(build_model(how, num_classes=60), dataset, size=how.data.size)
    cpu, wall = time.process_time(), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        trained = train(how, Path(folder) / "run")
    assert trained is not None
    assert trained.mean_ap
    assert colors.mean_ap is not None
    return {
        "preset": preset,
        "seed": seed,
        "histogram": numbers(colors),
        "untrained": numbers(untrained),
        "trained": numbers(trained),
        "histogram_of_trained": round(colors.mean_ap / trained.mean_ap, 3),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "wall_seconds": round(time.perf_counter() - wall, 1),
        "settings": json.loads(settings_json(settings)),
        "recorded": environment(),
    }


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return mean and sample standard deviation of the mAP in percent over the seeds, by preset."""
    table = {}
    for preset in PRESETS:
        if chosen := [run for run in runs if run["preset"] == preset]:
            table[preset] = {"seeds": [run["seed"] for run in chosen]} | {
                model: _spread([run[model]["mean_ap"] for run in chosen]) for model in MODELS
            }
    return table


def _spread(values: list[float]) -> dict[str, float]:
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"mean": round(statistics.mean(values), 2), "deviation": round(deviation, 2)}


def merged(path: Path, new: dict[str, Any]) -> dict[str, Any]:
    """Return the result file with one measurement added or replaced."""
    runs = json.loads(path.read_text())["runs"] if path.exists() else []
    runs = [run for run in runs if (run["preset"], run["seed"]) != (new["preset"], new["seed"])] + [new]
    runs.sort(key=lambda run: (list(PRESETS).index(run["preset"]), run["seed"]))
    what = "mAP in percent (Market-1501's protocol) of 60 unseen people; histogram: HSV in 8 stripes; see the script"
    return {"what": what, "training": TRAINING, "summary": summary(runs), "runs": runs}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).parent / "results" / "pedestrians_calibration.json"
    parser.add_argument("-o", "--output", type=Path, default=default)
    parser.add_argument("--work", type=Path, required=True, help="folder of the generated images")
    parser.add_argument("--only", action="append", metavar="PRESET:SEED", help="repeatable; default: all")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    for name in arguments.only or [f"{preset}:{seed}" for preset in PRESETS for seed in SEEDS]:
        preset, _, seed = name.partition(":")
        new = measure(preset, int(seed), arguments.work, arguments.workers)
        result = merged(arguments.output, new)
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(json.dumps(result, indent=1) + "\n")
        shown = ", ".join(f"{model} {new[model]['mean_ap']:.1f}" for model in MODELS)
        print(f"{name}: mAP {shown}; {new['cpu_seconds']:.0f} CPU seconds", flush=True)


if __name__ == "__main__":
    main()
