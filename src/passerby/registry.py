"""Names that a user types in a shell; a registry finds the modules of its own package, so a new entry is one file."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from passerby.errors import ConfigError, UnknownNameError
from passerby.plugins import load_installed_plugins, running_plugin

T = TypeVar("T")


class Registry(Generic[T]):
    """A map from names to values of one ``kind``, filled by ``@registry.register("name")`` in a package's modules.

    They are imported when a name is first looked up, with ``modules`` of other packages and installed plugins.
    """

    def __init__(self, kind: str, package: str, *modules: str) -> None:
        self.kind, self._package, self._modules = kind, package, modules
        self._entries: dict[str, T] = {}
        self._plugin_of: dict[str, str | None] = {}
        self._complete = False

    def register(self, name: str) -> Callable[[T], T]:
        """Register the decorated object as ``name``; a name that is taken is a programming error."""

        def enter(value: T) -> T:
            if name in self._entries:
                problem = f"two entries of the {self.kind} registry are called {name!r}"
                plugin = self._plugin_of[name]
                raise ConfigError(f"the plugin {plugin} fails: {problem}") if plugin else ValueError(problem)
            self._entries[name], self._plugin_of[name] = value, running_plugin()
            return value

        return enter

    def _load(self) -> dict[str, T]:
        if not self._complete:
            for module in pkgutil.iter_modules(importlib.import_module(self._package).__path__):
                importlib.import_module(f"{self._package}.{module.name}")
            for name in self._modules:
                importlib.import_module(name)
            self._complete = True
        load_installed_plugins()
        return self._entries

    def __getitem__(self, name: str) -> T:
        """Return the entry; an unknown name raises :class:`UnknownNameError` with the nearest ones."""
        if name not in self._load():
            raise UnknownNameError(self.kind, name, self)
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._load()))
