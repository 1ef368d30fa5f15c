"""Verdicts in galleries of another world than the calibration's: how many are wrong, and which are withheld.

Each pair of worlds has a model, a world whose people it is calibrated on, and a world whose images are a gallery of
unknown people. Embeddings are kept in a folder, so that a second run is quick.

usage: python benchmarks/verdicts.py --work DIR --market Market-1501.zip --osnet CHECKPOINT.pth [-o FILE]
"""

from __future__ import annotations

import argparse
import json
import random
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import passerby
from passerby.data.dataset import Dataset
from passerby.data.registry import load as load_dataset
from passerby.gallery.store.manifest import Manifest, origin_values
from passerby.gallery.verdicts.check import DomainCheck
from passerby.gallery.verdicts.own import Answer, calibrate_rows
from passerby.gallery.verdicts.rows import UNKNOWN, Rows
from passerby.inference.model import Model
from passerby.metrics.calibration import SAME_AT, Calibration
from passerby.metrics.held_out import calibrate_embeddings, split_people
from passerby.retrieval.distance.compare import compare_vectors
from passerby.training.run import environment
from passerby.types import Embeddings, Protocol, Role, Sample

WORLDS = {
    "default": "pedestrians:people=160,images=2,seed=201",
    "others": "pedestrians:people=160,images=2,seed=202",
    "hard": "pedestrians:people=160,images=2,seed=203,preset=hard",
    "easy": "pedestrians:people=160,images=2,seed=204,preset=easy",
    "color": "pedestrians:people=160,images=2,seed=205,color=2",
    "twins": "pedestrians:people=160,images=2,seed=206,twins=0.4",
}
"""The synthetic worlds: 80 test people, 960 images by 6 cameras each."""
PEOPLE, IMAGES, DISTRACTORS = 600, 6, 400
"""The people of Market-1501's test split, the gallery images of each at most, and the distractors."""
CHUNK = 64
CONFIRMED = 100
"""The confirmed pairs of a gallery's own calibration."""
SPAN = 300_000
"""The duration of a made-up tracklet in milliseconds; about fifty of all cameras are there at a time."""
SYNTHETIC = ("others", "hard", "easy", "color", "twins")
PAIRS = (
    ("street-s", "shipped", (*SYNTHETIC, "market")),
    ("street-s", "default", (*SYNTHETIC, "market")),
    ("street-s", "easy", ("hard", "market")),
    ("street-s", "market half 1", ("market half 2", "default")),
    ("osnet", "default", (*SYNTHETIC, "market")),
    ("osnet", "easy", ("hard", "market")),
    ("osnet", "market half 1", ("market half 2", "default")),
)
"""The model, the world whose people it is calibrated on, and those whose images are galleries."""


def chosen(dataset: Dataset, *, real: bool) -> tuple[list[Sample], list[Sample]]:
    """Return queries and gallery: of a synthetic world all, of Market-1501 a seeded part."""
    query, gallery = list(dataset.counted("query")), list(dataset.counted("gallery"))
    if not real:
        return query, gallery
    draw = random.Random(0)
    people = sorted({s.pid for s in query if s.pid is not None})
    kept = set(draw.sample(people, PEOPLE))
    queries, images = defaultdict(list), defaultdict(list)
    for sample in query:
        queries[sample.pid].append(sample)
    for sample in gallery:
        images[sample.pid if sample.role is Role.PERSON else None].append(sample)
    asked = [draw.choice(queries[pid]) for pid in sorted(kept)]
    held = [s for pid in sorted(kept) for s in draw.sample(images[pid], min(IMAGES, len(images[pid])))]
    return asked, held + draw.sample(images[None], DISTRACTORS)


def embedded(models: dict[str, Model], world: str, place: str, work: Path) -> None:
    """Embed a world with all models; generated images are rendered once."""
    missing = [name for name in models if not (work / f"{name}-{world}.pt").exists()]
    if not missing:
        return
    dataset = load_dataset(place)
    for name, sides in both(missing, models, dataset, chosen(dataset, real=world == "market")).items():
        torch.save(sides, work / f"{name}-{world}.pt")
    print(f"{world} is embedded", flush=True)


def both(
    names: list[str], models: dict[str, Model], dataset: Dataset, sides: Sequence[list[Sample]]
) -> dict[str, list[Embeddings]]:
    """Return query and gallery by each model."""
    found: dict[str, list[Embeddings]] = {name: [] for name in names}
    for samples in sides:
        parts = defaultdict(list)
        for first in range(0, len(samples), CHUNK):
            for name in names:
                parts[name].append(models[name].embed_samples(dataset.source, samples[first : first + CHUNK]))
        for name in names:
            found[name].append(Embeddings.concatenate(parts[name]))
    return found


def worlds(models: dict[str, Model], work: Path) -> dict[str, dict[str, tuple[Embeddings, Embeddings]]]:
    """Return query and gallery of every world by every model, and the halves of the people of Market-1501."""
    found: dict[str, dict[str, tuple[Embeddings, Embeddings]]] = {}
    for name in models:
        sides = {world: torch.load(work / f"{name}-{world}.pt", weights_only=False) for world in ("market", *WORLDS)}
        halves = split_people(*sides["market"], 0)
        found[name] = {world: tuple(both) for world, both in sides.items()}
        found[name] |= {"market half 1": halves[0], "market half 2": halves[1]}
    return found


def known(gallery: Embeddings) -> dict[str, Rows]:
    """Return the rows of a gallery by what is known of them: people, tracklets (made up), or nothing."""
    assert gallery.pids is not None
    assert gallery.camids is not None
    cameras, unknown = replace(gallery, pids=None, roles=None), Rows.of(Embeddings(gallery.embedding, gallery.paths))
    tracklet = (gallery.pids * 100 + gallery.camids).numpy()
    names, number = np.unique(tracklet, return_inverse=True)
    begin = np.random.default_rng(0).integers(0, SPAN * len(names) // 50, len(names))[number]
    person = gallery.pids.numpy() > 0  # Market's distractors are no tracklet
    given = {
        name: np.where(person, values, UNKNOWN)
        for name, values in {"tracklet": number, "seen_from": begin, "seen_until": begin + SPAN}.items()
    }
    return {
        "people": Rows.of(gallery),
        "tracklets": replace(Rows.of(cameras), **given),
        "nothing": unknown,
    }


def outcome(query: Embeddings, gallery: Embeddings, said: Callable[[Tensor], Tensor], name: str) -> dict[str, Any]:
    """Return how many pairs and hits that are called ``name`` are wrong."""
    assert query.pids is not None
    assert gallery.pids is not None
    roles = torch.zeros(len(gallery)) if gallery.roles is None else gallery.roles
    distances = compare_vectors(query.embedding, gallery.embedding).block(torch.arange(len(query)))
    same = (query.pids[:, None] == gallery.pids) & (roles == int(Role.PERSON))
    called = said(distances)
    near = distances.topk(10, largest=False).indices
    hits, right = called.gather(1, near), same.gather(1, near)
    return {
        "different_pairs": int((~same).sum()),
        "of_different": share(called & ~same, ~same),
        "of_same": share(called & same, same),
        "hits": int(hits.sum()),
        "wrong_hits": share(hits & ~right, hits),
        "false_for_each_query": (called & ~same).sum(1).double().mean().item(),
        "what": name,
    }


def share(found: Tensor, among: Tensor) -> float | None:
    """Return the share of what was found; ``None`` of nothing."""
    count = int(among.sum())
    return int(found.sum()) / count if count else None


def measured(calibration: Calibration, query: Embeddings, gallery: Embeddings) -> dict[str, Any]:
    """Return what a gallery of unknown people says of a calibration, and what is true."""
    checks = {name: DomainCheck.of(rows, calibration) for name, rows in known(gallery).items()}
    hidden, record = checks["nothing"], dict[str, Any]()
    record["estimates"] = {name: {**check.to_dict(), "reason": None} for name, check in checks.items()}
    record["state"], record["reason"] = hidden.state, hidden.reason
    record["unchecked"] = outcome(query, gallery, calibration.possible, "possible")
    if hidden.state != "withheld":
        record["possible"] = outcome(query, gallery, partial(possible, hidden), "possible")
        record["no_evidence"] = outcome(query, gallery, lambda d: no_evidence(hidden, d), "no evidence")
        record["no_evidence_unchecked"] = outcome(query, gallery, lambda d: no_evidence(calibration, d), "no evidence")
    wrong = None if hidden.state == "withheld" else record["possible"]["of_different"]
    record["stated_rate"], record["accepted"] = SAME_AT, wrong is None or wrong <= SAME_AT
    return record


def answered(gallery: Embeddings, count: int) -> list[Answer]:
    """Return what a person would say of the ten nearest of random rows, until so many pairs are confirmed."""
    assert gallery.pids is not None
    draw, answers = np.random.default_rng(0), dict[tuple[int, int], bool]()
    comparison = compare_vectors(gallery.embedding, gallery.embedding)
    while sum(answers.values()) < count:
        row = int(draw.integers(len(gallery)))
        if gallery.pids[row] > 0:
            near = comparison.block(torch.tensor([row]))[0].topk(11, largest=False).indices.tolist()
            for other in (other for other in near if other != row):
                answers[min(row, other), max(row, other)] = bool(gallery.pids[row] == gallery.pids[other])
    return [(a, b, same) for (a, b), same in answers.items()]


def own(query: Embeddings, gallery: Embeddings, model: Model) -> dict[str, Any]:
    """Return how a calibration by a gallery's own pairs fares, by what is known of the rows."""
    manifest = Manifest(gallery="0" * 32, version=1, made_by=origin_values(model.origin()), dimensions=1)
    answers, record = answered(gallery, CONFIRMED), dict[str, Any]()
    for name, rows in known(gallery).items():
        found = calibrate_rows(rows, answers, manifest, place="own")
        check = DomainCheck.of(rows, found.calibration, own=True, same=found.same)
        record[name] = {"confirmed": found.confirmed, "rejected": found.rejected, **check.to_dict(), "reason": None}
        if check.state != "withheld":
            record[name]["outcome"] = outcome(query, gallery, partial(possible, check), "possible")
    return record


def possible(check: DomainCheck, distances: Tensor) -> Tensor:
    return check.calibration.possible(distances, prior=check.prior)


def no_evidence(by: Calibration | DomainCheck, distances: Tensor) -> Tensor:
    """Return of which pairs the verdict is *no evidence*: those from some distance on."""
    ascending = distances.flatten().sort().values.tolist()
    first = bisect_left(ascending, True, key=lambda d: by.verdict(d)[1] == "no evidence")
    return distances >= ([*ascending, torch.inf][first])


def show(name: str, record: dict[str, Any]) -> None:
    before = record["unchecked"]
    line = f"{name}: unchecked {before['of_different']:.5f} of different, {before['wrong_hits']} of hits; "
    rates = ", ".join(f"{kind} {each['false_match_rate']:.5f}" for kind, each in record["estimates"].items())
    line += f"estimates {rates}; {record['state']}"
    if record["state"] != "withheld":
        after, margin = record["possible"], record["estimates"]["nothing"]["margin"]
        line += f", margin {margin:.3f}: {after['of_different']:.5f} of different, {after['wrong_hits']} of "
        line += f"{after['hits']} hits, {after['of_same']:.3f} of same"
    print(f"{line}; {'accepted' if record['accepted'] else 'NOT ACCEPTED'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder of the embeddings")
    parser.add_argument("--market", required=True)
    parser.add_argument("--osnet", required=True)
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent / "results" / "verdicts.json")
    arguments = parser.parse_args()
    places = {"street-s": "street-s", "osnet": arguments.osnet}
    models = {name: passerby.load(place, device="cpu") for name, place in places.items()}
    for world, place in {"market": f"market1501:{arguments.market}", **WORLDS}.items():
        embedded(models, world, place, arguments.work)
    sides, results = worlds(models, arguments.work), {}
    for name, learned, worlds_of in PAIRS:
        shipped = models[name].calibration if learned == "shipped" else None
        calibration = shipped or calibrate_embeddings(*sides[name][learned], Protocol())
        for world in worlds_of:
            pair = f"{name}: {learned} -> {world}"
            results[pair] = measured(calibration, *sides[name][world])
            show(pair, results[pair])
    by_own = {
        f"{name}: {world}": own(*sides[name][world], models[name])
        for name in models
        for world in ("market", "default", "hard")
    }
    for pair, each in by_own.items():
        print(pair, {k: (v["state"], v.get("outcome", {}).get("of_different")) for k, v in each.items()})
    command = "python benchmarks/verdicts.py --work DIR --market ZIP --osnet osnet_x0_25_market1501.pth"
    record = {
        "what": "verdicts in galleries of other worlds than the calibration's; see the script",
        "worlds": WORLDS,
        "market": {"people": PEOPLE, "images_at_most": IMAGES, "distractors": DISTRACTORS, "seed": 0},
        "recorded": {**environment(), "command": command},
        "pairs": len(results),
        "accepted": sum(each["accepted"] for each in results.values()),
        "results": results,
        "own": by_own,
    }
    arguments.output.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
