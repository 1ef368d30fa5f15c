"""The progress of a run: lines in ``metrics.jsonl`` and ``evaluations.jsonl``, TensorBoard, a progress bar."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import IO, Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

from passerby.files import atomic_write
from passerby.losses.base import LossParts
from passerby.progress import ProgressLines
from passerby.training.run import RunFolder
from passerby.types import EvalResult


class Monitor:
    """A logger of one run's steps; on processes other than the first (``active=False``) it only counts."""

    def __init__(self, folder: RunFolder, total: int, *, done: int, active: bool, show: bool) -> None:
        self.step = done
        self._folder = folder
        self._file: IO[str] | None = None
        self._board: SummaryWriter | None = None
        if active:
            self._file = folder.metrics_log.open("a", buffering=1)
            self._board = SummaryWriter(str(folder.path / "tensorboard"), purge_step=done + 1)
        self._bar = _bar(show=show)
        self._lines = _lines(self._bar, total)
        self._task = self._bar.add_task("epoch", total=total, completed=done, epoch="", state="")

    def __enter__(self) -> Monitor:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
        if self._file:
            self._file.close()
        if self._board:
            self._board.close()

    @contextmanager
    def preparing(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        """Show a bar as :func:`preparing` does, beside the bar of the run."""
        with _task(self._bar, what, total) as advance:
            yield advance

    def write_lines(self, name: str, entries: Iterable[Mapping[str, Any]]) -> None:
        """Write a file of JSON lines into the run folder, in place of the one that is there."""
        if self._file:
            with atomic_write(self._folder.path / name) as partial:
                partial.write_text("".join(json.dumps(entry) + "\n" for entry in entries))

    def message(self, text: str) -> None:
        """Print a line above the bar, where progress is shown."""
        if not self._bar.disable:
            self._bar.console.print(text)

    def log(self, epoch: int, loss: LossParts, lr: float, *, images_per_second: float) -> None:
        """Log the losses of one step."""
        self.step += 1
        parts = {name: value.item() for name, value in loss.parts.items()}
        entry = {"step": self.step, "epoch": epoch, "loss": loss.total.item(), **parts, "lr": lr}
        if self._file:
            self._file.write(json.dumps({**entry, "images_per_second": round(images_per_second, 1)}) + "\n")
        if self._board:
            for name, value in [
                ("loss/total", entry["loss"]),
                ("lr", lr),
                *((f"loss/{n}", v) for n, v in parts.items()),
            ]:
                self._board.add_scalar(name, value, self.step)
            self._board.add_scalar("images_per_second", images_per_second, self.step)
        shown = " ".join(f"{name} {value:.3f}" for name, value in parts.items())
        if self._lines is not None:
            state = f"{shown}, {images_per_second:.0f} images/s"
            self._lines.show(f"epoch {epoch + 1}, step", done=self.step, state=state)
        self._bar.update(
            self._task, completed=self.step, epoch=epoch + 1, state=f"{shown} · {images_per_second:.0f} images/s"
        )

    def log_evaluation(self, epoch: int, result: EvalResult) -> None:
        """Log the metrics on the test data between epochs."""
        if self._file:
            numbers = {"rank1": result.rank1, "mean_ap": result.mean_ap, "minp": result.minp}
            self._folder.log_evaluation({"step": self.step, "epoch": epoch, **numbers})
        if self._board:
            self._board.add_scalar("test/rank1", result.rank1, self.step)
            if result.mean_ap is not None:
                self._board.add_scalar("test/mean_ap", result.mean_ap, self.step)
        precision = "" if result.mean_ap is None else f", mAP {result.mean_ap:.1%}"
        self.message(f"after epoch {epoch}: rank-1 {result.rank1:.1%}{precision}")


@contextmanager
def preparing(what: str, total: int, *, show: bool) -> Iterator[Callable[[int], None]]:
    """Show a progress bar before a run begins.

    Yields a function to call with the number of images done since the last call.
    """
    with _bar(show=show) as bar, _task(bar, what, total) as advance:
        yield advance


def _bar(*, show: bool) -> Progress:
    return Progress(
        TextColumn("{task.description} {task.fields[epoch]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[state]}"),
        TimeRemainingColumn(),
        disable=not show,
    )


@contextmanager
def _task(bar: Progress, what: str, total: int) -> Iterator[Callable[[int], None]]:
    task, lines = bar.add_task(what, total=total, epoch="", state=""), _lines(bar, total)

    def advance(images: int) -> None:
        bar.advance(task, images)
        if lines is not None:
            lines.advance(what, images)

    yield advance
    bar.remove_task(task)


def _lines(bar: Progress, total: int) -> ProgressLines | None:
    """Return what shows progress instead of a bar that no terminal draws; ``None`` if a bar does, or nothing should."""
    return None if bar.disable or bar.console.is_terminal else ProgressLines(total)
