"""The streams of the command line: control characters are escaped, and what cannot be printed is never an error.

File names and metadata come from elsewhere. A terminal would act on control characters in them.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

from passerby.errors import OutputError, escape_controls

_CODES = re.compile(r"(\x1b\[[0-9;?]*[A-Za-z]|\r)")
"""The codes by which rich colors text and moves the cursor of a terminal."""


class EscapedStream:
    """A text stream that escapes control characters, and what its encoding lacks.

    Args:
        stream: the stream to write to. If it is a terminal, codes of color and cursor pass: rich writes them.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()

    def write(self, text: str) -> int:
        """Write a text, escaped."""
        parts = _CODES.split(text) if self._is_terminal else [text]
        escaped = "".join(part if n % 2 else escape_controls(part) for n, part in enumerate(parts))
        encoding = self._stream.encoding or "utf-8"
        self._stream.write(escaped.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":  # bytes would pass without being escaped
            raise AttributeError(name)
        return getattr(self._stream, name)


@contextmanager
def escaped_output() -> Iterator[None]:
    """Escape what is printed on stdout and stderr."""
    plain = sys.stdout, sys.stderr
    out, err = (stream and cast("TextIO", EscapedStream(stream)) for stream in plain)
    sys.stdout, sys.stderr = out, err
    try:
        yield
    finally:
        if sys.stdout is out:
            sys.stdout = plain[0]
        if sys.stderr is err:
            sys.stderr = plain[1]


def flush_output() -> None:
    """Write out what stdout still holds.

    Raises:
        OutputError: if that fails; a closed pipe is what its reader wanted, and is none.
    """
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
    except OSError as error:
        _discard_output()
        raise OutputError(
            f"cannot print the result: {error.strerror or error}. Fix: print to another place, or use --output"
        ) from None


def _discard_output() -> None:
    """Send stdout to nowhere: Python flushes it once more at its end."""
    with suppress(OSError, ValueError), open(os.devnull, "w") as nowhere:  # noqa: PTH123 - a device
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
