"""The embedding map: a t-SNE of the embeddings of some people, by person and by camera."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from markupsafe import Markup

from passerby.errors import PasserbyError
from passerby.figures.embedding_map import Color, embedding_figure, embeddings_of_people
from passerby.report.components import heading, paragraph
from passerby.report.figure import show_figure
from passerby.report.inputs.evaluation import Evaluation, ModelEvaluation
from passerby.report.inputs.run import Run, evaluated, evaluated_embeddings
from passerby.report.registry import section
from passerby.types import Embeddings

_CAPTIONS: dict[Color, str] = {
    "person": "Where the points of one person form a cluster, the model recognizes the person.",
    "camera": "Where the points of one camera form a cluster, the model has learned the place.",
}


@section("embedding-map", "Embedding map", order=90, needs="embeddings")
def embedding_map(runs: Sequence[Run]) -> Iterator[str]:
    """Yield the maps of every run, colored by person and by camera."""
    for run, evaluation in evaluated(runs):
        yield heading(f"Embeddings of {run.label}")
        some = embeddings_of_people(evaluated_embeddings(run, evaluation).combined)
        for color in _CAPTIONS:
            try:
                yield _figure(run, evaluation, some, color)
            except PasserbyError as error:  # noqa: PERF203 - cameras may be unknown where people are known
                yield paragraph(f"No map by {color}: {error}")


def _figure(run: Run, evaluation: Evaluation, some: Embeddings, color: Color) -> Markup:
    images = evaluation.images if isinstance(evaluation, ModelEvaluation) else None
    figure = embedding_figure(
        some,
        title=f"{run.label} on {evaluation.spec}",
        method="tsne",
        color=color,
        normalize=evaluation.result.protocol.normalize,
        images=images if color == "person" else None,
    )
    people = 0 if some.pids is None else len(some.pids.unique())
    alt = f"A t-SNE map of {len(some)} embeddings of {run.label}, {people} people, one point per image, colored by "
    alt += f"{color}. {_CAPTIONS[color]}"
    return show_figure(figure, alt=alt, caption=f"Colored by {color}. {_CAPTIONS[color]}")
