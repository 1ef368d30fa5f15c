"""Progress where there is no terminal to draw a bar on, in a log file for example: a line now and then."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from typing import TextIO

EVERY = 30.0
"""The seconds between two lines."""
_FIRST = 0.5
"""The seconds for which a rate says nothing yet."""


class ProgressLines:
    """The printer of a line of progress, which is quiet until the last one is old enough.

    Args:
        total: the number of steps or images in all; ``None`` if it is not known.
        stream: where to print; by default standard output.
    """

    def __init__(self, total: int | None, stream: TextIO | None = None) -> None:
        self.total, self.done, self.stream = total, 0, stream
        self.begin = self.last = time.monotonic()

    @property
    def rate(self) -> str:
        """The steps or images per second since the beginning, in words; empty in its first moments."""
        seconds = time.monotonic() - self.begin
        return f"{self.done / seconds:.3g} per second" if seconds > _FIRST and self.done else ""

    @property
    def pace(self) -> str:
        """The rate, and the time that the rest will take at it."""
        if not (rate := self.rate) or self.total is None or self.done >= self.total:
            return rate
        left = round((time.monotonic() - self.begin) * (self.total - self.done) / self.done)
        return f"{rate}, {timedelta(seconds=left)} left"

    def show(self, where: str, *, done: int | None = None, state: str = "") -> None:
        """Print what is done: ``epoch 2: 120 of 2,400, loss 1.2``."""
        self.done = self.done if done is None else done
        now = time.monotonic()
        if now - self.last < EVERY:
            return
        self.last = now
        of = "" if self.total is None else f" of {self.total:,}"
        parts = [f"{where}: {self.done:,}{of}", *([state] if state else [])]
        print(", ".join(parts), file=self.stream or sys.stdout, flush=True)

    def advance(self, what: str, number: int) -> None:
        """Add a number of finished images, and show it."""
        self.done += number
        self.show(what, state=self.pace)
