"""A pattern of names that a user gives: ``{camera}/{date}_{time}``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from passerby.data.names.cameras import number_in, word_in
from passerby.data.names.moments import CLOCK, moment_of
from passerby.errors import ConfigError

_NUMBER = r"(?:[^\W\d_]+[ _-]?)?\d{1,18}"
FIELDS = {
    "camera": _NUMBER,
    "person": _NUMBER,
    "date": r"\d{4}[-._]?\d{2}[-._]?\d{2}",
    "time": rf"{CLOCK}(?:Z|\+\d{{2}}:?\d{{2}}|-\d{{2}}:\d{{2}})?",
    "frame": _NUMBER,
}
"""The fields, each with what it stands for."""
_NUMBERED = ("camera", "person", "frame")
_BEFORE_NUMBER = r"(?<![^\W_])(?:(?!\d)|(?<![^\W\d_][ _-]))"
"""The end of what is of no interest before a number: it takes neither its digits nor its word."""
_APART = {
    "camera": "add the images of each camera by themselves with --camera-id N",
    "person": "rename them, so that each person has another number",
}
"""The fields of which one number is never of two things, each with what to do where names say otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NameFacts:
    """The facts that a name tells; ``None`` for those that it does not."""

    camera: int | None = None
    person: int | None = None
    taken: int | None = None
    """The moment, in milliseconds of Unix time."""
    frame: int | None = None


class NamePattern:
    """A pattern of the end of names, from a folder on, without their suffix.

    It remembers the words before the numbers of cameras and persons: ``entrance1`` and ``exit1`` are not both camera 1.

    Args:
        text: fields in braces (:data:`FIELDS`), ``*`` for anything within one name, and characters for themselves.

    Raises:
        ConfigError: if it has unknown or repeated fields, none, a time without a date, or single braces.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        pieces = re.split(r"(\{[^{}]*\}|\*+)", text)
        self.fields = tuple(piece[1:-1] for piece in pieces if piece.startswith("{") and piece.endswith("}"))
        self._check([piece for piece in pieces if not (piece.startswith("{") and piece.endswith("}"))])
        self._words: dict[tuple[str, int], tuple[str, str]] = {}
        self._exact, self._loose = (_compiled(pieces, loose=loose) for loose in (False, True))

    def match(self, name: str) -> NameFacts | None:
        """Return what a name with its folders tells; ``None`` if it does not match.

        Raises:
            ConfigError: if it would match, but a camera, person or frame is no number; or a number was another camera
                or person in a name before.
        """
        found = self._exact.fullmatch(name)
        if found is None:
            self._check_numbers(name)
            return None
        texts = found.groupdict()
        taken = moment_of(texts["date"], texts.get("time"), _after_time(found)) if "date" in texts else None
        if "date" in texts and taken is None:
            return None
        self._check_words(texts, name)
        numbers = {field: number_in(texts[field]) for field in _NUMBERED if field in texts}
        return NameFacts(**numbers, taken=taken)

    def _check(self, others: list[str]) -> None:
        known = ", ".join(f"{{{field}}}" for field in FIELDS)
        if wrong := [field for field in self.fields if field not in FIELDS]:
            raise ConfigError(
                f"the name pattern {self.text!r} has an unknown field: got {{{wrong[0]}}}, expected {known} or * for "
                "anything. Fix: use these"
            )
        if any("{" in other or "}" in other for other in others):
            raise ConfigError(f"the name pattern {self.text!r} has a single brace. Fix: write fields as {known}")
        if not self.fields:
            raise ConfigError(f"the name pattern {self.text!r} has no field: expected one of {known}. Fix: add it")
        if twice := [field for field in self.fields if self.fields.count(field) > 1]:
            raise ConfigError(
                f"the name pattern {self.text!r} has {{{twice[0]}}} twice. Fix: leave one, and write * for the other"
            )
        if "time" in self.fields and "date" not in self.fields:
            raise ConfigError(
                f"the name pattern {self.text!r} has a time of no date. Fix: add {{date}}, or write * for {{time}}"
            )

    def _check_words(self, texts: dict[str, str], name: str) -> None:
        for field in _APART.keys() & texts.keys():
            number, word = number_in(texts[field]), word_in(texts[field])
            if number is None:
                continue
            before, other = self._words.setdefault((field, number), (word, name))
            if before != word:
                raise ConfigError(
                    f"{other!r} and {name!r} would both be {field} {number} by the name pattern {self.text!r}: got "
                    f"{before + str(number)!r} and {word + str(number)!r}, expected one word before the number. "
                    f"Fix: {_APART[field]}"
                )

    def _check_numbers(self, name: str) -> None:
        found = self._loose.fullmatch(name)
        for field, text in found.groupdict().items() if found else ():
            if field in _NUMBERED and number_in(text) is None:
                one = ", or add the images of each camera by themselves with --camera-id N" * (field == "camera")
                raise ConfigError(
                    f"{name!r} does not match the name pattern {self.text!r}: its {field} is {text!r}, expected "
                    f"digits with letters before them or not ({field}1, {field[0]}03, {field}_02). Fix: rename it{one}"
                )


def _after_time(found: re.Match[str]) -> str:
    return found.string[found.end("time") :] if "time" in found.groupdict() else ""


def _compiled(pieces: list[str], *, loose: bool) -> re.Pattern[str]:
    """Return the expression of a pattern; a loose one takes any text for numbers, to tell what is wrong with it."""
    written = [piece for piece in pieces if piece]
    following = [*written[1:], ""]
    parts = [_expression(*each, loose=loose) for each in zip(written, following, strict=True)]
    return re.compile("(?:.*/)?" + "".join(parts) + r"(?:\.\w+)?")


def _expression(piece: str, after: str, *, loose: bool) -> str:
    if piece.startswith("*"):
        return "[^/]*" + _BEFORE_NUMBER * (after[1:-1] in _NUMBERED)
    if not piece.startswith("{"):
        return re.escape(piece)
    field = piece[1:-1]
    return f"(?P<{field}>{'[^/]+?' if loose and field in _NUMBERED else FIELDS.get(field, '')})"
