"""What the papers do not print (†): the lists, the recipes' docstrings and the reports say the same."""

from __future__ import annotations

import inspect
import re

import pytest

from passerby.recipes.conditions import flatten, value_of
from passerby.recipes.registry import RECIPES, load_recipe
from passerby.training.unstated import MARK, UNSTATED, base_recipe, unstated

PAPERS = ("aap_reid", "dual_attention", "aanet", "attention_driven")
OPEN = {
    "aap_reid": [
        "loss.margin", "model.backbone_weights", "loss.identity", "loss.triplet", "loss.local", "loss.smoothing",
        "passerby.models.attention.cwa.REDUCTION", "augment.flip", "augment.erase", "evaluation.distance", "sampler.p",
        "schedule.gamma",
    ],
    "dual_attention": [
        "passerby.models.attention.self_attention.START", "passerby.models.attention.se.REDUCTION",
        "model.options.last_stride", "evaluation.normalize", "evaluation.distance", "optimizer.weight_decay",
        "schedule.name", "augment.degrees", "augment.translate", "augment.erase", "loss.smoothing", "sampler.p",
    ],
    "aanet": ["optimizer.momentum", "optimizer.weight_decay", "evaluation.normalize", "sampler.k"],
    "attention_driven": [
        "optimizer.momentum", "optimizer.weight_decay", "evaluation.normalize", "evaluation.distance", "sampler.k",
        "model.options.same_weight", "model.options.normalized_attention", "model.options.own_statistics",
    ],
    "attention_driven_imagenet": [
        "optimizer.momentum", "optimizer.weight_decay", "parts.by", "loss.intra", "model.options.normalized_attention",
    ],
}  # fmt: skip
"""What each paper is known to leave open, read from the paper: a list without one of these is incomplete."""


def marked(recipe: str) -> set[str]:
    """The names that a recipe's docstring marks."""
    return set(re.findall(rf"``([\w.]+)``\s+{MARK}", inspect.getdoc(RECIPES[recipe]) or ""))


def test_every_paper_has_a_list() -> None:
    assert {base_recipe(name) for name in UNSTATED} == {*PAPERS, "attention_driven_imagenet"}
    assert set(UNSTATED) <= set(RECIPES)


@pytest.mark.parametrize("recipe", list(UNSTATED))
def test_the_docstring_marks_what_the_list_names(recipe: str) -> None:
    assert marked(recipe) == set(UNSTATED[recipe])


@pytest.mark.parametrize("recipe", list(UNSTATED))
def test_every_name_of_a_list_has_a_value_and_a_reason(recipe: str) -> None:
    config = load_recipe(recipe)
    for name, why in unstated(recipe).items():
        assert why.startswith(("not ", "only ", "the paper has ")), (name, why)
        if name != "model.backbone_weights":
            assert value_of(config, name) is not None, name
        known = name.startswith(("model.options.", "passerby.")) or name in flatten(config)
        assert known, name


@pytest.mark.parametrize("recipe", OPEN)
def test_what_is_known_to_be_open_is_in_the_list(recipe: str) -> None:
    assert set(OPEN[recipe]) <= set(UNSTATED[recipe])


def test_values_are_those_that_decide() -> None:
    aap, dual = load_recipe("aap_reid"), load_recipe("dual_attention")
    assert value_of(aap, "passerby.models.attention.cwa.REDUCTION") == 16
    assert value_of(aap, "model.options.attention_position") == "post_bn"
    assert value_of(load_recipe("aap_reid@authors"), "model.options.attention_position") == "pre_bn"
    assert value_of(dual, "passerby.models.attention.self_attention.START") == 0
    assert value_of(dual, "evaluation.normalize") is True
    assert value_of(load_recipe("aanet"), "evaluation.normalize") is False
