"""The accuracy of predicted attributes, beside that of always predicting the most frequent value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from markupsafe import Markup

from passerby.report.components import DASH, count, paragraph, share, table
from passerby.report.inputs.run import Run
from passerby.report.registry import section

_ABOUT = (
    "For images of the gallery. Balanced: the mean recall over the values that occur, so that rare values weigh as "
    "much as frequent ones. Majority: the accuracy of always predicting the most frequent value of the training "
    "identities; a model below it has no skill."
)


@section("attributes", "Attributes", order=110)
def attributes(runs: Sequence[Run]) -> Iterator[str]:
    """Yield a table of accuracies for every run whose model predicts attributes."""
    known = [(run, found) for run in runs if (found := run.numbers.get("attributes")) is not None]
    if known:
        yield paragraph(_ABOUT)
    for run, found in known:
        yield _table(run.label, found)


def _table(label: str, found: dict[str, Any]) -> Markup:
    head = ("attribute", "accuracy", "balanced", "majority", "majority value", "images")
    rows: list[tuple[str, ...]] = []
    for name, group in [*found["groups"].items(), ("mean", found["mean"])]:
        shares = [
            share(group.get(column), run=label, key=f"attributes.{name}.{column}", digits=1)
            for column in ("accuracy", "balanced", "majority_accuracy")
        ]
        images = "" if "images" not in group else count(group["images"])
        rows.append((name, *shares, group.get("majority") or DASH, images))
    return table(f"{label}: accuracy of predicted attributes, in percent", head, rows)
