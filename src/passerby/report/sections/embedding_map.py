"""A map of the embeddings of some people: do one person's pictures lie together, or one camera's?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from passerby.errors import PasserbyError
from passerby.figures.embedding_map import Color, embedding_figure, embeddings_of_people
from passerby.report.components import Content, Html, element, paragraph
from passerby.report.figure import drawn
from passerby.report.inputs.evaluated_run import Tested
from passerby.report.inputs.run import Run, Section, tested
from passerby.report.sections.retrieval import compared
from passerby.types import Embeddings

_CAPTIONS: dict[Color, str] = {
    "person": "Where the points of one person lie together, the model knows who it is.",
    "camera": "Where the points of one camera lie together, it has learned the place.",
}


def embedding(runs: Sequence[Run]) -> Section:
    content: list[Content] = []
    for run, found in tested(runs):
        content += [element("h3", f"Embeddings of {run.label}"), *_maps(run, found)]
    return Section("embedding", "Map of the embeddings", tuple(content))


def _maps(run: Run, found: Tested) -> Iterable[Content]:
    some = embeddings_of_people(compared(run, found).combined)
    for color in _CAPTIONS:
        try:
            yield _map(run, found, some, color)
        except PasserbyError as error:  # noqa: PERF203 - cameras may be unknown where people are known
            yield paragraph(f"No map by {color}: {error}")


def _map(run: Run, found: Tested, some: Embeddings, color: Color) -> Html:
    figure = embedding_figure(
        some,
        title=f"{run.label} on {found.spec}",
        method="tsne",
        color=color,
        normalize=found.result.protocol.normalize,
        album=run.album if color == "person" else None,
    )
    people = 0 if some.pids is None else len(some.pids.unique())
    alt = f"A map of {len(some)} embeddings of {run.label} by t-SNE, {people} people, a point a picture, by {color}. "
    return drawn(figure, alt=f"{alt}{_CAPTIONS[color]}", caption=f"By {color}. {_CAPTIONS[color]}")
