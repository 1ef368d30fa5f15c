"""Localization of AANet's attribute maps, measured against the part masks of synthetic test people.

For each attribute with a place on the body: how often the maximum of the map lies on it (pointing game, Zhang et al.,
ECCV 2016), and which share of the map's mass does. The references are

- chance: the part's share of the image, which is what a random pixel hits and a uniform map covers;
- center: the center of the rows that the attribute's classifier reads, and a uniform map over them;
- average: the mean of the run's own maps for every image: a prior over places that needs no image;
- ideal: the part's share of each cell of the model's map, upsampled as the map is: what a map so coarse can reach;
- moved: the images shifted at random, by up to an eighth of their size, before the model sees them: the model's maps,
  and the average map where it was. In cropped images people stand in the same place, so that a prior is hard to beat;
  a map that depends on the image moves with it.

Variants: ``own`` is the model's map, upsampled bilinearly as in figures; ``right`` is ``own`` on the images whose value
is predicted correctly; ``finer`` is ``own`` every 8 pixels
(:func:`passerby.explain.attention.attributes.stitch_attribute_maps`); ``read`` is the finer one where the classifier
reads, 0 elsewhere; ``saliency`` is not a map of the paper: gradient × activation of the predicted value's score in the
two finest layers (:func:`passerby.explain.saliency.maps.attribute_saliency`).

usage: python benchmarks/localisation.py RUN [RUN …] [--data DATA] [-o benchmarks/results/localisation.json]
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

import passerby
from passerby.data.attributes.labels import read_attributes
from passerby.data.dataset import Dataset
from passerby.data.keypoints.skeleton import PARTS
from passerby.data.registry import load as load_dataset
from passerby.explain.attention.attributes import AttributeMaps, attribute_maps, shift_images, stitch_attribute_maps
from passerby.explain.images import ImageSet, ModelView, view_samples
from passerby.explain.saliency.maps import attribute_saliency
from passerby.explain.saliency.measures import mass_inside, points_inside
from passerby.explain.upsample import upsample_maps
from passerby.inference.model import Model
from passerby.models.aanet.model import AANet, AttributeNetwork
from passerby.training.run import environment
from passerby.types import Sample

DATA = "pedestrians:people=120,cameras=6,images=4,size=128x64,seed=0"
IMAGES, SEED, STEP = 240, 0, 8
PERSON = PARTS[1:]
PLACES: dict[str, tuple[str, ...]] = {
    "upper color": ("upper",),
    "lower color": ("lower",),
    "sleeve length": ("upper", "arms"),
    "length of lower": ("lower", "legs"),
    "type of lower": ("lower", "legs"),
    "hair length": ("hair",),
    "hat": ("hat",),
    "backpack": ("carried",),
    "bag": ("carried",),
    "handbag": ("carried",),
    "gender": PERSON,
    "age": PERSON,
}
"""The parts of the mask on which each attribute is visible."""
WORN = ("hat", "backpack", "bag", "handbag")
"""The attributes that are visible only on people who have them: only their images count."""
LEAST = 0.005
"""The share of an image below which a part counts as hidden."""
SAMPLES = 1000
BATCH_SIZE = 40
MAX_SHIFT = 8
"""The inverse of the largest shift, as a share of height and width."""
VARIANTS = ("own", "right", "finer", "read", "saliency", "average", "moved", "moved, average", "centre", "ideal")
"""The variants that are printed for each attribute."""


class Images(NamedTuple):
    """The images and their labels."""

    dataset: Dataset
    samples: list[Sample]
    parts: Tensor
    """The index into ``PARTS``, ``(b, h, w)``, at the model's size."""
    worn: Tensor
    """The true classes, ``(b, g)``."""


@cache
def read_images(data: str, size: tuple[int, int]) -> Images:
    """Return random images of test people."""
    dataset = load_dataset(data)
    tested = [*dataset.query, *dataset.gallery]
    samples = random.Random(SEED).sample(tested, min(IMAGES, len(tested)))
    source = dataset.source
    masks = torch.from_numpy(np.stack([source.labels(sample.path).parts for sample in samples]))
    parts = interpolate(masks[:, None], size=size, mode="nearest")[:, 0]
    return Images(dataset, samples, parts, torch.from_numpy(read_attributes(source).of_all(samples)))


def seen_by(model: Model, shown: Images) -> ModelView:
    return view_samples(model, ImageSet(shown.dataset.source), shown.samples)


class Moved(NamedTuple):
    """The same images, each with its own shift."""

    maps: Mapping[str, Tensor]
    parts: Tensor


@torch.no_grad()
def moved_apart(seen: ModelView, shown: Images) -> Moved:
    """Shift the images, padded by their edges, and the masks, padded by background."""
    draw, (height, width) = random.Random(SEED), seen.model.size
    far = height // MAX_SHIFT, width // MAX_SHIFT
    ways = [tuple(draw.randint(-most, most) for most in far) for _ in range(len(seen))]
    images = torch.cat([shift_images(one, *way) for one, way in zip(seen.inputs[0].split(1), ways, strict=True)])
    masks = zip(shown.parts[:, None].split(1), ways, strict=True)
    outputs = [seen.model.network(some).maps or {} for some in images.split(BATCH_SIZE)]
    return Moved(
        {name: torch.cat([output[name] for output in outputs]) for name in outputs[0]},
        torch.cat([shift_images(mask, *way, edge="constant") for mask, way in masks])[:, 0],
    )


def rows_read(network: AttributeNetwork, height: int) -> dict[str, Tensor]:
    """Return ``(height,)`` for each attribute: 1 in the rows that its classifier reads."""
    stripes = network.rows(height).float()
    return {name: stripes[row] for name, row in zip(network.names, network.vector_of, strict=True)}


def numbers(maps: Tensor, masks: Tensor, people: Sequence[int]) -> dict[str, Any]:
    """Return means over images, with 95 % intervals by bootstrap over people."""
    points, mass = points_inside(maps, masks).double(), mass_inside(maps, masks, most=1.0).double()
    top = mass_inside(maps, masks).double()
    return {
        "pointing": mean(points),
        "pointing_interval": interval(points, people),
        "mass": mean(mass),
        "mass_interval": interval(mass, people),
        "mass_of_highest_tenth": mean(top),
    }


def mean(values: Tensor) -> float:
    return round(float(values.mean()), 4)


def interval(values: Tensor, people: Sequence[int]) -> list[float]:
    pids, draw = torch.tensor(people), torch.Generator().manual_seed(SEED)
    groups = [values[pids == pid] for pid in sorted(set(people))]
    sums, counts = torch.stack([g.sum() for g in groups]), torch.tensor([float(len(g)) for g in groups])
    drawn = torch.randint(len(groups), (SAMPLES, len(groups)), generator=draw)
    means = sums[drawn].sum(dim=1) / counts[drawn].sum(dim=1)
    return [round(float(means.quantile(end)), 4) for end in (0.025, 0.975)]


def saliency_of(model: Model, shown: Images, group: int) -> Tensor:
    """Return ``(b, h, w)``, in small batches, since the gradient needs all layers."""
    album = ImageSet(shown.dataset.source)
    runs = (shown.samples[first : first + BATCH_SIZE] for first in range(0, len(shown.samples), BATCH_SIZE))
    return torch.cat([attribute_saliency(view_samples(model, album, some), group) for some in runs])


def place_of(name: str, parts: Tensor) -> Tensor:
    """Return the mask ``(b, h, w)`` of where an attribute is visible."""
    return torch.isin(parts, torch.tensor([PARTS.index(part) for part in PLACES[name]]))


def measured(
    name: str, seen: ModelView, shown: Images, found: AttributeMaps, fine: Mapping[str, Tensor], elsewhere: Moved
) -> dict[str, Any]:
    """Measure one attribute, on the images that show its place."""
    size, place = seen.model.size, found.schema.index(name)
    masks = place_of(name, shown.parts)
    counts = masks.flatten(1).double().mean(dim=1) >= LEAST
    if name in WORN:
        counts &= shown.worn[:, place] == 1
    rows = counts.nonzero()[:, 0]
    people = [int(shown.samples[row].pid or 0) for row in rows.tolist()]
    masks, own, finer = masks[rows], upsample_maps(found.maps[name][rows], size), upsample_maps(fine[name][rows], size)
    reads = rows_read(network_of(seen.model), size[0])[name][None, :, None].expand(len(rows), -1, size[1])
    predicted = torch.tensor([found.schema[name].index(found.predictions[row][name].value) for row in rows.tolist()])
    known = shown.worn[rows, place] >= 0
    right = ((predicted == shown.worn[rows, place]) & known).nonzero()[:, 0]
    of_right = [people[row] for row in right.tolist()]
    salient = saliency_of(seen.model, shown, place)[rows]
    average = own.mean(dim=0, keepdim=True).expand_as(own)
    gone, there = upsample_maps(elsewhere.maps[name][rows], size), place_of(name, elsewhere.parts)[rows]
    return {
        "parts": list(PLACES[name]) if PLACES[name] != PERSON else ["person"],
        "pictures": len(rows),
        "predicted_right": mean((predicted == shown.worn[rows, place])[known].double()),
        "chance": mean(masks.double().flatten(1).mean(dim=1)),
        "centre": prior(reads, masks, people),
        "average": numbers(average, masks, people),
        "ideal": numbers(ideal(masks, found.maps[name].shape[1:]), masks, people),
        "own": numbers(own, masks, people),
        "right": numbers(own[right], masks[right], of_right) if len(right) else None,
        "moved": numbers(gone, there, people),
        "moved, average": numbers(average, there, people),
        "finer": numbers(finer, masks, people),
        "read": numbers(finer * reads, masks, people),
        "saliency": numbers(salient, masks, people),
        "saliency, average": numbers(salient.mean(dim=0, keepdim=True).expand_as(salient), masks, people),
    }


def prior(reads: Tensor, masks: Tensor, people: Sequence[int]) -> dict[str, Any]:
    """Measure the center of the rows that the classifier reads, and a uniform map over them."""
    rows = reads[0, :, 0].nonzero()[:, 0]
    point = torch.zeros_like(reads)
    point[:, int(rows.double().mean().round()), reads.shape[2] // 2] = 1
    even = numbers(reads.contiguous(), masks, people)
    return {"pointing": numbers(point, masks, people)["pointing"], "mass": even["mass"]}


def ideal(masks: Tensor, grid: Sequence[int]) -> Tensor:
    """Return the masks ``(b, h, w)`` after averaging on a grid and upsampling."""
    cells = interpolate(masks[:, None].float(), size=tuple(grid), mode="area")[:, 0]
    return upsample_maps(cells, cast(tuple[int, int], tuple(masks.shape[1:])))


def network_of(model: Model) -> AttributeNetwork:
    network = cast(AANet, model.network).attributes
    assert network is not None
    return network


def attention_map(seen: ModelView, shown: Images, found: AttributeMaps) -> dict[str, Any] | None:
    """Measure the AAM against the person mask; it is binary, so it has no maximum to point with."""
    if found.attention_map is None:
        return None
    masks = shown.parts > 0
    people = [int(sample.pid or 0) for sample in shown.samples]
    mass = mass_inside(upsample_maps(found.attention_map, seen.model.size), masks, most=1.0).double()
    chance = mean(masks.double())
    return {"parts": ["person"], "chance": chance, "mass": mean(mass), "mass_interval": interval(mass, people)}


def record(run: Path, data: str) -> dict[str, Any]:
    """Return the entry of one run."""
    model = passerby.load(run)
    shown = read_images(data, model.size)
    seen = seen_by(model, shown)
    found, fine, elsewhere = attribute_maps(seen), stitch_attribute_maps(seen, STEP), moved_apart(seen, shown)
    return {
        "run": f"{run.parent.name}/{run.name}",
        "options": json.loads((run / "model.json").read_text())["options"],
        "size": list(model.size),
        "map": list(next(iter(found.maps.values())).shape[1:]),
        "attributes": {name: measured(name, seen, shown, found, fine, elsewhere) for name in PLACES},
        "attention_map": attention_map(seen, shown, found),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--data", default=DATA)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    runs = [record(run, arguments.data) for run in arguments.runs]
    names = " ".join(f"runs/{run['run']}" for run in runs)
    result = {
        "what": "AANet's attribute maps against part masks of synthetic test people",
        "recorded": environment() | {"command": f"localisation.py {names} --data {arguments.data}"},
        "data": arguments.data,
        "pictures": IMAGES,
        "seed": SEED,
        "runs": runs,
    }
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=1) + "\n")
    for run in runs:
        print(f"{run['run']}, map {run['map']}: pointing / mass")
        for name, each in run["attributes"].items():
            ways = "  ".join(
                f"{way} {found['pointing']:.2f}/{found['mass']:.2f}" for way in VARIANTS if (found := each[way])
            )
            print(f"  {name:16} n {each['pictures']:3}  chance {each['chance']:.2f}  {ways}")
        print(f"  AAM {run['attention_map']}")


if __name__ == "__main__":
    main()
