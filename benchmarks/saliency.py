"""Faithfulness of the saliency maps of distances: each trained run and its baseline, on the same true pairs.

Measured on synthetic test people, each seen by two cameras: the share of a map's highest tenth that lies on the person
(by the mask), the correlation with the maps of the same model with random weights, and how the distance of the pair
changes as pixels are blurred (deletion) or restored (insertion), the most salient first or in random order.

usage: python benchmarks/saliency.py --runs OURS BASELINE [--runs …] [--data DATA] [-o benchmarks/results/saliency.json]
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import passerby
from passerby.data.dataset import Dataset
from passerby.data.registry import load as load_dataset
from passerby.data.source import Source
from passerby.explain.images import ImageSet, ModelView, view_samples
from passerby.explain.saliency.maps import Method, distance_maps, paired_distances, place_maps
from passerby.explain.saliency.measures import (
    area_under_curve,
    blur_images,
    mass_inside,
    points_inside,
    random_order,
    rank_correlation,
    replace_pixels,
    saliency_order,
    score_curve,
)
from passerby.inference.model import Model
from passerby.models.registry import create_model
from passerby.training.run import environment
from passerby.types import Sample

DATA = "pedestrians:people=120,cameras=6,images=4,size=128x64,seed=0"
PAIRS, SEED = 100, 0
CELL = 4
"""The pixels of a cell of the finest map, for a random order that is as coarse as the maps."""
SHARES = tuple(i / 10 for i in range(11))
TOP = 2
"""The index of the share that is deleted to compare with random order: 20 %."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Images of the same people by different cameras, with masks."""

    source: Source
    a: tuple[Sample, ...]
    b: tuple[Sample, ...]
    masks: Tensor
    """The maps ``(2 · pairs, h, w)`` of a, then of b."""


def true_pairs(dataset: Dataset, pairs: int) -> Pairs:
    draw = random.Random(SEED)
    a = draw.sample(dataset.query, pairs)
    others = [[g for g in dataset.gallery if g.pid == q.pid and g.camid != q.camid] for q in a]
    b = [draw.choice(some) for some in others]
    assert dataset.source.is_generated
    masks = [torch.from_numpy(dataset.source.labels(sample.path).mask) for sample in (*a, *b)]
    return Pairs(dataset.source, tuple(a), tuple(b), torch.stack(masks))


def untrained(run: Path, trained: Model) -> Model:
    """Return the same model with random weights, as at the start of training."""
    description = json.loads((run / "model.json").read_text())
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        model = create_model(description["model"], num_classes=description["num_classes"], **description["options"])
    return Model(model, trained.size, trained.options, parts=trained.parts)


def sides(model: Model, pairs: Pairs) -> tuple[ModelView, ModelView]:
    album = ImageSet(pairs.source)
    return view_samples(model, album, pairs.a), view_samples(model, album, pairs.b)


def distances_from(a: ModelView, b: ModelView, rows: Sequence[int], images: Tensor) -> Tensor:
    """Return the distances of altered images, rows of ``a``, from the unaltered ones of ``b``."""
    with torch.no_grad():
        x = a.model.network(*a.make_inputs(images, rows)).embedding
    return paired_distances(x, b.output.embedding[list(rows)], normalize=a.model.protocol.normalize)


def distances_along(a: ModelView, b: ModelView, start: Tensor, end: Tensor, orders: Tensor) -> Tensor:
    """Return the distances ``(pairs, shares)``, relative to the pair's own."""
    own = distances_from(a, b, range(len(a)), a.pixels)
    rows = []
    for i, order in enumerate(orders):
        value = partial(distances_from, a, b, [i] * len(SHARES))
        rows.append(score_curve(value, start[i], end[i], order, SHARES))
    return torch.stack(rows) / own[:, None].double()


def faithfulness(a: ModelView, b: ModelView, maps: Tensor) -> dict[str, Any]:
    """Measure how distances change in the order of the maps and in random orders."""
    draw = torch.Generator().manual_seed(SEED)
    orders = {
        "saliency": saliency_order(maps, draw),
        "random cells": random_order(maps, draw, cell=CELL),
        "random pixels": random_order(maps, draw),
    }
    blurred = blur_images(a.pixels)
    deleted = {name: distances_along(a, b, a.pixels, blurred, order) for name, order in orders.items()}
    inserted = {name: distances_along(a, b, blurred, a.pixels, order) for name, order in orders.items()}
    at = {name: curve[:, TOP] for name, curve in deleted.items()}
    return {
        "distance_after_20_percent": {name: _mean(values) for name, values in at.items()},
        "raised_more_than": {name: _mean(at["saliency"] > at[name]) for name in ("random cells", "random pixels")},
        "deletion_area": {name: _mean(area_under_curve(curve, SHARES)) for name, curve in deleted.items()},
        "insertion_area": {name: _mean(area_under_curve(curve, SHARES)) for name, curve in inserted.items()},
    }


def on_the_person(maps: Tensor, masks: Tensor) -> dict[str, float]:
    return {"top_tenth_inside": _mean(mass_inside(maps, masks)), "highest_inside": _mean(points_inside(maps, masks))}


@dataclass(frozen=True, eq=False)
class Found:
    """One kind of map of all pairs, of the trained model and of the model with random weights."""

    a: Tensor
    both: Tensor
    """The maps ``(2 · pairs, h, w)`` of a, then of b."""
    fresh: Tensor
    """The maps of the model with random weights."""
    alike: float
    """The rank correlation of trained and random maps, placed on the images."""
    alike_before: float
    """The same of each layer's map before it is placed, since the parts are cut alike for any weights."""


def found(trained: tuple[ModelView, ModelView], fresh: tuple[ModelView, ModelView], **how: Any) -> Found:
    ours, theirs = (distance_maps(*seen, **how)[:2] for seen in (trained, fresh))
    placed = [torch.cat([place_maps(s, m) for s, m in zip(trained, maps, strict=True)]) for maps in (ours, theirs)]
    of_a, of_fresh = ours[0], theirs[0]
    before = [rank_correlation(of_a[layer][what], of_fresh[layer][what]) for layer in of_a for what in of_a[layer]]
    both, random_maps = placed
    half = both[: len(trained[0])]
    return Found(half, both, random_maps, _mean(rank_correlation(both, random_maps)), _mean(torch.stack(before)))


def measure(run: Path, pairs: Pairs) -> dict[str, Any]:
    """Measure the default map, and the other ones that it was chosen among."""
    model = passerby.load(run)
    trained, fresh = sides(model, pairs), sides(untrained(run, model), pairs)
    maps = found(trained, fresh)
    numbers = {
        "run": f"{run.parent.name}/{run.name}",
        **on_the_person(maps.both, pairs.masks),
        "with_random_weights": on_the_person(maps.fresh, pairs.masks),
        "rank_correlation_with_random_weights": {"placed": maps.alike, "before_placing": maps.alike_before},
        **faithfulness(*trained, maps.a),
    }
    return numbers | {"others": [other(trained, fresh, pairs, how) for how in variants(model)]}


def variants(model: Model) -> list[dict[str, Any]]:
    """Return each layer alone, and the last one with Grad-CAM."""
    layers = list(model.network.map_layers())
    last: Method = "gradcam"
    return [*({"layers": [layer]} for layer in layers), {"layers": layers[-1:], "method": last}]


def other(
    trained: tuple[ModelView, ModelView], fresh: tuple[ModelView, ModelView], pairs: Pairs, how: Mapping[str, Any]
) -> dict[str, Any]:
    maps = found(trained, fresh, **how)
    return {
        **how,
        **on_the_person(maps.both, pairs.masks),
        "empty": _mean(maps.both.amax(dim=(1, 2)) == 0),
        "rank_correlation": maps.alike,
        "raised_more_than_random_cells": faithfulness_at_top(*trained, maps.a),
    }


def faithfulness_at_top(a: ModelView, b: ModelView, maps: Tensor) -> float:
    """Return how often deleting the top 20 % raises the distance more than deleting random cells."""
    draw = torch.Generator().manual_seed(SEED)
    blurred, share = blur_images(a.pixels), SHARES[TOP : TOP + 1]
    after = []
    for orders in (saliency_order(maps, draw), random_order(maps, draw, cell=CELL)):
        images = [replace_pixels(a.pixels[i], blurred[i], order, share) for i, order in enumerate(orders)]
        after.append(distances_from(a, b, range(len(a)), torch.cat(images)))
    return _mean(after[0] > after[1])


def _mean(values: Tensor) -> float:
    return round(values.double().mean().item(), 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", nargs=2, type=Path, action="append", required=True, metavar=("OURS", "BASELINE"))
    parser.add_argument("--data", default=DATA)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent / "results" / "saliency.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    pairs = true_pairs(load_dataset(arguments.data), arguments.pairs)
    results = []
    for both in arguments.runs:
        measured = []
        for run in both:
            measured.append(measure(run, pairs))
            print(line(measured[-1]), flush=True)
        results.append(dict(zip(("ours", "baseline"), measured, strict=True)))
    result = {
        "what": "saliency maps of the distance of true pairs of synthetic test people (mean of the two finest layers, "
        "gradient × activation); distances relative to the pair's own; the runs are those of ablations.json, seed 0",
        "recorded": environment() | {"command": command(arguments)},
        "data": arguments.data,
        "pairs": arguments.pairs,
        "seed": SEED,
        "share_of_person_in_pictures": _mean(pairs.masks.double()),
        "results": results,
    }
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")


def command(arguments: argparse.Namespace) -> str:
    """Return the command without the paths of the runs."""
    runs = " ".join(f"--runs {' '.join(f'{run.parent.name}/{run.name}' for run in both)}" for both in arguments.runs)
    return f"python benchmarks/saliency.py {runs} --data {arguments.data} --pairs {arguments.pairs}"


def line(numbers: Mapping[str, Any]) -> str:
    inside, more = numbers["top_tenth_inside"], numbers["raised_more_than"]
    alike, after = numbers["rank_correlation_with_random_weights"], numbers["distance_after_20_percent"]
    return f"{numbers['run']}: inside {inside:.1%}; alike {alike}; after 20 % {after}; more often {more}"


if __name__ == "__main__":
    main()
