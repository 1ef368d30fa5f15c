"""Attention: the maps and weights of a model's own attention modules, for some of the queries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from markupsafe import Markup

from passerby.errors import PasserbyError
from passerby.explain.attention.capture import AttentionKind, attention_kinds
from passerby.explain.images import ModelView
from passerby.figures.registry import attention_figure
from passerby.report.components import heading, paragraph
from passerby.report.figure import show_figure
from passerby.report.inputs.evaluation import ModelEvaluation
from passerby.report.inputs.run import Run, evaluated_with_model, view_queries
from passerby.report.registry import section

_CONTENT: dict[AttentionKind, str] = {
    "attributes": "activation maps of the predicted attributes (AANet, Fig 6)",
    "intra": "masks of intra-attention, block by block (Attention Driven, Fig 7)",
    "self": "self-attention from selected positions (Dual Attention, Eq 2)",
    "inter": "weights of the body parts (Attention Driven, Eq 8)",
    "channels": "channel weights, block by block (AaP-ReID, Eq 2–3; Dual Attention, SE)",
    "positions": "position weights, block by block",
}


@section("attention", "Attention", order=85, needs="model")
def attention(runs: Sequence[Run]) -> Iterator[str]:
    """Yield one figure per kind of attention of every run's model; one without attention is among what is missing."""
    for run, evaluation in evaluated_with_model(runs):
        if kinds := attention_kinds(evaluation.model.network):
            yield heading(f"Attention of {run.label}")
            yield from _figures(run, evaluation, kinds)


def _figures(run: Run, evaluation: ModelEvaluation, kinds: Sequence[AttentionKind]) -> Iterator[Markup]:
    try:
        view = view_queries(evaluation)
    except PasserbyError as error:
        yield paragraph(f"No attention maps: {error}")
        return
    for kind in kinds:
        yield _figure(run, evaluation, view, kind)


def _figure(run: Run, evaluation: ModelEvaluation, view: ModelView, kind: AttentionKind) -> Markup:
    content = _CONTENT[kind]
    labels = {"truth": evaluation.attributes} if kind == "attributes" else {}
    try:
        figure = attention_figure(kind).draw(view, title=f"{run.label} on {evaluation.spec}: {content}", **labels)
    except PasserbyError as error:
        return paragraph(f"Not shown, {content}: {error}")
    title = f"{content[0].upper()}{content[1:]}"
    people = ", ".join(str(sample.pid) for sample in view.samples)
    return show_figure(figure, alt=f"{title}, for images of people {people}.", caption=f"{title}.")
