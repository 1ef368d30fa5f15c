"""Check a dataset for what would harm a training, an evaluation or a search; findings name their files.

:mod:`.inspection` opens the files, :mod:`.rules` finds what is wrong, :mod:`.report` holds the findings.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from passerby.data.checks.inspection import ExaminedDataset, inspect_files
from passerby.data.checks.report import LEVELS, Count, Finding, Report
from passerby.data.checks.rules import RULES
from passerby.data.dataset import SPLITS, Dataset, people
from passerby.types import Sample

__all__ = ["Count", "Finding", "Report", "check"]


def check(dataset: Dataset, *, decode_images: bool = True, workers: int = 2) -> Report:
    """Check a dataset.

    Args:
        dataset: the dataset.
        decode_images: whether to read and decode every file.
        workers: the number of decoding threads.
    """
    examined = ExaminedDataset(dataset, inspect_files(dataset, workers) if decode_images else {})
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
