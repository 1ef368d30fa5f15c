"""Calibration: equal error rate, thresholds, P(same person), and how accurate they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from markupsafe import Markup

from passerby.report.components import code, count, heading, paragraph, percent, share, table
from passerby.report.inputs.run import Run
from passerby.report.registry import section
from passerby.report.templates import format_html

_CURVES = {"isotonic": "a monotone step function (isotonic regression)", "logistic": "a logistic curve"}
_ERRORS = (
    ("expected calibration error", "ece"),
    ("… with equal weight for same and different pairs", "ece_balanced"),
)


@section("calibration", "Calibration", order=120)
def calibration(runs: Sequence[Run]) -> Iterator[str]:
    """Yield the verification by distance alone, and each run's calibration."""
    opened = [run for run in runs if "open_set" in run.numbers.get("details", {})]
    if opened:
        if not any(run.has("folder") for run in runs):
            yield paragraph("Verification of same and different pairs; no calibration.")
        yield _verification(opened)
    for run in runs:
        if not run.has("folder"):
            continue  # a file of embeddings cannot be calibrated
        yield heading(f"Calibration of {run.label}")
        yield from _calibration(run)


def _verification(runs: Sequence[Run]) -> Markup:
    """Return how well distances alone separate same from different pairs; this needs no calibration."""
    known = [(run.label, run.numbers["details"]["open_set"]) for run in runs]
    accepted = "true_positive_rate_at_false_match_rate"
    errors = [share(found["equal_error_rate"], run=run, key="open_set.equal_error_rate") for run, found in known]
    rows: list[tuple[str, ...]] = [("equal error rate (smaller is better)", *errors)]
    for rate in known[0][1][accepted]:
        shares = [share(found[accepted].get(rate), run=run, key=f"open_set.tpr.{rate}") for run, found in known]
        rows.append((f"same pairs accepted at a false-match rate of {rate}", *shares))
    rows += [
        (f"{kind} pairs", *(count(found[f"{kind}_pairs"]) for _, found in known)) for kind in ("same", "different")
    ]
    caption = "Same and different pairs separated by their distance alone, in percent"
    return table(caption, ("measure", *(run for run, _ in known)), rows)


def _calibration(run: Run) -> Iterator[Markup]:
    known = run.record.calibration
    if known is None:
        text = "Not calibrated: distances are not probabilities, and searches give no verdicts. {} "
        text += "calibrates the run with images of people that the model was not trained on."
        yield paragraph(format_html(text, code(f"passerby calibrate {run.record.path} --data DATA")))
        return
    values = known.to_dict()
    text = "P(same person) is {} of the distance, fitted to {} same and {} different pairs of {}; {} % of those pairs "
    text += "show the same person."
    counts = count(known.same), count(known.different)
    prior = percent(known.prior, digits=2)
    yield paragraph(format_html(text, _CURVES[values["method"]], *counts, code(known.data), prior))
    if known.margin:
        yield paragraph(
            f"Verdicts and P keep a margin of {known.margin:g} from the fitted distances, as other images differ."
        )
    yield _accuracy(f"{run.label}: on people held out from the fit", values["held_out"], run, "held_out")
    found = run.numbers.get("details", {}).get("calibration")
    if found is not None:
        fitted = ", to which it was fitted: optimistic" if found["fitted_on_these"] else ""
        yield _accuracy(f"{run.label}: on the images of this report{fitted}", found, run, "calibration")


def _accuracy(caption: str, found: dict[str, Any], run: Run, key: str) -> Markup:
    """Return the calibration errors, and what the thresholds accept."""
    rows: list[tuple[str, ...]] = [
        (name, "", "", share(found[field], run=run.label, key=f"{key}.{field}")) for name, field in _ERRORS
    ]
    for each in found["at"]:
        rate = f"{each['rate']:g}"
        distance = "too few pairs" if each["distance"] is None else f"{each['distance']:.4g}"
        false = share(each["false_match_rate"], run=run.label, key=f"{key}.{rate}.fmr", digits=3)
        true = share(each["true_positive_rate"], run=run.label, key=f"{key}.{rate}.tpr")
        rows.append((f"threshold for a false-match rate of {rate}", distance, false, true))
    head = ("measure", "distance", "different pairs accepted, %", "same pairs accepted, or error, %")
    return table(f"{caption} ({count(found['same'])} same, {count(found['different'])} different pairs)", head, rows)
