"""The names of the recipes, read from the text of their modules, as importing them takes seconds.

With them a mistyped name is an error at once. Recipes of plugins are not among them.
"""

from __future__ import annotations

import re
from pathlib import Path

_RECIPE = re.compile(r'^@recipe\("([^"]+)"\)', re.MULTILINE)
_VARIANT = re.compile(r'^@variant\("([^"]+)", "([^"]+)"\)', re.MULTILINE)


def declared_recipes() -> tuple[str, ...]:
    """Return the names that the modules of :mod:`passerby.recipes` register, sorted."""
    import passerby.recipes  # the package alone, which imports nothing

    texts = [file.read_text(encoding="utf-8") for file in sorted(Path(passerby.recipes.__path__[0]).glob("*.py"))]
    recipes = [name for text in texts for name in _RECIPE.findall(text)]
    variants = [f"{base}@{name}" for text in texts for base, name in _VARIANT.findall(text)]
    return tuple(sorted({*recipes, *variants}))
