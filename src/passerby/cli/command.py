"""The class of all commands, which decides how options are parsed and described."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperOption

from passerby.compat import former_options
from passerby.errors import ConfigError


class Command(TyperCommand):
    """A command that accepts former option names and states defaults in its help texts."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for option in self.params:
            if isinstance(option, TyperOption):
                _state_default(option)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse ``args`` after replacing former option names."""
        known = {name for option in self.params for name in (*option.opts, *option.secondary_opts)}
        current = list(_current(args, known, former_options(self.name)))
        self._check_given_once(ctx, current)
        return super().parse_args(ctx, current)

    def _check_given_once(self, ctx: Any, args: Sequence[str]) -> None:
        """Check that no option of a single value is repeated, since only its last value would count.

        Raises:
            ConfigError: if one is.
        """
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        given = Counter(option.name for option in order)
        for option in self.params:
            times = given[option.name] if isinstance(option, TyperOption) and _has_one_value(option) else 0
            if times > 1:
                raise ConfigError(
                    f"{_longest(option.opts)} is given {times} times, but has one value. Fix: give it once"
                )


def _has_one_value(option: TyperOption) -> bool:
    """Return whether an option takes one value, or switches something on or off; a plain flag may be repeated."""
    return not (option.multiple or option.count or (option.is_flag and not option.secondary_opts))


def _longest(names: Sequence[str]) -> str:
    return max(names, key=len)


def _current(args: Sequence[str], known: set[str], former: Mapping[str, str]) -> Iterator[str]:
    """Yield ``args`` with the former names of known options replaced, and warn once about each."""
    warned: set[str] = set()
    for place, arg in enumerate(args):
        if arg == "--":
            yield from args[place:]
            return
        name, equals, value = arg.partition("=")
        new = former.get(name)
        if new is None or name in known or new not in known:
            yield arg
            continue
        if name not in warned:
            warned.add(name)
            typer.echo(f"passerby: {name} is now {new}; the former name will not be accepted much longer", err=True)
        yield f"{new}{equals}{value}"


def _state_default(option: TyperOption) -> None:
    """Write the default into the help text, in parentheses, unless the text has it or there is none."""
    option.show_default = False
    if option.default is None or option.default is False or option.help is None or "(default" in option.help:
        return
    option.help = f"{option.help.rstrip('.')} (default {option.default})."
