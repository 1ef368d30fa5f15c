"""What the sections of a report are made of, and what they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from passerby.explain.images import ImageSet
from passerby.report.components import Content, Html, element
from passerby.report.inputs.evaluated_run import Missing, Tested
from passerby.report.inputs.record import Record


@dataclass(frozen=True, eq=False)
class Run:
    """One run of a report."""

    record: Record
    tested: Tested | None
    album: ImageSet | None
    """Of the pictures that it was tested on."""
    missing: tuple[Missing, ...] = ()

    @property
    def label(self) -> str:
        return self.record.label

    @property
    def numbers(self) -> dict[str, Any]:
        """As ``passerby evaluate --json`` has them: of this report's evaluation, or else of the training's end."""
        return self.tested.result.to_dict() if self.tested else self.record.metrics


@dataclass(frozen=True)
class Section:
    """A part of the page; empty ones are left out."""

    id: str
    title: str
    content: tuple[Content, ...]


def tested(runs: Sequence[Run]) -> list[tuple[Run, Tested]]:
    """Those that were evaluated for the report."""
    return [(run, run.tested) for run in runs if run.tested is not None]


def percent(share: float | None, *, digits: int = 1) -> str:
    return "–" if share is None else f"{100 * share:.{digits}f}"


def ends(interval: Sequence[float] | None, *, digits: int = 1) -> str:
    """Of an interval, in per cent."""
    return "" if interval is None else "–".join(percent(end, digits=digits) for end in interval)


def number(share: float | None, *, run: str, key: str, digits: int = 2) -> Html:
    """A share in per cent; its exact value is in the markup, for programs."""
    if share is None:
        return element("span", "–", title="not known")
    return element("data", percent(share, digits=digits), value=repr(share), data_run=run, data_key=key)


def with_interval(value: Html, interval: Sequence[float] | None, *, digits: int = 2) -> Html:
    if interval is None:
        return value
    return element("span", value, " ", element("span", ends(interval, digits=digits), class_="interval"), class_="both")


def count(value: int) -> str:
    return f"{value:,}"
