"""The shape of the package: no import cycles, and a folder holds few files or files of one kind."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "passerby"
WIDEST = 15
ONE_KIND = {
    "figures": "one figure a file",
    "report/sections": "one section a file",
    "cli/commands": "one command a file",
}
"""Folders that may hold more files than that, and of which kind they are."""
UPWARDS = {("inference.model", "evaluation.evaluate")}
"""Imports inside a function that reach up on purpose: the facade offers what is built on it."""

Graph = dict[str, set[str]]


def name_of(package: Path, module: Path) -> str:
    """Return a module's dotted name below the package; a folder's ``__init__`` is the folder."""
    parts = module.relative_to(package).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(node: ast.AST, known: set[str]) -> Iterator[str]:
    """Yield the modules of the package that an import statement names."""
    if isinstance(node, ast.Import):
        targets = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.module:
        targets = [f"{node.module}.{alias.name}" for alias in node.names]
    else:
        return
    for target in targets:
        below = target.removeprefix("passerby.")
        if target.startswith("passerby."):
            yield below if below in known else below.rpartition(".")[0]


def graph(package: Path) -> Graph:
    """Return which modules each module imports, anywhere in its text, types included."""
    modules = {name_of(package, path): path for path in package.rglob("*.py")}
    edges: Graph = {name: set() for name in modules}
    for name, path in modules.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            edges[name] |= {other for other in imported(node, set(modules)) if other in modules and other != name}
        edges[name] -= {other for importer, other in UPWARDS if importer == name}
    return edges


def cycles(edges: Graph) -> list[list[str]]:
    """Return the groups of modules that reach each other (Tarjan's strongly connected components of two or more)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        order[name] = low[name] = len(order)
        stack.append(name)
        for other in sorted(edges[name]):
            if other not in order:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], order[other])
        if low[name] == order[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                found.append(sorted(group))

    for name in sorted(edges):
        if name not in order:
            visit(name)
    return found


def test_there_are_no_cycles() -> None:
    found = cycles(graph(PACKAGE))
    assert not found, f"modules that import each other: {found}"


def test_a_planted_cycle_is_found(tmp_path: Path) -> None:
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "a.py").write_text("def f():\n    from passerby.room import b\n", encoding="utf-8")
    (tmp_path / "room" / "b.py").write_text("from passerby.room.a import f\n", encoding="utf-8")
    (tmp_path / "c.py").write_text("from passerby.room.a import f\n", encoding="utf-8")
    assert cycles(graph(tmp_path)) == [["room.a", "room.b"]]


@pytest.mark.parametrize("folder", sorted({path.parent for path in PACKAGE.rglob("*.py")}), ids=lambda path: path.name)
def test_folders_are_not_crowded(folder: Path) -> None:
    files = [path.name for path in folder.glob("*.py") if path.name != "__init__.py"]
    place = folder.relative_to(PACKAGE).as_posix()
    assert len(files) <= WIDEST or place in ONE_KIND, f"{place} holds {len(files)} files: give them rooms"


def test_every_folder_says_what_it_holds() -> None:
    bare = [
        folder.relative_to(PACKAGE).as_posix()
        for folder in sorted({path.parent for path in PACKAGE.rglob("*.py")})
        if not ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
    ]
    assert not bare, f"no docstring in the __init__.py of {bare}"
