"""The registry of recipes: a recipe is a typed function without arguments that returns a complete config."""

from __future__ import annotations

from collections.abc import Callable

from passerby.registry import Registry
from passerby.training.config import TrainConfig

RECIPES: Registry[Callable[[], TrainConfig]] = Registry("recipe", "passerby.recipes")
recipe = RECIPES.register


def load_recipe(name: str) -> TrainConfig:
    """Return the config of the recipe called ``name``.

    Raises:
        UnknownNameError: if there is none.
    """
    return RECIPES[name]()
