"""What a distance means: equal-error rate, thresholds, P(same person), and how well they hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from passerby.report.components import Content, Html, code, element, paragraph, table
from passerby.report.inputs.run import Run, Section, count, number, percent


def calibration(runs: Sequence[Run]) -> Section:
    content: list[Content] = []
    opened = [run for run in runs if "open_set" in run.numbers.get("details", {})]
    if opened:
        content.append(_open_set(opened))
    for run in runs:
        content += _of(run)
    return Section("calibration", "Same person or not: thresholds and calibration", tuple(content))


def _open_set(runs: Sequence[Run]) -> Html:
    """By distance alone, no calibration needed."""
    details = [run.numbers["details"]["open_set"] for run in runs]
    rates = details[0]["true_positive_rate_at_false_match_rate"]
    rows: list[tuple[Content, ...]] = [
        (
            "equal-error rate (smaller is better)",
            *(_number(run, each, "equal_error_rate") for run, each in _zip(runs, details)),
        )
    ]
    for rate in rates:
        found = [
            number(each["true_positive_rate_at_false_match_rate"].get(rate), run=run.label, key=f"open_set.tpr.{rate}")
            for run, each in _zip(runs, details)
        ]
        rows.append((f"same pairs accepted at a false-match rate of {rate}", *found))
    kinds = ("same", "different")
    rows += [(f"{name} pairs", *(count(each[f"{name}_pairs"]) for each in details)) for name in kinds]
    caption = "Telling same from different pairs by their distance alone, in per cent"
    return table(caption, ("measure", *(run.label for run in runs)), rows)


def _zip(runs: Sequence[Run], details: Sequence[dict[str, Any]]) -> Iterable[tuple[Run, dict[str, Any]]]:
    return zip(runs, details, strict=True)


def _number(run: Run, values: dict[str, Any], key: str) -> Html:
    return number(values[key], run=run.label, key=f"open_set.{key}")


def _of(run: Run) -> Iterable[Content]:
    known = run.record.calibration
    yield element("h3", f"Calibration of {run.label}")
    if known is None:
        how = code(f"passerby calibrate {run.record.path} --data DATA")
        yield paragraph(
            "Not calibrated: its distances are no probabilities, and searches say nothing of same or different. ",
            how,
            " with pictures of people that the model has not seen makes them so.",
        )
        return
    values = known.to_dict()
    kind = {"isotonic": "a rising staircase (isotonic)", "logistic": "a logistic curve"}[values["method"]]
    yield paragraph(
        f"P(same person) is {kind} over the distance, fitted on {count(known.same)} same and {count(known.different)} "
        "different pairs of ",
        code(known.data),
        f"; {percent(known.prior, digits=2)} % of those pairs were the same person.",
    )
    yield _measured(f"{run.label}: on people who were held out of the fit", values["held_out"], run, "held_out")
    found = run.numbers.get("details", {}).get("calibration")
    if found is not None:
        flattered = ", on which it was fitted: it flatters itself" if found["fitted_on_these"] else ""
        yield _measured(f"{run.label}: on the pictures of this report{flattered}", found, run, "calibration")


def _measured(caption: str, found: dict[str, Any], run: Run, key: str) -> Html:
    errors = [
        (name, number(found[field], run=run.label, key=f"{key}.{field}"))
        for name, field in (
            ("expected calibration error", "ece"),
            ("… where same and different pairs weigh alike", "ece_balanced"),
        )
    ]
    rows: list[tuple[Content, ...]] = [(name, "", "", value) for name, value in errors]
    for each in found["at"]:
        distance = "too few pairs" if each["distance"] is None else f"{each['distance']:.4g}"
        rate = f"threshold for a false-match rate of {each['rate']:g}"
        accepted = number(each["true_positive_rate"], run=run.label, key=f"{key}.{each['rate']:g}.tpr")
        mistaken = number(each["false_match_rate"], run=run.label, key=f"{key}.{each['rate']:g}.fmr", digits=3)
        rows.append((rate, distance, mistaken, accepted))
    head = ("measure", "distance", "different pairs accepted, %", "same pairs accepted, or error, %")
    return table(f"{caption} ({count(found['same'])} same, {count(found['different'])} different pairs)", head, rows)
