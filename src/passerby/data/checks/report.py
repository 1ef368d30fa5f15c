"""The result of checking a dataset: counts and findings."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

Level: TypeAlias = Literal["error", "warning", "info"]
LEVELS: tuple[Level, ...] = ("error", "warning", "info")


class Count(NamedTuple):
    """The number of images and people of one camera in one split."""

    split: str
    camera: str
    """The camera ID; ``unknown``; or ``all`` in the row that sums up a split."""
    images: int
    people: int
    """The number of people, without those of junk and distractors."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem or a fact about a dataset, with every file that it concerns."""

    level: Level
    rule: str
    message: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """The counts and findings of a dataset; errors come first."""

    dataset: str
    counts: tuple[Count, ...]
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """A flag of datasets without errors."""
        return all(finding.level != "error" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "dataset": self.dataset,
            "ok": self.ok,
            "counts": [count._asdict() for count in self.counts],
            "findings": [asdict(finding) for finding in self.findings],
        }
