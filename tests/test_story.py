"""The sentence of the library, lived through once on people who do not exist and the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

import passerby
from passerby.config import with_overrides
from passerby.data.dataset import people
from passerby.models.registry import create_model
from passerby.recipes.registry import load_recipe
from passerby.training.loop import train

PEOPLE, CAMERAS, SIZE, TRUNK = 48, 3, (64, 32), "resnet18_half"
GENERATED = f"pedestrians:people={PEOPLE},cameras={CAMERAS},images=3,size=64x32,preset=easy"
SETTINGS: dict[str, Any] = {
    "data.train": GENERATED,
    "data.height": SIZE[0],
    "data.width": SIZE[1],
    "model.options.backbone": TRUNK,
    "sampler.epoch_of": "images",
    "optimizer.lr": 2e-3,
    "schedule.name": "cosine",
    "epochs": 18,
    "checkpoint_every": 18,
}


def untrained_rank1(data: passerby.data.Dataset) -> float:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = create_model("aap_reid", num_classes=2, backbone=TRUNK)
    return passerby.evaluate(model, data, size=SIZE).rank1


def test_train_evaluate_search(tmp_path: Path) -> None:
    data = passerby.data.load(GENERATED)
    result = train(with_overrides(load_recipe("aap_reid"), SETTINGS), tmp_path / "run", show_progress=False)

    assert result is not None
    strangers = people(data.query)
    assert not set(strangers) & set(people(data.train))
    assert result.queries == len(strangers) * CAMERAS
    assert result.rank1 > 0.5, f"chance is 1 in {len(strangers)}"
    assert result.mean_ap > 0.4
    assert result.rank1 > untrained_rank1(data) + 0.25

    model = passerby.load(tmp_path / "run")
    again = model.evaluate(data)
    assert again.rank1 == result.rank1

    gallery = passerby.Gallery(model)
    gallery.add(GENERATED)
    answers = {query: gallery.search(f"{GENERATED}::{query.path}", k=5) for query in data.query[::7]}
    first = [hits[0].pid == query.pid for query, hits in answers.items()]
    assert sum(first) >= 0.7 * len(first), "her own camera's other pictures count, too"
    elsewhere = [{h.camid for h in hits if h.pid == query.pid} - {query.camid} for query, hits in answers.items()]
    assert sum(map(bool, elsewhere)) >= 0.5 * len(elsewhere)
