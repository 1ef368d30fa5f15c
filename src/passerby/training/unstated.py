"""The settings that papers do not print (†): each recipe lists its own, and reports mark them."""

from __future__ import annotations

from collections.abc import Mapping

from passerby.registry import Registry

MARK = "†"
VARIANT = "@"
"""The sign between the names of a recipe and of its variant."""
UNSTATED: Registry[Mapping[str, str]] = Registry("list of unstated settings", "passerby.recipes")
"""The unstated settings of each recipe: dotted name → what the paper says, or that it says nothing.

A name that is no setting is that of a Python object of this package, which holds the value.
"""


def base_recipe(name: str) -> str:
    """Return the recipe that a variant changes; of another recipe, its own name.

    >>> base_recipe("aap_reid@authors"), base_recipe("aap_reid")
    ('aap_reid', 'aap_reid')
    """
    return name.partition(VARIANT)[0]


def unstated(recipe: str) -> dict[str, str]:
    """Return the settings of a recipe that its paper does not print, with what the paper says instead.

    A variant adds its own to those of its base. A recipe without a list, such as a plugin's, has none.
    """
    known = set(UNSTATED)
    names = dict.fromkeys([base_recipe(recipe), recipe])
    return {key: why for each in names if each in known for key, why in UNSTATED[each].items()}
