"""The orderly end of the program on Ctrl-C and on SIGTERM: what was begun is cleaned up, and one line is printed.

Python raises KeyboardInterrupt wherever it is. In the middle of an import (of torch, most of all) that ends in a
traceback or an abort, and in a finalizer it is lost. There the signal is held back for a moment, which is said; a
second signal ends the program at once.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_PAUSE = 0.05
"""The seconds after which a signal that was held back is sent again."""
_PATIENCE = 20.0
"""The seconds for which a signal is held back at most: code that is imported may never end."""
_IMPORTS = "<frozen importlib"
_SOON = 0.3
"""The seconds after which it is said that a signal is held back, and after which another one is a second one."""


class Terminated(KeyboardInterrupt):
    """The interruption by SIGTERM or SIGHUP, which ends a program as Ctrl-C does, with an exit code of its own."""


def exit_code(error: KeyboardInterrupt) -> int:
    """Return the exit code that shells use for a program that ended by this signal."""
    return 128 + (signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT)


def describe(error: KeyboardInterrupt) -> str:
    """Return what ended the program, in a word."""
    return "terminated" if isinstance(error, Terminated) else "interrupted"


@contextmanager
def orderly_signals() -> Iterator[None]:
    """Raise KeyboardInterrupt for SIGINT and :class:`Terminated` for SIGTERM, where that does no harm.

    Signals that are ignored, as under ``nohup``, or that have another handler, are left alone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    defaults: dict[str, Any] = {
        "SIGINT": signal.default_int_handler,
        "SIGTERM": signal.SIG_DFL,
        "SIGHUP": signal.SIG_DFL,
    }
    known = {getattr(signal, name): handler for name, handler in defaults.items() if hasattr(signal, name)}
    mine = [number for number, handler in known.items() if signal.getsignal(number) is handler]
    handler = _Handler()
    try:
        for number in mine:
            signal.signal(number, handler)
        yield
    finally:
        handler.forget()
        for number in mine:
            signal.signal(number, known[number])


def stay_quiet() -> None:
    """Make Ctrl-C end the process without a traceback from now on; for the moment in which Python itself ends."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


class _Handler:
    """The handler of a signal, which remembers since when it holds it back."""

    def __init__(self) -> None:
        self.since: float | None = None
        self.again: threading.Timer | None = None
        self.own = False
        """A flag of a signal that this handler has sent again, and that has not come yet."""
        self.said = False

    def forget(self) -> None:
        """Drop a signal that is held back: what it would have ended has ended."""
        if self.again is not None:
            self.again.cancel()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        held, self.since = self.since is not None, self.since or now
        if held and not self.own and now - self.since > _SOON:
            os.write(2, b"passerby: stopped\n")
            os._exit(128 + number)
        self.own = False
        if _is_delicate(frame) and now - self.since < _PATIENCE:
            self._hold(number, now - self.since)
            return
        self.since = None
        raise KeyboardInterrupt if number == signal.SIGINT else Terminated

    def _hold(self, number: int, seconds: float) -> None:
        """Send the signal again in a moment."""
        if seconds > _SOON and not self.said:
            self.said = True
            os.write(2, b"passerby: ending; once more to stop at once\n")
        self.again = threading.Timer(_PAUSE, self._send, (number,))
        self.again.daemon = True
        self.again.start()

    def _send(self, number: int) -> None:
        self.own = True
        os.kill(os.getpid(), number)


def _is_delicate(frame: FrameType | None) -> bool:
    """Return whether an import or a finalizer is under way."""
    while frame is not None:
        if frame.f_code.co_filename.startswith(_IMPORTS) or frame.f_code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False


def end(error: KeyboardInterrupt) -> None:
    """Print what ended the program, and exit."""
    print(f"passerby: {describe(error)}", file=sys.stderr)  # noqa: T201 - typer may not be imported yet
    raise SystemExit(exit_code(error)) from None
