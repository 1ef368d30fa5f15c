"""What is printed cannot act on a terminal, and never fails for want of a letter."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from passerby.cli.streams import EscapedStream
from passerby.errors import PasserbyError, escape_controls


class Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


def written(text: str, encoding: str = "utf-8", *, terminal: bool = False) -> str:
    raw = io.BytesIO()
    plain = (Terminal if terminal else io.TextIOWrapper)(raw, encoding=encoding)
    EscapedStream(plain).write(text)
    plain.flush()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a\x1b[31mred\x1b]0;title\x07", r"a\x1b[31mred\x1b]0;title\x07"),
        ("\0\b\x7f\x9b2J\r", r"\x00\x08\x7f\x9b2J\r"),
        ("gpj.\u202eexe", r"gpj.\u202eexe"),
        ("\udcd5\u2028", r"\udcd5\u2028"),
        ("Zoë 张三 – ×\n\tnext", "Zoë 张三 – ×\n\tnext"),
    ],
)
def test_control_characters_are_escaped(text: str, escaped: str) -> None:
    assert escape_controls(text) == escaped
    assert written(text) == escaped


def test_a_name_stays_on_its_line() -> None:
    assert escape_controls("a.jpg\n1  0.01  b.jpg\t", one_line=True) == r"a.jpg\n1  0.01  b.jpg\t"


def test_a_terminal_gets_colors_and_no_other_codes() -> None:
    assert written("\x1b[1mbold\x1b[0m\x1b]0;title\x07\x1bc", terminal=True) == (
        rb"\x1b[1mbold\x1b[0m".decode("unicode_escape") + r"\x1b]0;title\x07\x1bc"
    )


def test_letters_that_an_encoding_lacks_are_escaped() -> None:
    assert written("a – b", "ascii") == r"a \u2013 b"


def test_an_error_is_one_escaped_line(run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise PasserbyError("'\x1b[2Jname\npasserby: done'")

    monkeypatch.setattr("passerby.models.registry.list_models", fail)
    assert run("models") == (1, "", "passerby: '\\x1b[2Jname passerby: done'\n")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (PermissionError(13, "Permission denied", "a\nb"), "Permission denied: 'a\\nb'"),
        (OSError(28, "No space left on device"), "No space left on device. Fix: make room, or write elsewhere"),
        (MemoryError("40 TB"), "there is not enough memory (40 TB). Fix: free some, or ask for less"),
        (ValueError("embedded null byte"), "a path holds a NUL character (embedded null byte). Fix: give another path"),
        (RecursionError(), "the input is nested too deeply. Fix: take one that is not damaged"),
    ],
)
def test_errors_of_the_system_are_one_line(run, monkeypatch: pytest.MonkeyPatch, error: Exception, line: str) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr("passerby.models.registry.list_models", fail)
    assert run("models") == (1, "", f"passerby: {line}\n")


def test_a_home_of_no_user(run) -> None:
    done = run("data", "check", "~no-such-user-here/data")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert done.err.startswith("passerby: no such user (Could not determine home directory")


@pytest.mark.parametrize("error", [ValueError("bug"), RuntimeError("bug")])
def test_other_errors_are_bugs(run, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr("passerby.models.registry.list_models", fail)
    with pytest.raises(type(error), match="bug"):
        run("models")


def test_an_argument_that_is_not_utf8(run, tmp_path: Path) -> None:
    done = run("data", "check", os.fsdecode(os.fsencode(tmp_path) + b"/\xd5\xc5"))
    assert done.code == 1
    assert r"\udcd5\udcc5' is not UTF-8" in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "code", "err"),
    [
        ("PYTHONIOENCODING=ascii {} models", 0, ""),
        ("{} models >/dev/full", 1, "passerby: No space left on device. Fix: make room, or write elsewhere\n"),
        (  # in a terminal of any width: what is left in the buffer is not reported once more
            "COLUMNS=80 TERM=dumb {} models >/dev/full",
            1,
            "passerby: No space left on device. Fix: make room, or write elsewhere\n",
        ),
        ("{} models >&-", 0, ""),
        ("{} models | true", 0, ""),
    ],
)
def test_streams_of_the_real_program(command: str, code: int, err: str) -> None:
    command = command.format(f"{sys.executable} -m passerby")
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (code, err)
