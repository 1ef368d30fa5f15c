"""The example of docs/extending.md, run with its test as they stand on the page."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from passerby.data.registry import DATASETS
from passerby.figures.registry import FIGURES
from passerby.models.registry import MODELS
from passerby.recipes.registry import RECIPES
from passerby.recipes.tables import PAPERS
from passerby.registry import Registry

PAGE = Path(__file__).resolve().parents[2] / "docs" / "extending.md"
SMALL = ("model.options.backbone=resnet18_half", "data.height=32", "data.width=16", "sampler.p=2", "sampler.k=2")
TINY = tuple(argument for setting in SMALL for argument in ("--set", setting))


@pytest.fixture
def _registries_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a plugin enters is gone afterwards."""
    registries: tuple[Registry[object], ...] = (MODELS, RECIPES, PAPERS, DATASETS, FIGURES)  # type: ignore[assignment]
    for registry in registries:
        monkeypatch.setattr(registry, "_entries", dict(registry._load()))
    monkeypatch.setattr("passerby.figures.registry._SUMMARIES", {})
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("passerby_plugin_"):
            del sys.modules[name]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """The page's Python, written to the files that it names."""
    found = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    for name, code in found:
        (tmp_path / name).write_text(code)
    return {name: tmp_path / name for name, _ in found}


@pytest.mark.usefixtures("_registries_as_before")
def test_a_fifth_paper_is_one_file_and_one_test(run, files: dict[str, Path], figures: Path, tmp_path: Path) -> None:
    assert sorted(files) == ["camera_counts.py", "gem_reid.py", "test_gem_reid.py"]
    plugin, trained = ("--plugin", files["gem_reid.py"]), tmp_path / "run"
    assert "gem_reid" not in run("models").out
    assert "gem_reid" in run(*plugin, "models").out

    data = ("--data", figures)
    done = run(*plugin, "train", "gem_reid", *data, "--run", trained, "--set", "epochs=1", *TINY)
    assert done.code == 0, done.err
    done = run(*plugin, "evaluate", trained, *data, "--json")
    assert json.loads(done.out) == json.loads((trained / "metrics.json").read_text())

    rows = ("reproduce", "gem_reid", "table1", *data, "--rows", "learned", "--epochs", "1", "--output", tmp_path)
    done = run(*plugin, *rows, *TINY)
    assert done.code == 0, done.err
    assert "75.00" in done.out
    assert (tmp_path / "gem_reid-table1" / "report.md").is_file()

    counts = ("--plugin", files["camera_counts.py"], "figures", "camera-counts")
    done = run(*plugin, *counts, trained, *data, "-o", tmp_path / "counts.png")
    assert done.code == 0, done.err
    assert (tmp_path / "counts.png").stat().st_size > 1000

    tests = runpy.run_path(str(files["test_gem_reid.py"]))
    called = [test() for name, test in tests.items() if name.startswith("test_")]
    assert len(called) == 2


@pytest.mark.usefixtures("_registries_as_before")
def test_plugins_may_be_named_by_the_environment(
    run, files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.py"
    other.write_text("from passerby.models.registry import MODELS\n")
    monkeypatch.setenv("PASSERBY_PLUGINS", f"{files['gem_reid.py']}:{other}")
    for _ in range(2):  # a process may run several commands
        done = run("reproduce", "gem_reid", "--list")
        assert (done.code, done.err) == (0, "")
        assert "    learned: GeM, p learned" in done.out
    assert {"passerby_plugin_gem_reid", "passerby_plugin_other"} <= set(sys.modules)


@pytest.mark.usefixtures("_registries_as_before")
def test_plugins_that_fail_are_one_line(run, tmp_path: Path) -> None:
    broken, twin = tmp_path / "broken.py", tmp_path / "twin.py"
    broken.write_text("import nothing_of_this_name")
    leaves = tmp_path / "leaves.py"
    leaves.write_text("raise SystemExit")
    (tmp_path / "deep").mkdir()
    for file in (twin, tmp_path / "deep" / "twin.py"):
        file.write_text("")
    for files, message in (
        ([tmp_path / "absent.py"], "is not a Python file"),
        ([tmp_path], "is not a Python file"),
        ([broken], "ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ([leaves], "leaves.py fails: SystemExit"),
        ([twin, tmp_path / "deep" / "twin.py"], "two plugins are called twin.py"),
    ):
        done = run(*(a for file in files for a in ("--plugin", file)), "models")
        assert done.code == 1
        assert message in done.err
        assert len(done.err.splitlines()) == 1
    assert "passerby_plugin_broken" not in sys.modules


def test_a_plugin_cannot_take_a_name_that_is_here(tmp_path: Path) -> None:
    """In a process of its own: in this one the models are known already."""
    twin = tmp_path / "twin.py"
    twin.write_text('from passerby.recipes.tables import PAPERS\n\nPAPERS.register("aanet")({})\n')
    command = [sys.executable, "-m", "passerby", "--plugin", str(twin), "reproduce", "--list"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(
        f"passerby: the plugin {twin} fails: two entries of the paper registry are called 'aanet'"
    )
    assert len(done.stderr.splitlines()) == 1
