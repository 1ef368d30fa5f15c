"""The steps that recipes state as their cost are those that they take on Market-1501."""

from __future__ import annotations

import re

import pytest

from passerby.data.sampler import create_sampler
from passerby.recipes.registry import RECIPES, load_recipe

PAPERS = ("aap_reid", "aligned_reid", "aanet", "attention_driven", "dual_attention", "strong_baseline")


def cost(name: str) -> tuple[int, int] | None:
    """Return the steps, and images per step, that a recipe's docstring states."""
    found = re.search(r"Cost: ([\d,]+) steps of (\d+) images", RECIPES[name].__doc__ or "")
    return (int(found[1].replace(",", "")), int(found[2])) if found else None


@pytest.mark.parametrize("name", PAPERS)
def test_every_recipe_states_its_cost(name: str) -> None:
    assert cost(name)


@pytest.mark.parametrize("name", sorted(name for name in RECIPES if cost(name)))
def test_the_cost_is_what_the_sampler_gives_on_market(name: str, market_labels: list[int]) -> None:
    config = load_recipe(name)
    sampler = create_sampler(market_labels, **config.sampler.model_dump(), seed=0)
    assert cost(name) == (len(sampler) * config.epochs, config.sampler.p * config.sampler.k)
