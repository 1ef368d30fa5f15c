"""The whole page: one file that needs no network."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

from markupsafe import Markup

from passerby.report.components import code, interval_text, number, percent
from passerby.report.inputs.evaluation import FeaturesEvaluation
from passerby.report.inputs.metrics import METRICS
from passerby.report.inputs.run import Run
from passerby.report.registry import Section
from passerby.report.templates import format_html, join_html, render

_VERSION = version("passerby")
_TILES = ("cmc.1", "mean_ap", "minp")
_LIMITS = (
    "Re-identification makes errors, and more errors for some people than for others. A hit is a lead for a human to "
    "verify, never an identity, and never the sole ground of a decision about a person."
)


def page(runs: Sequence[Run], sections: Sequence[Section], *, created: str) -> str:
    """Return the HTML of a report; sections without content are left out.

    Args:
        created: the date and time, in words.
    """
    values = {
        "title": f"Report of {_labels(runs)}",
        "version": _VERSION,
        "created": created,
        "limits": _LIMITS,
        "summaries": [_summary(run) for run in runs],
        "tiles": _tiles(runs[0]) if len(runs) == 1 else [],
        "sections": [section for section in sections if section.content],
    }
    return f"{render('report', **values)}\n"


def _labels(runs: Sequence[Run]) -> str:
    labels = [run.label for run in runs]
    return labels[0] if len(labels) == 1 else f"{', '.join(labels[:-1])} and {labels[-1]}"


def _summary(run: Run) -> Markup:
    """Return one line about a run: the model, its training data, its test data."""
    record, evaluation = run.record, run.evaluation
    if isinstance(evaluation, FeaturesEvaluation):
        model = f" of the model {record.name}" if record.model else ", whose model is not recorded"
        text = "<b>{}</b>: precomputed embeddings{}, evaluated on their query and gallery."
        return format_html(text, run.label, model)
    place = record.setting("data.train")
    name = format_html("<b>{}</b>: model {}", run.label, record.name)
    if place and evaluation and evaluation.spec == place:
        return join_html(
            name, ", trained on the training split of ", code(place), ", evaluated on its query and gallery splits."
        )
    trained = join_html(", trained on ", code(str(place))) if place else ", imported"
    evaluated = join_html("; evaluated on ", code(evaluation.spec)) if evaluation else None
    unfinished = "; not finished" if not record.model else None
    return join_html(name, trained, evaluated, unfinished, ".")


def _tiles(run: Run) -> list[dict[str, str]]:
    """Return the metrics that people quote, with their names."""
    found = []
    for metric in METRICS:
        value = metric.of(run.numbers)
        if metric.key in _TILES and value is not None:
            interval = interval_text(metric.interval_of(run.numbers))
            about = None if interval is None else f"95 %: {interval}"
            shown = number(value, f"{percent(value)} %", run=run.label, key=metric.key, interval=about)
            found.append({"name": metric.name, "number": shown})
    return found
