"""Attention that lives: what masks and weights of a trained ``attention_driven`` run are worth, how many saturate.

A mask (Eq 4 of Yang et al.) has a value for each channel of each position of each image. The run is evaluated with its
masks as they are, and with every mask held at one of its means; what mAP that costs is what the rest of the mask adds:

- image: for each image and channel the mean over positions; what is lost is where a mask looks;
- position: for each channel and position the mean over all images; what is lost is what depends on the image;
- channel: for each channel the mean over positions and images: no attention at all, only a factor per channel.

A run is also read in other ways than its own, with the same weights: with embeddings that give the whole body and the
parts the same weight or as they come (``same_weight``), and, where the parts are weighed, with μ = 0.

Means are over the query and gallery images. ``outside`` is the share of mask values outside [0.1, 0.9]; ``spread`` is
the standard deviation of a channel's values over positions and images, averaged over channels.

usage: python benchmarks/live_masks.py RUN [RUN …] [--data DATA] [-o FILE.json]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

import passerby
from passerby.data.dataset import Dataset
from passerby.data.registry import load as load_dataset
from passerby.errors import ConfigError
from passerby.inference.model import Model
from passerby.models.attention_driven.blocks import IntraAttention
from passerby.models.attention_driven.model import AttentionDriven
from passerby.training.config import read_config
from passerby.training.loop import evaluation_data
from passerby.training.run import environment

LOW, HIGH = 0.1, 0.9
MEANS = ("image", "position", "channel")
Change = Callable[[str, Tensor], Tensor | None]


class Statistics:
    """The sums, over all images, of the masks of one block ``(b, c, h, w)``."""

    def __init__(self) -> None:
        self.images, self.values, self.outside = 0, 0, 0
        self.sum: Tensor | float = 0.0
        self.squares: Tensor | float = 0.0

    def add(self, mask: Tensor) -> None:
        """Add the masks of a batch."""
        self.images += len(mask)
        self.values += mask.numel()
        self.outside += int(((mask < LOW) | (mask > HIGH)).sum())
        self.sum = self.sum + mask.double().sum(dim=0)
        self.squares = self.squares + mask.double().square().sum(dim=0)

    @property
    def mean(self) -> Tensor:
        """The mean over images, ``(c, h, w)``."""
        return torch.as_tensor(self.sum) / self.images

    def summary(self) -> dict[str, float]:
        """Return the share of values outside [0.1, 0.9], the mean, and a channel's spread."""
        mean = self.mean.mean(dim=(1, 2))
        square = torch.as_tensor(self.squares).mean(dim=(1, 2)) / self.images
        spread = (square - mean.square()).clamp_min(0).sqrt().mean()
        return {
            "outside": round(self.outside / self.values, 4),
            "mean": round(float(mean.mean()), 4),
            "spread": round(float(spread), 4),
        }


@contextmanager
def changed_masks(network: nn.Module, change: Change) -> Iterator[None]:
    """Replace every mask by what ``change`` returns for its block's name and the mask; ``None`` leaves it."""
    blocks = [(name, module) for name, module in network.named_modules() if isinstance(module, IntraAttention)]
    if not blocks:
        raise ConfigError("the model has no intra-attention. Fix: name a run of the rows intra or both")
    hooks = [
        module.register_forward_hook(lambda _module, _inputs, mask, name=name: change(name, mask))
        for name, module in blocks
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def held_at_mean(name: str, mask: Tensor, *, over: str, found: dict[str, Statistics]) -> Tensor:
    """Return a mask that is constant over positions, over images, or over both."""
    if over == "image":
        return mask.mean(dim=(2, 3), keepdim=True).expand_as(mask)
    mean = found[name].mean.to(mask.dtype)
    return (mean if over == "position" else mean.mean(dim=(1, 2), keepdim=True)).expand_as(mask)


def measure_masks(model: Model, dataset: Dataset) -> dict[str, Any]:
    """Return mAP and rank-1 in percent with masks as they are and held at their means, and how many saturate."""
    found: dict[str, Statistics] = {}

    def collect(name: str, mask: Tensor) -> None:
        found.setdefault(name, Statistics()).add(mask)

    with changed_masks(model.network, collect):
        results = {"as they are": _score(model, dataset)}
    for over in MEANS:
        with changed_masks(model.network, partial(held_at_mean, over=over, found=found)):
            results[f"held, {over}"] = _score(model, dataset)
    values = sum(each.values for each in found.values())
    blocks = {_short(name): each.summary() for name, each in found.items()}
    outside = sum(each.outside for each in found.values()) / values
    return {"results": results, "outside": round(outside, 4), "blocks": blocks}


def measure_readings(model: Model, dataset: Dataset) -> dict[str, dict[str, float]]:
    """Return mAP and rank-1 in percent of both embeddings, with and without μ."""
    network = cast(AttentionDriven, model.network)
    own = network.same_weight, network.inter
    found = {}
    for same_weight in (True, False):
        for inter in dict.fromkeys((own[1], None)):
            network.same_weight, network.inter = same_weight, inter
            name = "same weight" if same_weight else "as they come"
            found[f"{name}, μ = 0" if inter is not own[1] else name] = _score(model, dataset)
    network.same_weight, network.inter = own
    return found


def _score(model: Model, dataset: Dataset) -> dict[str, float]:
    result = model.evaluate(dataset)
    return {"mean_ap": round(100 * result.mean_ap, 2), "rank1": round(100 * result.rank(1), 2)}


def _short(name: str) -> str:
    """Return ``global_block2`` for ``branches.global.blocks.1.attention``."""
    _, branch, _, place, _ = name.split(".")
    return f"{branch}_block{int(place) + 1}"


def record(run: Path, data: str | None) -> dict[str, Any]:
    """Return the measures of a run on other data, or on the data that it was evaluated on."""
    config = read_config(run / "config.json")
    dataset = load_dataset(data) if data else evaluation_data(config, load_dataset(config.data.train))
    if dataset is None:
        raise ConfigError(f"{run} was not evaluated on any data. Fix: name some with --data")
    model = passerby.load(run)
    has_masks = any(isinstance(module, IntraAttention) for module in model.network.modules())
    return {
        "run": run.name,
        "data": data or config.data.test or config.data.train,
        **({"masks": measure_masks(model, dataset)} if has_masks else {}),
        "readings": measure_readings(model, dataset),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="run folders")
    parser.add_argument("--data", help="query and gallery images; default: the run's own")
    parser.add_argument("-o", "--output", type=Path, help="file to write; default: standard output")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    what = "accuracy in percent with masks as they are and held at their means, saturated values, and other embeddings"
    found = {"what": what, "recorded": environment(), "runs": [record(run, arguments.data) for run in arguments.runs]}
    text = json.dumps(found, indent=1) + "\n"
    if arguments.output:
        arguments.output.write_text(text)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
