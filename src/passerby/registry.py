"""Names that a person types in a shell, and what they stand for.

A registry finds the modules of its own package, so a new entry is one new file.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from passerby.errors import UnknownNameError

T = TypeVar("T")


class Registry(Generic[T]):
    """A map from names to values of one ``kind``, filled by ``@registry.register("name")`` in a package's modules.

    ``modules`` of other packages that register entries are imported with them, when the first name is looked up.
    """

    def __init__(self, kind: str, package: str, *modules: str) -> None:
        self.kind = kind
        self._package = package
        self._modules = modules
        self._entries: dict[str, T] = {}
        self._complete = False

    def register(self, name: str) -> Callable[[T], T]:
        """Enter the decorated object under ``name``; two entries of one name are a programming error."""

        def enter(value: T) -> T:
            if name in self._entries:
                raise ValueError(f"two entries of the {self.kind} registry are called {name!r}")
            self._entries[name] = value
            return value

        return enter

    def _load(self) -> dict[str, T]:
        if not self._complete:
            for module in pkgutil.iter_modules(importlib.import_module(self._package).__path__):
                importlib.import_module(f"{self._package}.{module.name}")
            for name in self._modules:
                importlib.import_module(name)
            self._complete = True
        return self._entries

    def __getitem__(self, name: str) -> T:
        """The entry; an unknown name raises :class:`UnknownNameError` with the nearest ones."""
        entries = self._load()
        if name not in entries:
            raise UnknownNameError(self.kind, name, entries)
        return entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._load()))
