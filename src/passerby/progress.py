"""Progress where there is no terminal to draw a bar on, in a log file for example: a line now and then."""

from __future__ import annotations

import sys
import time
from typing import TextIO

EVERY = 30.0
"""The seconds between two lines."""


class ProgressLines:
    """The printer of a line of progress, which is quiet until the last one is old enough.

    Args:
        total: the number of steps or images in all.
        stream: where to print; by default standard output.
    """

    def __init__(self, total: int, stream: TextIO | None = None) -> None:
        self.total, self.done, self.stream = total, 0, stream
        self.last = time.monotonic()

    def show(self, where: str, *, done: int | None = None, state: str = "") -> None:
        """Print what is done: ``epoch 2: 120 of 2,400, loss 1.2``."""
        self.done = self.done if done is None else done
        now = time.monotonic()
        if now - self.last < EVERY:
            return
        self.last = now
        parts = [f"{where}: {self.done:,} of {self.total:,}", *([state] if state else [])]
        print(", ".join(parts), file=self.stream or sys.stdout, flush=True)

    def advance(self, what: str, number: int) -> None:
        """Add a number of finished images, and show it."""
        self.show(what, done=self.done + number)
