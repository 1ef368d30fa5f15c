"""The ablation tables of the papers on synthetic pedestrians: the same rows, smaller, with three seeds.

Each seed generates its own 120 identities (default preset, 6 cameras × 4 images, 128×64, half of them for training) and
trains every row on them with the same budget. The papers' rows start from ImageNet weights; these start from a backbone
(or, for the network without one, its base) trained on 400 other synthetic identities, which takes about 15 minutes
each. Rows are compared within a seed. A difference is 'undecided' if its mean over the seeds is not above its standard
deviation.

Finished runs are skipped, and an interrupted one continues from its newest checkpoint.

usage: python benchmarks/ablations.py --work DIR [--paper aanet ...] [--seed 0 ...] [--threads 1] [-o FILE]
       python benchmarks/ablations.py --work DIR --collect      (writes the result file, prints the tables)
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file

from passerby.config import with_overrides
from passerby.recipes.registry import load_recipe
from passerby.recipes.tables import load_table, options
from passerby.training.config import TrainConfig
from passerby.training.loop import train
from passerby.training.run import RunFolder, environment

SEEDS = (0, 1, 2)
DATA = "pedestrians:people=120,cameras=6,images=4,size=128x64,seed={}"
OTHERS = "pedestrians:people=800,cameras=6,images=4,size=128x64,seed=100"
SHORT: Mapping[str, Any] = {
    "data.height": 128,
    "data.width": 64,
    "augment.flip": 0.5,
    "augment.pad": 5,
    "augment.erase": 0.0,
    "augment.degrees": 0.0,
    "augment.translate": 0.0,
    "optimizer.name": "adam",
    "optimizer.lr": 1e-3,
    "optimizer.weight_decay": 5e-4,
    "optimizer.backbone_lr_factor": 1.0,
    "schedule.name": "cosine",
    "schedule.warmup_epochs": 0.5,
    "sampler.epoch_of": "images",
    "checkpoint_every": 1,
}
"""The settings of every row: a few minutes on one CPU core; batches of 32 as in the papers."""


class Variant(NamedTuple):
    """A row with another reading of its paper, which is an option."""

    row: str
    changes: Mapping[str, Any]


class Ablation(NamedTuple):
    """The rows of a paper's table, and which one the paper reports as better than which."""

    table: str
    rows: tuple[str, ...]
    order: tuple[tuple[str, str], ...]
    """The pairs (worse, better)."""
    settings: Mapping[str, Any]
    variants: Mapping[str, Variant] = {}

    @property
    def all_rows(self) -> tuple[str, ...]:
        return (*self.rows, *self.variants)

    @property
    def comparisons(self) -> tuple[tuple[str, str], ...]:
        """Return the pairs of the paper's order, and each variant with its row."""
        return (*self.order, *((name, variant.row) for name, variant in self.variants.items()))


def chain(*rows: str) -> tuple[tuple[str, str], ...]:
    """Return the pairs of rows of which each is better than the one before."""
    return tuple(pairwise(rows))


_BACKBONE = {"model.options.backbone": "resnet26_half"}
_LOSS = {"optimizer.loss_lr_factor": 10.0}
"""Adam moves a parameter by its learning rate a step: so log σ² can cross 2.7 in the 270 steps of a row."""
_AAP = ("baseline", "stride", "band", "aap_reid")
_TASKS = ("g", "g_p", "g_p_a", "g_p_a_learned", "g_p_a_aa_learned")
ABLATIONS: dict[str, Ablation] = {
    "aap_reid": Ablation(
        "table1",
        _AAP,
        chain(*_AAP),
        {**_BACKBONE, "epochs": 6},
        {f"{row}_undropped": Variant(row, options(triplet_after_dropout=False)) for row in ("band", "aap_reid")},
    ),
    "dual_attention": Ablation(
        "table2",
        ("resnet50", "se", "sa", "se_sa"),
        (("resnet50", "se"), ("resnet50", "sa"), ("se", "se_sa"), ("sa", "se_sa")),
        {**_BACKBONE, "epochs": 6},
        {f"{row}_unscaled": Variant(row, options(scaled=False)) for row in ("sa", "se_sa")},
    ),
    "aanet": Ablation(
        "table3",
        _TASKS,
        chain(*_TASKS),
        {**_BACKBONE, **_LOSS, "epochs": 6},  # Top as the upper third is top_region.py's: of four rows, it is the half
    ),
    "attention_driven": Ablation(
        "table6",
        ("baseline", "aligned", "intra", "inter", "both"),
        (("baseline", "aligned"), ("aligned", "intra"), ("aligned", "inter"), ("intra", "both"), ("inter", "both")),
        {"model.options.width": 0.5, "augment.pad": 0, "epochs": 6},
        {
            "intra_literal": Variant("intra", options(normalized_attention=False)),
            "inter_without_mu": Variant("inter", options(fusion="equal")),
            "aligned_own_statistics": Variant("aligned", options(own_statistics=True)),
            "aligned_face": Variant("aligned", {"parts.head": "face"}),
        },
    ),
}


def start_of(paper: str, work: Path) -> Path:
    """Return the initial weights of every row of a paper; they are trained when first asked for."""
    name = "base" if paper == "attention_driven" else "backbone"
    kept = work / "start" / f"{name}.safetensors"
    if kept.exists():
        return kept
    if name == "base":
        changes = {**ABLATIONS[paper].settings, "epochs": 6}
        recipe = load_table(paper, ABLATIONS[paper].table).config("aligned")
    else:
        changes = {**_BACKBONE, "sampler.p": 16, "epochs": 7}
        recipe = load_recipe("strong_baseline")
    data = {"data.train": OTHERS, "data.test": DATA.format(0)}
    _train(with_overrides(recipe, {**SHORT, **changes, **data}), work / "start" / name)
    state = load_file(work / "start" / name / "model.safetensors")
    if name == "backbone":
        state = {k.removeprefix("backbone."): v for k, v in state.items() if k.startswith("backbone.")}
    save_file(state, kept)
    return kept


def _train(config: TrainConfig, folder: Path) -> None:
    """Train, or continue an interrupted training."""
    is_started = folder.exists() and any(RunFolder(folder).checkpoints.glob("epoch-*"))
    if folder.exists() and not is_started:
        shutil.rmtree(folder)
    train(None if is_started else config, folder, resume=is_started, show_progress=False)


def config_of(paper: str, row: str, seed: int, weights: Path) -> TrainConfig:
    """Return the config of a row, with the short settings."""
    ablation = ABLATIONS[paper]
    run = {"data.train": DATA.format(seed), "seed": seed, "model.backbone_weights": str(weights)}
    row, changes = ablation.variants.get(row, Variant(row, {}))
    config = load_table(paper, ablation.table).config(row)
    return with_overrides(config, {**SHORT, **ablation.settings, **run, **changes})


def measure(paper: str, row: str, seed: int, work: Path) -> dict[str, Any]:
    """Train a row, or continue it, or read its result."""
    folder = work / paper / f"{row}-{seed}"
    kept = folder / "ablation.json"
    if not kept.exists():
        config = config_of(paper, row, seed, start_of(paper, work))
        cpu, wall = time.process_time(), time.perf_counter()
        _train(config, folder)
        metrics = json.loads((folder / "metrics.json").read_text())
        result = {
            "rank1": round(100 * metrics["cmc"]["1"], 2),
            "mean_ap": round(100 * metrics["mean_ap"], 2),
            "cpu_seconds": round(time.process_time() - cpu, 1),
            "wall_seconds": round(time.perf_counter() - wall, 1),
            "recorded": environment(),
            "config": with_overrides(config, {"model.backbone_weights": "START"}).model_dump(mode="json"),
        }
        kept.write_text(json.dumps(result, indent=1) + "\n")
    return {"row": row, "seed": seed, **json.loads(kept.read_text())}


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return mean and standard deviation, which is NaN for a single value."""
    deviation = statistics.stdev(values) if len(values) > 1 else float("nan")
    return {"mean": round(statistics.mean(values), 2), "deviation": round(deviation, 2)}


def verdict(differences: Sequence[float]) -> str:
    """Return whether the differences better − worse, one per seed, hold up."""
    if len(differences) < 2:
        return "undecided"
    mean, deviation = statistics.mean(differences), statistics.stdev(differences)
    if abs(mean) <= deviation:
        return "undecided"
    return "holds" if mean > 0 else "does not hold"


def summary(paper: str, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a paper's rows with their spread, and the verdict on each pair of its order."""
    found = {(run["row"], run["seed"]): run for run in runs}
    rows: dict[str, dict[str, Any]] = {}
    for row in ABLATIONS[paper].all_rows:
        own = [run for run in runs if run["row"] == row]
        if own:
            rows[row] = {name: spread([run[name] for run in own]) for name in ("mean_ap", "rank1", "cpu_seconds")}
            rows[row]["seeds"] = [run["seed"] for run in own]
    order = []
    for worse, better in ABLATIONS[paper].comparisons:
        pairs = [(found[worse, s], found[better, s]) for s in SEEDS if {(worse, s), (better, s)} <= found.keys()]
        if pairs:
            gains = [b["mean_ap"] - a["mean_ap"] for a, b in pairs]
            order.append({"worse": worse, "better": better, "mean_ap": spread(gains), "verdict": verdict(gains)})
    return {"rows": rows, "order": order}


def write(output: Path, papers: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Write the result file."""
    what = (
        "mAP and rank-1 in percent (Market-1501's protocol) of 60 unseen synthetic people, rows of the papers' tables "
        "trained on 60 others, from weights that 400 further ones made; order: mAP of the better minus the worse, "
        "within seeds"
    )
    result = {
        "what": what,
        "data": {"rows": DATA, "start": OTHERS},
        "short": dict(SHORT),
        "papers": {paper: {"summary": summary(paper, runs), "runs": list(runs)} for paper, runs in papers.items()},
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(result, indent=1) + "\n")


def report(papers: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Return the tables in Markdown."""
    lines = []
    for paper, runs in papers.items():
        found = summary(paper, runs)
        lines += [f"| {paper} | mAP | rank-1 | CPU s |", "|---|---|---|---|"]
        for row, n in found["rows"].items():
            shown = " | ".join(f"{n[k]['mean']:.1f} ± {n[k]['deviation']:.1f}" for k in ("mean_ap", "rank1"))
            lines.append(f"| {row} | {shown} | {n['cpu_seconds']['mean']:.0f} |")
        lines.append("")
        for step in found["order"]:
            gain = step["mean_ap"]
            difference = f"{gain['mean']:+.1f} ± {gain['deviation']:.1f}"
            lines.append(f"- {step['worse']} < {step['better']}: {difference}: {step['verdict']}")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).parent / "results" / "ablations.json"
    parser.add_argument("-o", "--output", type=Path, default=default)
    parser.add_argument("--work", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--paper", action="append", choices=list(ABLATIONS), help="repeatable; default: all")
    parser.add_argument("--seed", action="append", type=int, help="repeatable; default: 0, 1, 2")
    parser.add_argument("--row", action="append", help="repeatable; default: all")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--collect", action="store_true", help="only write the result file of the finished runs")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if not arguments.collect:
        for seed in arguments.seed or SEEDS:
            for paper in arguments.paper or ABLATIONS:
                for row in arguments.row or ABLATIONS[paper].all_rows:
                    run = measure(paper, row, seed, arguments.work)
                    shown = f"mAP {run['mean_ap']:.1f}, rank-1 {run['rank1']:.1f}, {run['cpu_seconds']:.0f} CPU s"
                    print(f"{paper} {row} seed {seed}: {shown}", flush=True)
        return
    papers = {}
    for paper, ablation in ABLATIONS.items():
        done = [(row, s) for row in ablation.all_rows for s in SEEDS]
        runs = [measure(paper, *key, arguments.work) for key in done if _finished(arguments.work, paper, *key)]
        if runs:
            papers[paper] = runs
    write(arguments.output, papers)
    print(report(papers))


def _finished(work: Path, paper: str, row: str, seed: int) -> bool:
    return (work / paper / f"{row}-{seed}" / "ablation.json").exists()


if __name__ == "__main__":
    main()
