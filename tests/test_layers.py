"""The packages import only downwards. The imports are read from the source, so those inside functions count too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "passerby"

ROOT = "passerby"
LAYERS: tuple[frozenset[str], ...] = tuple(
    frozenset(layer.split())
    for layer in (
        "errors limits",
        "compat interrupts progress",
        "plugins",
        "types files config registry",
        "data retrieval weights",
        "synthetic losses models metrics",
        "inference",
        "evaluation gallery export",
        "training explain",
        "figures",
        "report recipes",
        ROOT,  # the flat public names: whoever imports them imports everything above
        "server scale",
        "cli",
        "__main__",
    )
)
"""Names of one layer do not import each other."""
UPWARDS = {("inference/model.py", "evaluation")}
"""The one import upwards, inside a function: ``model.evaluate(dataset)`` is where users look for it, while evaluation,
which takes a ``Model``, stays a floor above. Loading a model therefore loads no evaluation."""
DEPTH = {name: depth for depth, layer in enumerate(LAYERS) for name in layer}
LONGEST_MODULE = 500


def modules(package: Path) -> list[Path]:
    return sorted(package.rglob("*.py"))


def layer_of(package: Path, module: Path) -> str:
    """The first name below the package: ``models/backbones/resnet.py`` is of ``models``."""
    parts = module.relative_to(package).with_suffix("").parts
    return ROOT if parts == ("__init__",) else parts[0]


def absolute(node: ast.ImportFrom, package: Path, module: Path) -> str:
    """The dotted module that ``from … import`` names, relative ones resolved."""
    if not node.level:
        return node.module or ""
    parents = [ROOT, *module.relative_to(package).parent.parts]
    return ".".join(parents[: len(parents) - node.level + 1] + ([node.module] if node.module else []))


def imports(package: Path, module: Path) -> Iterator[tuple[int, str]]:
    """Line and imported layer of every import of the package in a module."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            source = absolute(node, package, module)
            targets = [f"{source}.{alias.name}" for alias in node.names]
        else:
            continue
        for target in targets:
            top, *rest = target.split(".")
            if top == ROOT:
                is_module = bool(rest) and (rest[0] in DEPTH or (package / rest[0]).is_dir())
                yield node.lineno, rest[0] if is_module or len(rest) > 1 else ROOT


def violations(package: Path) -> list[str]:
    """Each import against the order, in words."""
    found = []
    for module in modules(package):
        importer = layer_of(package, module)
        where = module.relative_to(package).as_posix()
        if importer not in DEPTH:
            found.append(f"{where}: {importer!r} has no place in LAYERS of tests/test_layers.py")
            continue
        if importer == ROOT:  # it gathers the public names; tests of the public API guard it
            continue
        for line, imported in imports(package, module):
            allowed = imported == importer or (where, imported) in UPWARDS
            if not allowed and not DEPTH.get(imported, len(LAYERS)) < DEPTH[importer]:
                found.append(f"{where}:{line}: {importer} must not import {imported}")
    return found


def test_every_import_points_downwards() -> None:
    found = violations(PACKAGE)
    assert not found, "imports against the layers:\n  " + "\n  ".join(found)


def test_the_walk_sees_the_package() -> None:
    seen = {(layer_of(PACKAGE, m), imported) for m in modules(PACKAGE) for _, imported in imports(PACKAGE, m)}
    assert {("types", "errors"), ("registry", "errors"), ("data", "registry")} <= seen


def test_there_is_no_utils() -> None:
    banned = {"util", "utils", "helpers", "common", "misc"}
    names = [p.relative_to(PACKAGE).as_posix() for p in PACKAGE.rglob("*") if p.stem.strip("_") in banned]
    assert not names, f"say what it does instead of {names}"


def test_no_module_is_too_long() -> None:
    lengths = {m.relative_to(PACKAGE).as_posix(): len(m.read_text("utf-8").splitlines()) for m in modules(PACKAGE)}
    long = {name: length for name, length in lengths.items() if length >= LONGEST_MODULE}
    assert not long, f"split these modules: {long}"


@pytest.mark.parametrize(
    ("module", "source", "imported"),
    [
        pytest.param("data/a.py", "import passerby.models", "models", id="upwards"),
        pytest.param("data/a.py", "import torch, passerby.cli.main as main", "cli", id="second name, renamed"),
        pytest.param("data/a.py", "from passerby import models", "models", id="from the root"),
        pytest.param("data/a.py", "from passerby import create_model", ROOT, id="public name"),
        pytest.param("data/a.py", "import passerby", ROOT, id="root"),
        pytest.param(
            "data/a.py", "def f():\n    from passerby.training.loop import fit", "training", id="in a function"
        ),
        pytest.param(
            "losses/a.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from passerby.models.card import ModelCard",
            "models",
            id="for types only",
        ),
        pytest.param("models/backbones/a.py", "from ...metrics import functional", "metrics", id="relative, sideways"),
        pytest.param("data/a.py", "from .. import evaluation", "evaluation", id="relative, root"),
        pytest.param("data/__init__.py", "from ..retrieval import rank", "retrieval", id="relative, in __init__"),
        pytest.param("registry.py", "from passerby.types import Sample", "types", id="sideways, modules"),
        pytest.param("gallery/a.py", "from passerby.recipes import aap", "recipes", id="sideways"),
        pytest.param("data/a.py", "from passerby.utils import helper", "utils", id="nowhere in the order"),
    ],
)
def test_a_planted_violation_is_found(tmp_path: Path, module: str, source: str, imported: str) -> None:
    file = tmp_path / module
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(source, encoding="utf-8")
    line = len(source.splitlines())
    assert violations(tmp_path) == [
        f"{module}:{line}: {module.split('/')[0].removesuffix('.py')} must not import {imported}"
    ]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        pytest.param("models/a.py", "from passerby.retrieval import dmli\nfrom passerby import types", id="downwards"),
        pytest.param("models/backbones/a.py", "from ..card import ModelCard\nfrom . import resnet", id="own package"),
        pytest.param("data/a.py", "import passerby_extras\nfrom torch import nn\nfrom numpy import cli", id="others"),
        pytest.param("cli/a.py", "import passerby\nfrom passerby.server import app", id="the last may all"),
        pytest.param("__init__.py", "from passerby.gallery import Gallery", id="public names"),
    ],
)
def test_lawful_imports_pass(tmp_path: Path, module: str, source: str) -> None:
    file = tmp_path / module
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(source, encoding="utf-8")
    assert violations(tmp_path) == []


def test_a_package_without_a_layer_is_found(tmp_path: Path) -> None:
    (tmp_path / "toolbox.py").write_text("", encoding="utf-8")
    assert violations(tmp_path) == ["toolbox.py: 'toolbox' has no place in LAYERS of tests/test_layers.py"]
