"""A user's own files: running one enters its models, data sets, recipes and tables, beside those that are here.

``passerby --plugin FILE.py COMMAND …``, or ``PASSERBY_PLUGINS`` with one file or several; from Python it is enough to
import the file. What registers itself is known by its name from then on, in this process.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

from passerby.errors import ConfigError

_PREFIX = "passerby_plugin_"


def load_plugin(path: str | Path) -> ModuleType:
    """Run a file once; asked for again, it is the same module.

    Raises:
        ConfigError: if it is no Python file, or running it fails, or another plugin has its name.
    """
    file = Path(path).expanduser().resolve()
    if file.suffix != ".py" or not file.is_file():
        raise ConfigError(f"{file} is not a Python file; a plugin is one .py that registers models, recipes or tables")
    name = _PREFIX + re.sub(r"\W", "_", file.stem)
    known = sys.modules.get(name)
    if known is not None:
        if known.__file__ != str(file):
            raise ConfigError(f"two plugins are called {file.name}: {known.__file__} and {file}; rename one")
        return known
    return _run(name, file)


def _run(name: str, file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles look their module up
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise ConfigError(f"the plugin {file} fails: {type(error).__name__}: {error}; --debug shows where") from error
    return module
