"""The evaluation protocol: the test data, each run's protocol in words, and whether runs can be compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from markupsafe import Markup

from passerby.data.dataset import people
from passerby.explain.images import ImageSet
from passerby.report.components import bullets, code, count, details, heading, paragraph, table
from passerby.report.inputs.comparison import comparable, paired, protocol_of
from passerby.report.inputs.evaluation import Evaluation, ModelEvaluation
from passerby.report.inputs.run import Run, evaluated, group_by_data
from passerby.report.registry import section
from passerby.report.templates import format_html, join_html
from passerby.types import Protocol, Role, Sample

_NOT_COMPARABLE = (
    "The runs were evaluated under different protocols (which images count, over how many galleries, or how average "
    "precision is computed): their metrics are not comparable, and no differences are given."
)
_BY_PAPER = (
    "The protocols agree in what counts, but each run compares images as its paper does: differences are between whole "
    "methods, distance included."
)
_INTERVALS = (
    "Intervals of a run's metrics are 95 % intervals by bootstrap over queries, which assumes that queries are "
    "independent. Images of one person are similar, so with other people the metrics would vary more than the "
    "intervals show. "
)
_DIFFERENCES = "Intervals of differences resample people, each with all of its queries, and account for that. "
_SEEDS = "No interval covers the variation between random seeds of the training."


@section("protocol", "Evaluation protocol", order=30)
def protocol(runs: Sequence[Run]) -> Iterator[str]:
    """Yield the data of the evaluations, and the protocols in words."""
    if any(protocol_of(run) for run in runs):
        yield from _protocols(runs)
    if groups := group_by_data(evaluated(runs)):
        yield heading("Test data")
        for spec, members in groups.items():
            evaluation = members[0][1]
            yield _data(spec, evaluation, [run.label for run, _ in members])
            yield _counts(evaluation.splits)
            if images := [each.images for _, each in members if isinstance(each, ModelEvaluation)]:
                yield _privacy(images)
            yield details("Images by camera", _cameras(evaluation.splits))


def _protocols(runs: Sequence[Run]) -> Iterator[Markup]:
    protocols = {str(found): found for run in runs if (found := protocol_of(run)) is not None}
    if not comparable(runs):
        yield paragraph(_NOT_COMPARABLE, kind="warn")
    elif len(protocols) > 1:
        yield paragraph(_BY_PAPER)
    for name, found in protocols.items():
        labels = [run.label for run in runs if str(protocol_of(run)) == name]
        owners = f"{' and '.join(labels)}: " if len(protocols) > 1 else None
        yield paragraph(join_html(owners, code(name)))
        yield bullets(describe(found))
    if evaluated(runs):
        differences = _DIFFERENCES if len(runs) > 1 and comparable(runs) and paired(runs) else ""
        yield paragraph(f"{_INTERVALS}{differences}{_SEEDS}")


_DISTANCES = {
    "global": "the squared Euclidean distance between their embeddings",
    "local": "the distance between their aligned stripes (DMLI)",
    "global_local": "the sum of the distance between their embeddings and the distance between their aligned stripes",
}


def describe(protocol: Protocol) -> list[str]:
    """Return a protocol in words, one sentence per rule."""
    norm = "L2-normalized" if protocol.normalize else "not normalized"
    rules = [f"Two images are compared by {_DISTANCES[protocol.distance]}, {norm}; smaller is closer."]
    if protocol.draws:
        rules.append(
            f"A gallery with one image per person, from another camera than the query's, is drawn {protocol.draws} "
            f"times (random seed {protocol.seed}); the metrics are means over the draws."
        )
    elif protocol.ignore_same_camera:
        rules.append(
            "Images of the query's person from the query's camera are ignored: neither true nor false matches. So is "
            "junk."
        )
    else:
        rules.append("Images from all cameras count, the query's own camera included; junk is ignored.")
    if not protocol.draws:
        precision = "at each true match" if protocol.average_precision == "step" else "by the trapezoid rule"
        rules.append(f"Average precision is the mean of the precision {precision}.")
    if protocol.flip_tta:
        rules.append("Flip test-time augmentation: each embedding is averaged with that of the mirrored image.")
    if protocol.rerank:
        rules.append(f"The gallery was {protocol.rerank}.")
    if protocol.multi_query:
        rules.append(
            "Multi-query: all images of a query's person from its camera form one query, the "
            f"{protocol.multi_query} of their embeddings."
        )
    return [*rules, "Queries without a true match in the gallery are left out."]


def _data(spec: str, evaluation: Evaluation, labels: Sequence[str]) -> Markup:
    verb = "was" if len(labels) == 1 else "were"
    name = evaluation.dataset.name if isinstance(evaluation, ModelEvaluation) else "precomputed embeddings"
    text = "{}: {}, on which {} {} evaluated for this report."
    return paragraph(format_html(text, code(spec), name, " and ".join(labels), verb))


def _counts(splits: Mapping[str, Sequence[Sample]]) -> Markup:
    head = ("split", "images", "people", "cameras", "junk", "distractors")
    return table("Images, people and cameras", head, [(name, *_row(split)) for name, split in splits.items()])


def _row(samples: Sequence[Sample]) -> Iterator[str]:
    roles = Counter(sample.role for sample in samples)
    cameras = {sample.camid for sample in samples} - {None}
    counts = len(samples), len(people(samples)), len(cameras), roles[Role.JUNK], roles[Role.DISTRACTOR]
    return map(count, counts)


def _cameras(splits: Mapping[str, Sequence[Sample]]) -> Markup:
    counts = [Counter(sample.camid for sample in split) for split in splits.values()]
    cameras = sorted({camera for each in counts for camera in each}, key=lambda c: (c is None, c or 0))
    rows = [
        ("unknown" if camera is None else str(camera), *(count(each[camera]) for each in counts)) for camera in cameras
    ]
    return table("Images by camera", ("camera", *splits), rows)


def _privacy(images: Sequence[ImageSet]) -> Markup:
    """Return whether heads are blurred, and what that means for passing the report on."""
    if any(each.blurs for each in images):
        text = (
            "Heads are blurred in all images of this report where they are found, and most or all of an image where no "
            "head is found with certainty. A face elsewhere, such as that of a child in front of a person, may remain: "
            "check before you share the report. File names, folders and commands are not hidden. The models saw the "
            "original images."
        )
    elif all(each.source.is_synthetic for each in images):
        text = "The images are synthetic, so heads are not blurred."
    else:
        text = "The images show real people and heads are not blurred, as requested: share the report with care."
    return paragraph(text, kind="note")
