"""The registry of recipes: a recipe is a typed function without arguments that returns a complete config.

A variant of a recipe, ``RECIPE@VARIANT``, is a recipe whose function returns only what it changes. What a paper leaves
open, and a recipe therefore chose, is listed by :func:`unstated`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from passerby.config import with_overrides
from passerby.registry import Registry
from passerby.training.config import TrainConfig

VARIANT = "@"
"""The sign between the names of a recipe and of its variant."""
RECIPES: Registry[Callable[[], TrainConfig]] = Registry("recipe", "passerby.recipes")
UNSTATED: Registry[Mapping[str, str]] = Registry("list of unstated settings", "passerby.recipes")
"""The settings of recipes that their papers do not print (†): dotted name → what the paper says, or does not.

A name that is no setting is that of a Python object of this package, which holds the value.
"""
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


def base_recipe(name: str) -> str:
    """Return the recipe that a variant changes; of another recipe, its own name.

    >>> base_recipe("aap_reid@authors"), base_recipe("aap_reid")
    ('aap_reid', 'aap_reid')
    """
    return name.partition(VARIANT)[0]


def unstated(name: str) -> dict[str, str]:
    """Return the settings of a recipe that its paper does not print, with what the paper says instead.

    A variant adds its own to those of its base. A recipe without a list, such as a plugin's, has none.
    """
    known = set(UNSTATED)
    names = dict.fromkeys([base_recipe(name), name])
    return {key: why for each in names if each in known for key, why in UNSTATED[each].items()}
