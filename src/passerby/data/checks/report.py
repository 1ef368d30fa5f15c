"""What the doctor says of a dataset: counts, findings, and both together."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

Level: TypeAlias = Literal["error", "warning", "info"]
LEVELS: tuple[Level, ...] = ("error", "warning", "info")


class Count(NamedTuple):
    """How much one camera adds to one split."""

    split: str
    camera: str
    """The number; ``unknown``; or ``all`` in the row that sums a split up."""
    images: int
    people: int
    """Junk and distractors are images of nobody."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to know, with every file that it is about."""

    level: Level
    rule: str
    message: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What the doctor saw. Findings come with the errors first."""

    dataset: str
    counts: tuple[Count, ...]
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether there are no errors."""
        return all(finding.level != "error" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "dataset": self.dataset,
            "ok": self.ok,
            "counts": [count._asdict() for count in self.counts],
            "findings": [asdict(finding) for finding in self.findings],
        }
