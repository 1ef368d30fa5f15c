"""Installed packages extend passerby by entry points, which are loaded when a registry is first used."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from passerby import plugins
from passerby.errors import ConfigError, UnknownNameError
from passerby.registry import Registry

PACKAGE = "registry_of_plugins"
Install = Callable[..., None]


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry[str]]:
    """A registry whose package has one entry, ``apple``."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / PACKAGE).mkdir()
    (tmp_path / PACKAGE / "__init__.py").write_text(
        f"from passerby.registry import Registry\nREGISTRY: Registry[str] = Registry('fruit', {PACKAGE!r})\n"
    )
    (tmp_path / PACKAGE / "built_in.py").write_text(
        f"from {PACKAGE} import REGISTRY\nREGISTRY.register('apple')('built in')\n"
    )
    monkeypatch.setattr(plugins, "_STARTED", set())
    plugins._installed.cache_clear()
    importlib.invalidate_caches()
    found: Registry[str] = importlib.import_module(PACKAGE).REGISTRY
    yield found
    plugins._installed.cache_clear()
    for name in [n for n in sys.modules if n.startswith((PACKAGE, "plugin_of_", "passerby_plugin_first"))]:
        del sys.modules[name]


@pytest.fixture
def install(tmp_path: Path) -> Install:
    """Install a package with one module, as pip would: the module, and its metadata beside it."""

    def make(name: str, code: str, target: str | None = None) -> None:
        (tmp_path / f"{name}.py").write_text(code)
        folder = tmp_path / f"{name}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(f"[passerby.plugins]\nmine = {target or name}\n")
        importlib.invalidate_caches()

    return make


def entry(name: str, value: str) -> str:
    return f"from {PACKAGE} import REGISTRY\nREGISTRY.register({name!r})({value!r})\n"


def test_an_installed_plugin_is_loaded_when_a_registry_is_first_used(registry: Registry[str], install: Install) -> None:
    install("plugin_of_plums", entry("plum", "installed"))
    assert "plugin_of_plums" not in sys.modules
    assert list(registry) == ["apple", "plum"]
    assert registry["plum"] == "installed"
    assert registry["apple"] == "built in"


def test_a_plugin_may_use_the_registries_itself(registry: Registry[str], install: Install) -> None:
    install("plugin_of_copies", f"{entry('copy', 'of')}KNOWN = sorted(REGISTRY)\n")
    assert list(registry) == ["apple", "copy"]
    assert sys.modules["plugin_of_copies"].KNOWN == ["apple", "copy"]


@pytest.mark.parametrize(
    ("code", "target", "message"),
    [
        ("import nothing_of_this_name", None, "ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        (entry("apple", "mine"), None, "ValueError: two entries of the fruit registry are called 'apple'"),
        ("raise SystemExit", None, "SystemExit"),
        ("", "plugin_of_faults:absent", "AttributeError"),
    ],
)
def test_a_plugin_that_fails_names_its_package_each_time(
    registry: Registry[str], install: Install, code: str, target: str | None, message: str
) -> None:
    install("plugin_of_faults", code, target)
    for _ in range(2):
        with pytest.raises(ConfigError, match=f"of the installed package 'plugin-of-faults' fails: {message}"):
            registry["apple"]


def test_a_plugin_that_comes_before_a_built_in_entry_is_named(registry: Registry[str], tmp_path: Path) -> None:
    (tmp_path / "first.py").write_text(entry("apple", "mine"))
    plugins.load_plugin(tmp_path / "first.py")
    with pytest.raises(ConfigError, match=r"the plugin .*first\.py fails: two entries of the fruit registry"):
        registry["apple"]


def test_without_plugins_there_is_only_what_is_built_in(registry: Registry[str]) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean apple"):
        registry["aple"]


def test_the_help_loads_no_plugin_and_a_command_does(install: Install, tmp_path: Path) -> None:
    install(
        "plugin_of_losses",
        "print('plugin is loaded')\n"
        "from passerby.models.registry import MODELS\n"
        "from passerby.models.strong_baseline import StrongBaseline\n"
        "MODELS.register('renamed_baseline')(StrongBaseline)\n",
    )

    def run(*arguments: str) -> str:
        code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from passerby.cli import main; main({arguments!r})"
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert "plugin is loaded" not in run("--help")
    assert "renamed_baseline" in run("models")
