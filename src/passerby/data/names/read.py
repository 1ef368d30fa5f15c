"""The facts that the names of many images tell, and in words what was understood of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from passerby.data.names.cameras import cameras_in
from passerby.data.names.moments import moment_in
from passerby.data.names.pattern import NameFacts, NamePattern
from passerby.data.source import IMAGE_SUFFIXES
from passerby.errors import ConfigError

_NOTHING = NameFacts()


@dataclass(frozen=True)
class NamesRead:
    """The facts of names, in order, with what could not be understood."""

    facts: tuple[NameFacts, ...]
    unmatched: tuple[str, ...] = ()
    """The names that do not match the user's pattern."""
    contradictory: tuple[str, ...] = ()
    """The names that tell several cameras."""


def read_names(names: Sequence[str], pattern: NamePattern | None = None, *, lenient: bool = False) -> NamesRead:
    """Return what names with their folders tell; a pattern decides alone about the fields that it has.

    Args:
        lenient: whether to count what is an error otherwise among the names that do not match.

    Raises:
        ConfigError: if no name matches the pattern, or what it takes for a number is none.
    """
    unmatched, contradictory, found = [], [], []
    fields = () if pattern is None else pattern.fields
    for name in names:
        cameras = cameras_in(_stem(name)) if "camera" not in fields else set()
        if len(cameras) > 1:
            contradictory.append(name)
        camera = cameras.pop() if len(cameras) == 1 else None
        taken = moment_in(_stem(name)) if "date" not in fields else None
        matched = None if pattern is None else _matched(pattern, name, lenient=lenient)
        if pattern is not None and matched is None:
            unmatched.append(name)
        found.append(_joined(matched, camera, taken))
    if pattern is not None and not lenient and names and len(unmatched) == len(names):
        raise ConfigError(
            f"the name pattern {pattern.text!r} matches none of {len(names):,} names, for example {names[0]!r}. "
            "Fix: write it for such names, with * for what is of no interest, also at the end"
        )
    return NamesRead(tuple(found), tuple(unmatched), tuple(contradictory))


def ranges(numbers: Iterable[int]) -> str:
    """Return numbers as a short text.

    >>> ranges({1, 2, 3, 7, 9, 10})
    '1–3, 7, 9, 10'
    """
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    parts = [f"{run[0]}–{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs]
    return ", ".join(parts)


def _matched(pattern: NamePattern, name: str, *, lenient: bool) -> NameFacts | None:
    try:
        return pattern.match(name)
    except ConfigError:
        if lenient:
            return None
        raise


def _joined(matched: NameFacts | None, camera: int | None, taken: int | None) -> NameFacts:
    if matched is None:
        return _NOTHING if camera is None and taken is None else NameFacts(camera=camera, taken=taken)
    return NameFacts(
        camera=camera if matched.camera is None else matched.camera,
        person=matched.person,
        taken=taken if matched.taken is None else matched.taken,
        frame=matched.frame,
    )


def _stem(name: str) -> str:
    base, dot, suffix = name.rpartition(".")
    return base if dot and f".{suffix.lower()}" in IMAGE_SUFFIXES else name
