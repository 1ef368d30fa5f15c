"""Batches of people who look alike, and exact resume with them and with averaged weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from passerby.config import with_overrides
from passerby.data.sampler import GraphSampler, create_sampler
from passerby.errors import ConfigError
from passerby.recipes.registry import load_recipe
from passerby.training.config import TrainConfig
from passerby.training.loop import train
from passerby.training.neighbors import nearest
from passerby.training.run import RunFolder


def config(**changes: object) -> TrainConfig:
    small = {
        "model.options": {"backbone": "mobilenet_v2"},
        "data.train": "pedestrians:people=12,cameras=2,images=2,size=64x32",
        "data.height": 64,
        "data.width": 32,
        "data.threads": 1,
        "sampler.p": 3,
        "sampler.k": 2,
        "sampler.order": "graph",
        "average": 0.9,
        "epochs": 3,
    }
    return with_overrides(
        load_recipe("strong_baseline"), {"schedule.milestones": (), "schedule.warmup_epochs": 0.5, **small, **changes}
    )


def test_a_resumed_run_is_the_uninterrupted_one(tmp_path: Path) -> None:
    """Batches are chosen by the network at an epoch's start, and the average is part of the checkpoint."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train(config(), whole, show_progress=False)

    def stop(folder: RunFolder) -> None:
        if folder.checkpoint_epoch() == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config(), killed, show_progress=False, on_checkpoint=stop)
    train(None, killed, resume=True, show_progress=False)
    first, second = (load_file(run / "model.safetensors") for run in (whole, killed))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_average_is_what_is_kept(tmp_path: Path) -> None:
    changed = {"epochs": 1, "sampler.order": "people"}
    train(config(**changed), tmp_path / "averaged", show_progress=False)
    train(config(**changed, average=0.0), tmp_path / "last", show_progress=False)
    averaged, last = (load_file(tmp_path / run / "model.safetensors") for run in ("averaged", "last"))
    assert not torch.equal(averaged["backbone.features.0.0.weight"], last["backbone.features.0.0.weight"])


def test_batches_hold_the_nearest_people() -> None:
    labels = [person for person in range(10) for _ in range(4)]
    sampler = create_sampler(labels, p=3, k=2, seed=0, order="graph")
    assert isinstance(sampler, GraphSampler)
    with pytest.raises(ConfigError, match="neighbors"):
        list(sampler.batches())
    sampler.neighbors = nearest(torch.stack([torch.tensor([1.0, 0.1 * n]) for n in range(10)]), 2)
    batches = list(sampler)
    assert len(batches) == sampler.steps() == 7
    for batch in batches:
        people = sorted({labels[row] for row in batch})
        assert len(batch) == len(set(batch)) == 6
        assert len(people) == 3
        assert people[-1] - people[0] <= 4  # neighbors by angle
    assert [labels[row] for row in sampler.one_each()] == list(range(10))
    first = sampler.one_each()
    sampler.epoch = 1
    assert sampler.one_each() != first
    assert list(sampler) != batches


def test_the_nearest_are_by_cosine_and_never_oneself() -> None:
    rows = torch.tensor([[1.0, 0.0], [5.0, 1.0], [0.0, 1.0], [0.1, 3.0]])
    assert nearest(rows, 1).flatten().tolist() == [1, 0, 3, 2]


def test_alike_people_need_whole_images(tmp_path: Path) -> None:
    parts = {"recipe": "attention_driven", "model.name": "attention_driven", "model.options": {}}
    with pytest.raises(ConfigError, match="takes body parts"):
        train(with_overrides(config(), parts), tmp_path / "run", show_progress=False)
