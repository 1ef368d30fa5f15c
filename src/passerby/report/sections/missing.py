"""What the report could not show, why, and how to get it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from passerby.report.components import bullets
from passerby.report.inputs.run import Run
from passerby.report.registry import section
from passerby.report.templates import format_html


@section("missing", "Missing from this report", order=140)
def missing(runs: Sequence[Run]) -> Iterator[str]:
    """Yield one list item per missing part, with the remedy."""
    template = '<b>{}: {}</b>: {}. <span class="remedy">{}</span>'
    items = [format_html(template, run.label, each.what, each.why, each.remedy) for run in runs for each in run.missing]
    if items:
        yield bullets(items)
