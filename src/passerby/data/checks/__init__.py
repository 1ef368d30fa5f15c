"""The data doctor: what will hurt a training, an evaluation or a search, in plain words, with file names.

:mod:`.examined` opens the files, :mod:`.rules` finds what is wrong, :mod:`.report` is what is said of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from passerby.data.checks.examined import ExaminedDataset, inspect_files
from passerby.data.checks.report import LEVELS, Count, Finding, Report
from passerby.data.checks.rules import RULES
from passerby.data.dataset import SPLITS, Dataset, people
from passerby.types import Sample

__all__ = ["Count", "Finding", "Report", "check"]


def check(dataset: Dataset, *, decode_images: bool = True, workers: int = 2) -> Report:
    """Examine a dataset where it lies; ``decode_images`` reads and decodes every file, with ``workers`` threads."""
    looks = inspect_files(dataset, workers) if decode_images else {}
    examined = ExaminedDataset(dataset, looks)
    findings = [finding for rule in RULES for finding in rule(examined)]
    findings.sort(key=lambda finding: LEVELS.index(finding.level))
    return Report(dataset.name, tuple(_counts(dataset)), tuple(findings))


def _counts(dataset: Dataset) -> Iterator[Count]:
    for split in SPLITS:
        cameras: dict[int | None, list[Sample]] = defaultdict(list)
        for sample in getattr(dataset, split):
            cameras[sample.camid].append(sample)
        total = [s for samples in cameras.values() for s in samples]
        yield Count(split, "all", len(total), len(people(total)))
        for camid in sorted(cameras, key=lambda c: (c is None, c)):
            name = "unknown" if camid is None else str(camid)
            yield Count(split, name, len(cameras[camid]), len(people(cameras[camid])))
