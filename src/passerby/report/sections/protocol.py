"""How numbers were counted: each run's protocol in words, and whether two of them compare."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace

from passerby.report.components import Content, bullets, code, element, paragraph
from passerby.report.inputs.evaluated_run import comparable
from passerby.report.inputs.run import Run, tested
from passerby.types import Protocol

_UNLIKE = (
    "The runs were counted in unlike ways (which pictures count, over how many galleries, or how average precision is "
    "taken): their numbers do not compare, and no differences are given."
)
_AS_PAPERS = (
    "The runs count alike, but each compares pictures as its paper does: their differences are of whole methods, "
    "distance included."
)
_OF_INTERVALS = (
    "A run's own intervals are 95 % by bootstrap over the queries, which it takes as independent of each other. "
    "Pictures of one person are alike, so what other people would change is more than they say. "
)
_OF_DIFFERENCES = "Intervals of differences draw people, each with all of its queries, and so allow for that. "
_OF_SEEDS = "None of them knows of other seeds of the training."


def counted(runs: Sequence[Run]) -> Iterable[Content]:
    yield element("h3", "How they were counted")
    protocols = {str(protocol): protocol for run in runs if (protocol := protocol_of(run)) is not None}
    if not alike(runs):
        yield paragraph(_UNLIKE, class_="warn")
    elif len(protocols) > 1:
        yield paragraph(_AS_PAPERS)
    for shown, protocol in protocols.items():
        names = [run.label for run in runs if str(protocol_of(run)) == shown]
        whose = f"{' and '.join(names)}: " if len(protocols) > 1 else ""
        yield paragraph(whose, code(shown))
        yield bullets(in_words(protocol))
    if tested(runs):
        paired = len(runs) > 1 and alike(runs) and comparable([run.tested for run in runs])
        yield paragraph(_OF_INTERVALS, _OF_DIFFERENCES if paired else None, _OF_SEEDS)


def alike(runs: Sequence[Run]) -> bool:
    """Whether the same things count for all; how a run compares two pictures is its method, and may differ."""
    plain = Protocol()
    return len({
        replace(found, name=plain.name, distance=plain.distance, normalize=plain.normalize, flip_tta=plain.flip_tta)
        for run in runs
        if (found := protocol_of(run)) is not None
    }) <= 1  # fmt: skip


def protocol_of(run: Run) -> Protocol | None:
    said = asdict(run.tested.result.protocol) if run.tested else run.record.metrics.get("protocol")
    return Protocol.from_dict(said) if said else None


_DISTANCES = {
    "global": "the squared Euclidean distance of their embeddings",
    "local": "the distance of their aligned stripes (DMLI)",
    "global_local": "the distance of their embeddings and that of their aligned stripes, added",
}


def in_words(protocol: Protocol) -> list[str]:
    """A protocol, a sentence a rule."""
    length = "of length 1" if protocol.normalize else "as long as they are"
    said = [f"Two pictures are compared by {_DISTANCES[protocol.distance]}, {length}; smaller is closer."]
    if protocol.draws:
        said.append(
            f"A gallery of one picture a person, by another camera than the query's, is drawn {protocol.draws} times "
            f"(seed {protocol.seed}); the shares are means over the draws."
        )
    elif protocol.ignore_same_camera:
        said.append(
            "Pictures of the query's person by its own camera count neither as right nor as wrong, nor does junk."
        )
    else:
        said.append("All cameras count, the query's own among them; junk does not.")
    if not protocol.draws:
        precise = "at each right picture" if protocol.average_precision == "step" else "by the trapezoid rule"
        said.append(f"Average precision is the mean of the precision {precise}.")
    if protocol.flip_tta:
        said.append("Each picture's embedding is averaged with that of its mirror image.")
    if protocol.rerank:
        said.append(f"The gallery was {protocol.rerank}.")
    if protocol.multi_query:
        said.append(f"All pictures of a query's person by its camera ask as one: their {protocol.multi_query}.")
    return [*said, "A query whose person the gallery lacks counts nowhere."]
