"""Whom the numbers are of: pictures, people and cameras of each split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from passerby.data.dataset import SPLITS, Dataset, people
from passerby.report.components import Content, Html, code, element, folded, paragraph, table
from passerby.report.inputs.run import Run, Section, count, tested
from passerby.types import Role, Sample


def data(runs: Sequence[Run]) -> Section:
    found = {each.spec: (each.dataset, [run.label for run, other in tested(runs) if other.spec == each.spec])
             for _, each in tested(runs)}  # fmt: skip
    content: list[Content] = []
    for spec, (dataset, labels) in found.items():
        content.append(paragraph(code(spec), f": {dataset.name}, on which {' and '.join(labels)} ", _were(labels)))
        content += [_counts(dataset), _privacy(runs, spec), folded("Pictures by camera", _cameras(dataset))]
    return Section("data", "Data", tuple(content))


def _were(labels: Sequence[str]) -> str:
    return f"{'was' if len(labels) == 1 else 'were'} evaluated for this report."


def _counts(dataset: Dataset) -> Html:
    head = ("split", "pictures", "people", "cameras", "junk", "distractors")
    rows = [(name, *_row(dataset, getattr(dataset, name))) for name in SPLITS]
    return table("Pictures, people and cameras", head, rows)


def _row(dataset: Dataset, samples: Sequence[Sample]) -> Iterable[str]:  # noqa: ARG001
    roles = Counter(sample.role for sample in samples)
    cameras = {sample.camid for sample in samples} - {None}
    counts = len(samples), len(people(samples)), len(cameras), roles[Role.JUNK], roles[Role.DISTRACTOR]
    return map(count, counts)


def _cameras(dataset: Dataset) -> Html:
    splits = [getattr(dataset, name) for name in SPLITS]
    counts = [Counter(sample.camid for sample in samples) for samples in splits]
    cameras = sorted({camera for each in counts for camera in each}, key=lambda c: (c is None, c or 0))
    rows = [
        ("unknown" if camera is None else str(camera), *(count(each[camera]) for each in counts)) for camera in cameras
    ]
    return table("Pictures by camera", ("camera", *SPLITS), rows)


def _privacy(runs: Sequence[Run], spec: str) -> Html:
    albums = [run.album for run, found in tested(runs) if found.spec == spec and run.album is not None]
    if any(album.blurs for album in albums):
        said = (
            "Heads are blurred in all pictures of this report where they are found, and most or all of a picture where "
            "none surely is. A face elsewhere, such as a child's in front of somebody, may have stayed: look "
            "before you pass it on. Names of files, folders and commands stand here as they are. The models saw "
            "sharp pictures."
        )
    elif all(album.source.is_synthetic for album in albums):
        said = "Nobody in these pictures exists, so heads are not blurred."
    else:
        said = (
            "These are pictures of real people, and heads are not blurred, as was asked for: mind who gets to see them."
        )
    return element("p", said, class_="note")
