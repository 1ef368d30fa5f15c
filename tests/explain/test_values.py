"""The package explain holds values only: figures are drawn by passerby.figures."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import passerby.explain

PACKAGE = Path(passerby.explain.__file__).parent


def drawing_imports(source: str) -> list[str]:
    """Return the modules of matplotlib and of passerby.figures that a module imports, inside functions too."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return [name for name in found if name.startswith(("matplotlib", "passerby.figures"))]


def test_no_module_of_explain_draws() -> None:
    modules = sorted(PACKAGE.rglob("*.py"))
    assert len(modules) > 10
    drawn = {module.name: names for module in modules if (names := drawing_imports(module.read_text("utf-8")))}
    assert not drawn


@pytest.mark.parametrize(
    "source",
    [
        "import matplotlib as mpl",
        "from matplotlib.figure import Figure",
        "def f():\n    from passerby.figures.save import save_figure",
        "from passerby.figures import save",
    ],
)
def test_an_import_that_draws_is_found(source: str) -> None:
    assert drawing_imports(source)
