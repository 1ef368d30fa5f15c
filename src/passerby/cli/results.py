"""What commands print: progress, metrics, calibration errors and attribute accuracies."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from passerby.errors import escape_controls
from passerby.progress import ProgressLines

if TYPE_CHECKING:
    from passerby.types import AttributeResult, EvalResult


@contextmanager
def progress_bar(task: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Yield a function that advances a bar on stderr by a number of images; without a terminal it prints some lines.

    Args:
        total: the number of images in all; ``None`` if it is not known.
    """
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    columns = (*Progress.get_default_columns(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task(task, total=total, rate="")
        lines = ProgressLines(total, sys.stderr)

        def advance(images: int) -> None:
            progress.update(bar, advance=images, rate=lines.rate)
            if console.is_terminal:
                lines.done += images
            else:
                lines.advance(task, images)

        yield advance


def print_result(result: EvalResult) -> None:
    """Print the protocol, the metrics and the number of images."""
    from rich.console import Console
    from rich.table import Table

    typer.echo(f"Protocol: {result.protocol}.")
    table = Table(box=None, pad_edge=False)
    values = {f"rank-{k}": result.rank(k) for k in (1, 5, 10, 20)} | {"mAP": result.mean_ap, "mINP": result.minp}
    for name in values:
        table.add_column(name, justify="right")
    table.add_row(*map(_percent, values.values()))
    if result.intervals:
        ends = {"rank-1": "rank1", "mAP": "mean_ap", "mINP": "minp"}
        shown = ["–".join(map(_percent, result.intervals[ends[name]])) if name in ends else "" for name in values]
        table.add_row(*shown, style="dim")
    Console().print(table)
    if result.intervals:
        typer.echo("Second row: 95 % intervals, by bootstrap over the queries.")
    dropped = f" ({result.queries_dropped:,} more without a valid match)" if result.queries_dropped else ""
    typer.echo(f"{result.queries:,} queries{dropped}, {result.gallery:,} gallery images.")
    if "open_set" in result.details:
        _print_open_set(result.details["open_set"])
    if "calibration" in result.details:
        _print_calibration(result.details["calibration"])
    if result.attributes:
        _print_attributes(result.attributes)


def print_measured(measured: dict[str, Any]) -> None:
    """Print the errors of a calibration (:meth:`~passerby.metrics.verification.Measured.to_dict`)."""
    pairs = f"{measured['same']:,} same and {measured['different']:,} different pairs"
    errors = f"{measured['ece']:.4f}, and {measured['ece_balanced']:.4f} with same and different weighted equally"
    typer.echo(f"  expected calibration error {errors} ({pairs})")
    for each in measured["at"]:
        rate = f"  threshold for a false-match rate of {each['rate']:g}: "
        if each["distance"] is None:
            typer.echo(f"{rate}unknown (too few pairs)")
        else:
            found = f"false-match rate {each['false_match_rate']:.2g}, true-positive rate "
            off = "" if _holds(each) else "; off by more than a factor of 2"
            typer.echo(f"{rate}{found}{_percent(each['true_positive_rate'])} %{off}")
    if any(each["distance"] is not None and not _holds(each) for each in measured["at"]):
        typer.echo("  Pairs of few people are similar to each other. Fix: calibrate on images of more people.")


def _holds(each: dict[str, Any]) -> bool:
    """Return whether a threshold held within a factor of 2."""
    holds: bool = each["rate"] / 2 <= each["false_match_rate"] <= 2 * each["rate"]
    return holds


def _print_open_set(found: dict[str, Any]) -> None:
    rates = found["true_positive_rate_at_false_match_rate"].items()
    known = "; ".join(f"{_percent(share)} % at {rate}" for rate, share in rates if share is not None)
    few = ", ".join(rate for rate, share in rates if share is None)
    typer.echo(
        f"Verification by distance: equal-error rate {_percent(found['equal_error_rate'])} %; true-positive "
        f"rate at a false-match rate: {known or 'unknown'}{f' (too few pairs at {few})' if few else ''}."
    )


def _print_calibration(found: dict[str, Any]) -> None:
    warning = " It was fitted on these images, so the errors are too small." if found["fitted_on_these"] else ""
    typer.echo(f"The run's calibration on these images:{warning}")
    print_measured(found)


def _print_attributes(result: AttributeResult) -> None:
    """Print accuracies per attribute, with those of always predicting the majority value."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("attribute")
    for name in ("accuracy", "balanced", "majority", "value", "images"):
        table.add_column(name, justify="right")
    for group in result.groups:
        shares = (group.accuracy, group.balanced, group.majority_accuracy)
        table.add_row(group.name, *map(_percent, shares), group.majority or "–", f"{group.images:,}")
    table.add_row("mean", *map(_percent, result.mean.values()))
    typer.echo("Attributes of the gallery's people; majority: always predicting the commonest training value.")
    Console().print(table)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.2f}"


def calibration_note(data: str, reason: str = "", *, of: str = "run") -> str:
    """Return what is to be known of probabilities and verdicts: what they were fitted on, and whether that holds.

    Args:
        data: the images that they were fitted on.
        reason: whether they hold for the images of a gallery, in sentences; empty where that is not known.
        of: what the calibration belongs to.
    """
    known = escape_controls(data, one_line=True)
    unknown = (
        "Whether they hold for these images is not known: `passerby calibrate` on labeled images of your own tells."
    )
    return f"P(same) and verdicts are those of the {of}'s calibration on '{known}'. {reason or unknown}"
