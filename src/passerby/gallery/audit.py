"""The log of a gallery on disk: who searched, changed or exported it and when, one line of JSON each.

Each line holds the SHA-256 of the line before it, so a line that is changed, removed or put in breaks the chain; the
manifest records where the log ended at the last change, so lines that are cut off its end are missed, too. A user who
may write to the folder can forge log and manifest together: to exclude that, keep the last hash elsewhere
(``passerby gallery verify`` prints it).

A line tells how many rows, and the conditions that were given; it holds no images, no embeddings and no other IDs. A
line is torn where a process was killed while it wrote it: the next one then says so, with the digest of the torn one.

    with acting_as("front desk"):  # the system's user by default
        gallery.search("query.jpg")
"""

from __future__ import annotations

import getpass
import hashlib
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any, BinaryIO

from pydantic import Field

from passerby.config import Frozen
from passerby.errors import ConfigError, OutputError, without_fix
from passerby.files import file_lock
from passerby.gallery.store import disk

_LOG = logging.getLogger(__name__)
LOG, LOCK = "audit.jsonl", "audit.lock"
"""The name of the log, and of the lock of the process that appends to it."""
_PATIENCE = 10.0
"""The seconds that a process waits for another one that appends."""
_MOST = 2000
"""The most characters of conditions."""
_BLOCK = 1 << 14
_actor: ContextVar[str | None] = ContextVar("actor", default=None)


@dataclass(frozen=True, slots=True)
class Act:
    """An act that a log tells of."""

    what: str
    """A word: ``search``, ``add``, ``delete``, ``export``, …."""
    conditions: str = ""
    """The conditions that were given, in words."""


class LogMark(Frozen):
    """A place in the log, the end of a line."""

    bytes: Annotated[int, Field(ge=0, lt=2**63)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """The digest of the line that ends there."""


@dataclass(frozen=True, slots=True)
class LogCheck:
    """The result of a check of the log."""

    lines: int = 0
    last: str = ""
    """The digest of the last line."""
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """The unusual lines that a killed process explains."""


@contextmanager
def acting_as(name: str) -> Iterator[None]:
    """Log what is done within the block as done by ``name``, in this thread or task.

    Raises:
        ConfigError: if the name is empty.
    """
    if not name.strip():
        raise ConfigError("the name of who acts is empty. Fix: give a name")
    token = _actor.set(name)
    try:
        yield
    finally:
        _actor.reset(token)


class AuditLog:
    """The log of one gallery.

    Args:
        folder: the gallery.
        gallery: its random name, with which the chain begins.
    """

    def __init__(self, folder: Path, gallery: str) -> None:
        self.folder, self.file = folder, folder / LOG
        self.required = False
        """A flag to let a search fail that cannot be logged; a change always does."""
        self._beginning = hashlib.sha256(f"passerby gallery {gallery}".encode()).hexdigest()

    def note(self, act: Act, rows: int, version: int) -> None:
        """Log what changes nothing, a search for example.

        A gallery that cannot be written to can be searched all the same, with a warning.

        Args:
            rows: the number of rows that it is about, hits for example.
            version: the version of the gallery.

        Raises:
            OutputError: if it cannot be logged and :attr:`required` is set.
        """
        try:
            self.append(act, rows, version)
        except OutputError as error:
            if self.required:
                raise
            _LOG.warning("%s: this %s is not in the gallery's log: %s", self.folder, act.what, without_fix(error))

    def append(self, act: Act, rows: int, version: int, *, synchronize: bool = False) -> None:
        """Append a line.

        Args:
            synchronize: whether it is on the disk when this returns; otherwise it is there when the system writes it.

        Raises:
            OutputError: if it cannot be written.
        """
        with self._appending() as file:
            self._write(file, [_line(act, rows, version)], synchronize=synchronize)

    def append_change(self, act: Act, rows: int, version: int, mark: LogMark | None) -> LogMark:
        """Append the line of a change and synchronize the log; return its new end, for the manifest.

        The line is written before the manifest is replaced. A change that was killed in between has a line, and the
        next change another one that says that it did not take place.

        Args:
            version: the version that the change makes.
            mark: the end of the log at the last change.

        Raises:
            OutputError: if it cannot be written.
        """
        with self._appending() as file:
            lines = [_line(Act("cut"), 0, version - 1)] if mark and not _reaches(file, mark) else []
            lines += [_line(Act("undone"), 0, each) for each in _unfinished(file, mark, version - 1)]
            return self._write(file, [*lines, _line(act, rows, version)], synchronize=True)

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield the lines, oldest first; torn ones are left out."""
        if self.file.is_file():
            with self.file.open("rb") as file:
                yield from (values for line in file if (values := _values(line)) is not None)

    def check(self, mark: LogMark | None, version: int) -> LogCheck:
        """Check the chain.

        Args:
            mark: the end of the log at the last change, as the manifest records it.
            version: the version of the manifest.
        """
        if not self.file.is_file():
            return LogCheck(problems=() if mark is None else (f"the log '{LOG}' is missing",))
        with self.file.open("rb") as file:
            chain = _Chain(self._beginning, mark)
            for line in file:
                chain.follow(line)
            chain.end()
            for each in _unfinished(file, mark, version):
                if each == version + 1:
                    chain.notes.append(f"the log has a change to version {each} that did not take place")
                else:
                    older = f"the manifest is of version {version}: an older one was put back"
                    chain.problems.append(f"the log has a change to version {each}, but {older}")
        return LogCheck(chain.lines, chain.former, tuple(chain.problems), tuple(chain.notes))

    @contextmanager
    def _appending(self) -> Iterator[BinaryIO]:
        held = f"another process keeps the log of '{self.folder}' locked. Fix: wait for it, or end it"
        try:
            with file_lock(self.folder / LOCK, otherwise=held, patience=_PATIENCE), self.file.open("a+b") as file:
                yield file
        except OSError as error:
            raise OutputError(
                f"cannot write the log '{self.file}': {error.strerror or error}. Fix: make room, or check the disk and "
                "the permissions"
            ) from error

    def _write(self, file: BinaryIO, lines: list[dict[str, Any]], *, synchronize: bool) -> LogMark:
        """Append lines, each with the digest of the one before it, in one piece."""
        size = file.seek(0, os.SEEK_END)
        torn, former = _last(file, size)
        content = b"\n" if torn else b""
        if torn:
            lines = [{**_line(Act("torn"), 0, lines[0]["version"]), "torn": _digest(torn)}, *lines]
        for values in lines:
            line = json.dumps({**values, "former": former or self._beginning}, separators=(",", ":")).encode()
            content, former = content + line + b"\n", _digest(line)
        disk.append(file.fileno(), content, size, synchronize=synchronize)
        return LogMark(bytes=size + len(content), sha256=former or "")


@dataclass
class _Chain:
    """The check of lines, one after another."""

    former: str
    mark: LogMark | None
    lines: int = 0
    place: int = 0
    torn: bytes | None = None
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def follow(self, line: bytes) -> None:
        """Check the next line."""
        self.lines, self.place = self.lines + 1, self.place + len(line)
        values, content = _values(line), line.removesuffix(b"\n")
        if self.torn is not None:
            if values is None or values.get("torn") != _digest(self.torn):
                self.problems.append(
                    f"line {self.lines - 1} of the log is no record, and the next one does not say why"
                )
            self.torn = None
        if values is None:
            self.torn = content
            return
        if values.get("former") != self.former:
            self.problems.append(f"line {self.lines} of the log does not follow the line before it: one was changed")
        if values.get("what") == "cut":
            self.problems.append(f"line {self.lines} of the log says that lines before it were cut off")
        self.former = _digest(content)
        if self.mark and (self.place, self.former) == (self.mark.bytes, self.mark.sha256):
            self.mark = None

    def end(self) -> None:
        """Check what is only known at the end."""
        if self.torn is not None:
            self.notes.append(
                f"line {self.lines} of the log is torn: a process was killed, which the next line will say"
            )
        if self.mark is not None:
            self.problems.append("the log does not reach what the manifest records: lines were cut off or changed")


def _line(act: Act, rows: int, version: int) -> dict[str, Any]:
    """Return a line without the digest of the former one."""
    user = _user()
    conditions = act.conditions if len(act.conditions) <= _MOST else act.conditions[: _MOST - 1] + "…"
    return {
        "at": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        "who": _actor.get() or user,
        "user": user,
        "what": act.what,
        "conditions": conditions,
        "rows": rows,
        "version": version,
    }


def _user() -> str:
    """Return the system's user, or the number of one without a name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return f"user {os.getuid()}" if hasattr(os, "getuid") else "unknown"


def _digest(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def _values(line: bytes) -> dict[str, Any] | None:
    """Return the values of a line; ``None`` if it is torn."""
    if not line.endswith(b"\n"):
        return None
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None


def _last(file: BinaryIO, size: int) -> tuple[bytes, str | None]:
    """Return what follows the last whole line, and the digest of the last record; ``None`` if there is none."""
    tail = _tail(file, size)
    *whole, torn = tail.split(b"\n")
    for line in reversed(whole):
        if _values(line + b"\n") is not None:
            return torn, _digest(line)
    return torn, None


def _tail(file: BinaryIO, size: int) -> bytes:
    """Return the end of a file, with a record that is whole, or all of it."""
    tail, start = b"", size
    while start > 0:
        start = max(0, start - _BLOCK)
        file.seek(start)
        tail = file.read(min(_BLOCK, size - len(tail) - start)) + tail
        lines = tail.split(b"\n")
        if any(_values(line + b"\n") is not None for line in lines[1:-1]):
            break
    return tail


def _reaches(file: BinaryIO, mark: LogMark) -> bool:
    """Return whether a log has the line that ends at a mark."""
    if file.seek(0, os.SEEK_END) < mark.bytes:
        return False
    return _last(file, mark.bytes) == (b"", mark.sha256)


def _unfinished(file: BinaryIO, mark: LogMark | None, version: int) -> list[int]:
    """Return the versions above ``version`` that lines after a mark tell of, but those that did not take place."""
    found = dict[int, None]()
    file.seek(0 if mark is None else mark.bytes)
    for line in file:
        if b'"what":"search"' in line or (values := _values(line)) is None:
            continue
        if isinstance(told := values.get("version"), int) and told > version:
            found[told] = None
            if values.get("what") == "undone":
                del found[told]
    return list(found)
