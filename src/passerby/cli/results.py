"""Numbers of an evaluation, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from passerby.types import AttributeResult, EvalResult


def print_result(result: EvalResult) -> None:
    """The protocol, the numbers and what they were counted on."""
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
        typer.echo("Below: 95 % intervals, by bootstrap over the queries.")
    dropped = f" ({result.queries_dropped:,} more without a valid match)" if result.queries_dropped else ""
    typer.echo(f"{result.queries:,} queries{dropped}, {result.gallery:,} gallery images.")
    if "open_set" in result.details:
        _print_open_set(result.details["open_set"])
    if "calibration" in result.details:
        _print_calibration(result.details["calibration"])
    if result.attributes:
        _print_attributes(result.attributes)


def print_measured(measured: dict[str, Any]) -> None:
    """How a calibration holds on some pairs (:meth:`~passerby.metrics.verification.Measured.to_dict`)."""
    pairs = f"{measured['same']:,} same and {measured['different']:,} different pairs"
    errors = f"{measured['ece']:.4f}, and {measured['ece_balanced']:.4f} where same and different weigh alike"
    typer.echo(f"  expected calibration error {errors} ({pairs})")
    for each in measured["at"]:
        rate = f"  threshold for a false-match rate of {each['rate']:g}: "
        if each["distance"] is None:
            typer.echo(f"{rate}unknown, there were too few pairs")
        else:
            found = f"false-match rate {each['false_match_rate']:.2g}, true-positive rate "
            off = "" if _near(each) else "; off by more than a factor of 2"
            typer.echo(f"{rate}{found}{_percent(each['true_positive_rate'])} %{off}")
    if any(each["distance"] is not None and not _near(each) for each in measured["at"]):
        typer.echo(
            "  Pairs of few people are much alike: for thresholds that hold, calibrate on pictures of more people."
        )


def _near(each: dict[str, Any]) -> bool:
    """Whether a threshold held within a factor of 2."""
    near: bool = each["rate"] / 2 <= each["false_match_rate"] <= 2 * each["rate"]
    return near


def _print_open_set(found: dict[str, Any]) -> None:
    rates = found["true_positive_rate_at_false_match_rate"].items()
    known = "; ".join(f"{_percent(share)} % at {rate}" for rate, share in rates if share is not None)
    few = ", ".join(rate for rate, share in rates if share is None)
    typer.echo(
        f"Same or different by distance alone: equal-error rate {_percent(found['equal_error_rate'])} %; true-positive "
        f"rate at a false-match rate: {known or 'unknown'}{f' (too few pairs to know it at {few})' if few else ''}."
    )


def _print_calibration(found: dict[str, Any]) -> None:
    flattered = " These are the pictures that it was fitted on: it flatters itself." if found["fitted_on_these"] else ""
    typer.echo(f"The run's calibration on these pictures:{flattered}")
    print_measured(found)


def _print_attributes(result: AttributeResult) -> None:
    """Accuracy by group, with what it is to be measured against."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("attribute")
    for name in ("accuracy", "balanced", "majority", "which is", "pictures"):
        table.add_column(name, justify="right")
    for group in result.groups:
        shares = (group.accuracy, group.balanced, group.majority_accuracy)
        table.add_row(group.name, *map(_percent, shares), group.majority or "–", f"{group.images:,}")
    table.add_row("mean", *map(_percent, result.mean.values()))
    typer.echo("Attributes of the gallery's people; majority: always saying what is commonest in training.")
    Console().print(table)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.2f}"
