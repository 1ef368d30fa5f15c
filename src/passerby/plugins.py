"""Plugins: a user's own code, which registers models, datasets, losses, recipes and tables beside the built-in ones.

A plugin is a file, ``passerby --plugin FILE.py COMMAND …`` (or ``PASSERBY_PLUGINS`` with one file or several; in Python
it is enough to import it), or an installed package that names a module in its ``pyproject.toml``::

    [project.entry-points."passerby.plugins"]
    mine = "my_package.passerby_plugin"

Installed plugins are imported when a registry is first used.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from passerby.errors import ConfigError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "passerby.plugins"
"""The group of entry points in which installed packages name their plugins."""
_PREFIX = "passerby_plugin_"
_STARTED: set[EntryPoint] = set()
_RUNNING: list[str] = []


def load_plugin(path: str | Path) -> ModuleType:
    """Run a plugin file once; a second call returns the same module.

    Raises:
        ConfigError: if it is not a Python file, if running it fails, or if another plugin has its name.
    """
    file = Path(path).expanduser().resolve()
    if file.suffix != ".py" or not file.is_file():
        raise ConfigError(f"{file} is not a Python file. Fix: give a .py that registers models, recipes or tables")
    name = _PREFIX + re.sub(r"\W", "_", file.stem)
    known = sys.modules.get(name)
    if known is not None:
        if known.__file__ != str(file):
            raise ConfigError(f"two plugins are called {file.name}: {known.__file__} and {file}. Fix: rename one")
        return known
    with _running(str(file), "--debug shows where"):
        return _run(name, file)


def _run(name: str, file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles look their module up
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def load_installed_plugins() -> None:
    """Import the plugins of installed packages, each once.

    Raises:
        ConfigError: if importing one fails.
    """
    for entry in _installed():
        if entry in _STARTED:  # loaded, or being loaded: a plugin may use the registries itself
            continue
        package = entry.dist.name if entry.dist else "unknown"
        fix = f"Fix: pip install --upgrade {package}, or pip uninstall {package}; --debug shows where"
        _STARTED.add(entry)
        try:
            with _running(f"{entry.value!r} of the installed package {package!r}", fix):
                entry.load()
        except ConfigError:
            _STARTED.discard(entry)
            raise


def has_plugins() -> bool:
    """Return whether any plugin was loaded, or is installed: what they register is known once they are imported."""
    return any(name.startswith(_PREFIX) for name in sys.modules) or bool(_installed())


@cache
def _installed() -> tuple[EntryPoint, ...]:
    from importlib.metadata import entry_points  # 20 ms, which only a use of a registry costs

    return tuple(sorted(entry_points(group=GROUP), key=lambda entry: (entry.value, entry.name)))


def running_plugin() -> str | None:
    """Return the plugin that is being loaded, in words for an error; ``None`` if none is."""
    return _RUNNING[-1] if _RUNNING else None


@contextmanager
def _running(plugin: str, fix: str) -> Iterator[None]:
    _RUNNING.append(plugin)
    try:
        yield
    except (Exception, SystemExit) as error:
        raise ConfigError(f"the plugin {plugin} fails: {type(error).__name__}: {error}; {fix}") from error
    finally:
        _RUNNING.pop()
