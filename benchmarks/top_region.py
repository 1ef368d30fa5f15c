"""AANet's Top feature map as the upper half and as the upper third: accuracy and localization of attributes.

Only the attribute network is trained, on the maps of a frozen MobileNetV2 with ImageNet weights (last stride 1): both
differ in the region alone, and a row takes seconds. Maps of the same test people as in ``localisation.py``, by
its measures: whether the maximum lies on the part, and the share of a map's highest tenth that does.

usage: python benchmarks/top_region.py --weights mobilenet_v2_imagenet.pt [-o benchmarks/results/top_region.json]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from localisation import DATA, LEAST, PLACES, WORN, place_of, read_images
from torch import Tensor

from passerby.data.attributes.labels import read_attributes
from passerby.data.attributes.schema import MARKET
from passerby.data.images.decode import read_all
from passerby.data.images.normalize import normalize_images
from passerby.data.registry import load as load_dataset
from passerby.explain.saliency.measures import mass_inside, points_inside
from passerby.explain.upsample import upsample_maps
from passerby.losses.multitask import mean_cross_entropy
from passerby.models.aanet.model import VECTORS, AttributeNetwork, Top
from passerby.models.backbones import create_backbone
from passerby.training.run import environment
from passerby.weights.load import load_backbone

TRAIN = "pedestrians:people=600,cameras=6,images=1,size=128x64,seed=300"
SIZE = (128, 64)
SEEDS, STEPS, BATCH, RATE = (0, 1, 2), 400, 64, 1e-3
TOPS: tuple[Top, ...] = ("half", "third")


@torch.no_grad()
def maps_of(weights: Path, images: Tensor) -> Tensor:
    backbone = create_backbone("mobilenet_v2", last_stride=1)
    load_backbone(backbone, weights)
    backbone.eval()
    return torch.cat([backbone(normalize_images(some)) for some in images.split(40)])


def trained(X: Tensor, classes: Tensor, top: Top, seed: int) -> AttributeNetwork:
    torch.manual_seed(seed)
    network = AttributeNetwork(X.shape[1], MARKET, top=top)
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE, weight_decay=5e-4)
    draw = torch.Generator().manual_seed(seed)
    for _ in range(STEPS):
        rows = torch.randperm(len(X), generator=draw)[:BATCH]
        optimizer.zero_grad()
        mean_cross_entropy(network(X[rows]).scores, classes[rows].unbind(1)).backward()
        optimizer.step()
    return network.eval()


@torch.no_grad()
def measured(network: AttributeNetwork, X: Tensor, parts: Tensor, worn: Tensor) -> dict[str, Any]:
    output = network(X)
    found = {}
    for name in PLACES:
        group = MARKET.index(name)
        masks = place_of(name, parts)
        shown = masks.flatten(1).double().mean(dim=1) >= LEAST
        shown &= (worn[:, group] == 1) if name in WORN else True
        maps = upsample_maps(output.maps[shown, group], SIZE)
        known = worn[:, group] >= 0
        right = (output.scores[group].argmax(1) == worn[:, group])[known]
        found[name] = {
            "images": int(shown.sum()),
            "chance": round(float(masks[shown].double().mean()), 4),
            "predicted_right": round(float(right.double().mean()), 4),
            "pointing": round(float(points_inside(maps, masks[shown]).double().mean()), 4),
            "mass_of_highest_tenth": round(float(mass_inside(maps, masks[shown]).double().mean()), 4),
        }
    return found


def mean(runs: list[dict[str, Any]], name: str, value: str) -> float:
    return sum(run["attributes"][name][value] for run in runs) / len(runs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    started = time.process_time()
    people = load_dataset(TRAIN)
    X = maps_of(arguments.weights, read_all(people.source, people.train, SIZE))
    classes = torch.from_numpy(read_attributes(people.source).of_all(people.train))
    shown = read_images(DATA, SIZE)
    tested = maps_of(arguments.weights, read_all(shown.dataset.source, shown.samples, SIZE))
    runs = []
    for top in TOPS:
        for seed in SEEDS:
            network = trained(X, classes, top, seed)
            runs.append({"top": top, "seed": seed, "attributes": measured(network, tested, shown.parts, shown.worn)})
    result = {
        "what": "AANet's attribute network on frozen maps, with the Top feature map as upper half and as upper third",
        "recorded": environment() | {"cpu_seconds": round(time.process_time() - started)},
        "data": {"train": TRAIN, "test": DATA, "train_images": len(X), "test_images": len(tested)},
        "map": list(X.shape[2:]),
        "vector_of": {group.name: VECTORS[i] for group, i in zip(MARKET.groups, network.vector_of, strict=True)},
        "runs": runs,
    }
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=1) + "\n")
    for name in PLACES:
        both = {top: [run for run in runs if run["top"] == top] for top in TOPS}
        words = "  ".join(
            f"{top}: right {mean(each, name, 'predicted_right'):.3f} pointing {mean(each, name, 'pointing'):.3f} "
            f"highest tenth {mean(each, name, 'mass_of_highest_tenth'):.3f}"
            for top, each in both.items()
        )
        print(f"{name:16} {words}")


if __name__ == "__main__":
    main()
