"""Each recipe's settings, one by one, as its paper prints them; what a paper leaves open is marked † in the recipe."""

from __future__ import annotations

from typing import Any

import pytest

from passerby.recipes.registry import RECIPES, load_recipe

SETTINGS: dict[str, dict[str, Any]] = {
    "aap_reid": {  # §4.2
        "data.size": (256, 128),
        "sampler.p": 8,
        "sampler.k": 4,
        "sampler.epoch_of": "identities",
        "optimizer.name": "adam",
        "optimizer.lr": 2e-4,
        "optimizer.weight_decay": 5e-4,
        "optimizer.backbone_lr_factor": 1,
        "schedule.name": "step",
        "schedule.milestones": (150, 300),
        "schedule.gamma": 0.1,
        "epochs": 450,
        "evaluation.distance": "global_local",
        "augment": {"flip": 0.5, "erase": 0.5},
        "loss": {"name": "reid", "identity": 1, "triplet": 1, "local": 1, "margin": 0.3, "smoothing": 0},
    },
    "aligned_reid": {
        "data.size": (256, 128),
        "sampler.p": 8,
        "sampler.k": 4,
        "sampler.epoch_of": "identities",
        "optimizer.name": "adam",
        "optimizer.lr": 2e-4,
        "schedule.name": "step",
        "schedule.milestones": (150,),
        "epochs": 300,
        "evaluation.distance": "global_local",
        "loss": {"name": "reid", "identity": 1, "triplet": 1, "local": 1, "margin": 0.3, "smoothing": 0.1},
    },
    "strong_baseline": {
        "data.size": (256, 128),
        "sampler.p": 16,
        "sampler.k": 4,
        "optimizer.name": "adam",
        "optimizer.lr": 3.5e-4,
        "schedule.name": "step",
        "schedule.milestones": (40, 70),
        "schedule.gamma": 0.1,
        "schedule.warmup_epochs": 10,
        "schedule.warmup_factor": 0.01,
        "epochs": 120,
        "augment": {"flip": 0.5, "pad": 10, "erase": 0.5},
        "loss": {"name": "reid", "identity": 1, "triplet": 1, "local": 0, "margin": 0.3, "smoothing": 0.1},
    },
    "dual_attention": {  # §III.C
        "data.size": (384, 128),
        "sampler.p": 8,
        "sampler.k": 4,
        "sampler.epoch_of": "images",
        "optimizer.name": "adam",
        "optimizer.lr": 3.5e-4,
        "optimizer.weight_decay": 0,
        "optimizer.backbone_lr_factor": 1,
        "schedule.name": "constant",
        "epochs": 500,
        "augment": {"degrees": 10, "translate": 0.1, "erase": 0.5},
        "loss": {"name": "reid", "identity": 1, "triplet": 1, "local": 0, "margin": 0.3, "smoothing": 0.1},
    },
    "aanet": {  # §3.5
        "data.size": (384, 128),
        "sampler.p": 32,
        "sampler.k": 1,
        "sampler.epoch_of": "images",
        "optimizer.name": "sgd",
        "optimizer.lr": 0.1,
        "optimizer.weight_decay": 5e-4,
        "optimizer.momentum": 0.9,
        "optimizer.backbone_lr_factor": 0.1,
        "optimizer.loss_lr_factor": 0.1,
        "schedule.name": "step",
        "schedule.milestones": (20,),
        "schedule.gamma": 0.1,
        "epochs": 40,
        "augment": {"flip": 0.5},
        "loss": {
            "name": "multitask",
            "tasks": ("global", "parts", "attributes", "attention"),
            "uncertainty": True,
            "max_weight": 5,
        },
    },
    "attention_driven": {  # §4.1
        "data.size": (384, 192),
        "parts.by": "pose",
        "parts.overlap": 1 / 10,
        "sampler.p": 32,
        "sampler.k": 1,
        "sampler.epoch_of": "images",
        "optimizer.name": "sgd",
        "optimizer.lr": 0.01,
        "optimizer.weight_decay": 5e-4,
        "optimizer.momentum": 0.9,
        "optimizer.backbone_lr_factor": 1,
        "schedule.name": "step",
        "schedule.milestones": (40, 80),
        "schedule.gamma": 0.1,
        "epochs": 100,
        "augment": {},
        "loss": {"name": "branches", "intra": 0.5, "inter": 1, "smoothing": 0},
    },
}


def value(config: Any, name: str) -> Any:
    """What stands at a dotted name; of an augmentation, the amounts that are not 0; of a loss, its every setting."""
    for part in name.split("."):
        config = getattr(config, part)
    if name == "augment":
        return {key: amount for key, amount in config.model_dump().items() if amount and not key.startswith("erase_")}
    return {k: v for k, v in config.model_dump().items() if k != "attributes" or v} if name == "loss" else config


@pytest.mark.parametrize(("recipe", "name"), [(r, name) for r, names in SETTINGS.items() for name in names])
def test_a_setting_is_the_papers(recipe: str, name: str) -> None:
    assert value(load_recipe(recipe), name) == SETTINGS[recipe][name]


@pytest.mark.parametrize("recipe", SETTINGS)
def test_a_recipe_is_the_models_whole_network(recipe: str) -> None:
    """What is left out of a recipe's options is the paper's by the model's own defaults."""
    config = load_recipe(recipe)
    assert (config.model.name, config.model.options, config.evaluation.flip_tta) == (recipe, {}, False)
    assert (config.precision, config.accumulate, config.evaluate_every) == ("no", 1, 0)


def test_batches_have_the_papers_size() -> None:
    sizes = {name: load_recipe(name).sampler.p * load_recipe(name).sampler.k for name in SETTINGS}
    assert sizes == {**dict.fromkeys(SETTINGS, 32), "strong_baseline": 64}


def test_erased_rectangles_are_zhongs_or_luos() -> None:
    """Zhong et al. fill with random colors; Luo et al.'s code fills with the mean."""
    filled = {name: load_recipe(name).augment.erase_fill for name in SETTINGS if load_recipe(name).augment.erase}
    assert filled == {"strong_baseline": "mean", "aap_reid": "random", "dual_attention": "random"}
    assert {load_recipe(name).augment.erase_aspect for name in filled} == {"uniform"}


def test_every_paper_is_here() -> None:
    assert set(SETTINGS) <= set(RECIPES)
