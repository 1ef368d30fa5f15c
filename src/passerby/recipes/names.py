"""The names of the recipes here, read from the text of their modules, as importing them takes seconds.

With them a mistyped name is an error at once. Recipes of plugins are not among them.
"""

from __future__ import annotations

import re
from pathlib import Path

_RECIPE = re.compile(r'^@recipe\("([^"]+)"\)', re.MULTILINE)
_VARIANT = re.compile(r'^@variant\("([^"]+)", "([^"]+)"\)', re.MULTILINE)
POSE = "pose"
"""The recipe of the pose network, which has a registry entry of no model."""


def declared_recipes() -> tuple[str, ...]:
    """Return the names that the modules beside this one register, sorted."""
    texts = [file.read_text(encoding="utf-8") for file in sorted(Path(__file__).parent.glob("*.py"))]
    recipes = [name for text in texts for name in _RECIPE.findall(text)]
    variants = [f"{base}@{name}" for text in texts for base, name in _VARIANT.findall(text)]
    return tuple(sorted({*recipes, *variants}))
