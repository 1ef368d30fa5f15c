"""The registry of recipes: a recipe is a typed function without arguments that returns a complete config.

A variant of a recipe, ``RECIPE@VARIANT``, is a recipe whose function returns only what it changes. What a paper leaves
open, and a recipe therefore chose, is listed in :data:`passerby.training.unstated.UNSTATED`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from passerby.config import with_overrides
from passerby.registry import Registry
from passerby.training.config import TrainConfig
from passerby.training.unstated import VARIANT

RECIPES: Registry[Callable[[], TrainConfig]] = Registry("recipe", "passerby.recipes")
recipe = RECIPES.register
Changes = Callable[[], Mapping[str, Any]]


def variant(base: str, name: str) -> Callable[[Changes], Changes]:
    """Register a function that returns changes to the recipe ``base`` as the recipe ``base@name``."""
    full = f"{base}{VARIANT}{name}"

    def enter(changes: Changes) -> Changes:
        @wraps(changes)
        def build() -> TrainConfig:
            return with_overrides(load_recipe(base), {"recipe": full, **changes()})

        RECIPES.register(full)(build)
        return changes

    return enter


def load_recipe(name: str) -> TrainConfig:
    """Return the config of the recipe called ``name``.

    Raises:
        UnknownNameError: if there is none.
    """
    return RECIPES[name]()
