"""The check whether a calibration holds for the images of a gallery, and what a search may say of its hits.

Verdicts are withheld where the estimated rate of false matches exceeds three times the stated one. Where it exceeds it
by less, verdicts get a further margin with which it does not. P(same person) is that of the gallery's size: the share
of pairs of one person is at most the assumed one, which falls as a gallery grows. Where distances are larger than those
of the calibration, *no evidence* becomes *unsure*: true matches are that far apart, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from passerby.gallery.verdicts.pairs import assumed_share, own_pairs
from passerby.gallery.verdicts.rows import Rows
from passerby.metrics.calibration import DIFFERENT_AT, SAME_AT, Calibration
from passerby.metrics.false_matches import ENOUGH, EXCESS, FalseMatches, State, false_matches, stricter
from passerby.types import Verdict

_PAIRS_OF = {
    "people": "pairs of different known people of this gallery",
    "tracklets": "pairs of this gallery whose tracklets overlap in one camera",
    "random": "random pairs of this gallery",
}


@dataclass(frozen=True)
class DomainCheck:
    """A calibration, and how it fares on pairs of a gallery's own rows."""

    calibration: Calibration
    """The calibration, with a further margin where the gallery asks for one."""
    rows: int
    """The number of rows that a search may find."""
    prior: float
    """The share of same pairs that P(same person) is given for."""
    found: FalseMatches | None
    """The rate of false matches; ``None`` for a gallery without pairs."""
    margin: float = 0.0
    """The further margin of verdicts."""
    own: bool = False
    """The flag that the calibration is of pairs of this gallery."""

    @classmethod
    def of(
        cls, rows: Rows, calibration: Calibration, *, seed: int = 0, own: bool = False, same: float | None = None
    ) -> DomainCheck:
        """Check a calibration on some rows.

        Args:
            seed: what decides which of many rows are sampled.
            own: whether the calibration is of pairs of these rows.
            same: the share of random pairs of one person, where the calibration has estimated it.
        """
        prior = assumed_share(len(rows))
        prior = prior if own else min(prior, calibration.prior)
        pairs = own_pairs(rows, normalize=calibration.protocol.normalize, seed=seed)
        if pairs is None:
            return cls(calibration, len(rows), prior, None, own=own)
        pairs = replace(pairs, measured=same)
        found = false_matches(calibration, pairs, prior=prior)
        used = stricter(calibration, pairs, prior=prior) if found.state == "holds" else calibration
        return cls(used, len(rows), prior, found, used.margin - calibration.margin, own)

    @property
    def state(self) -> State:
        """The decision: whether verdicts hold, are withheld, or pairs are too few to tell."""
        return "unknown" if self.found is None else self.found.state

    def verdict(self, distance: float) -> tuple[float | None, Verdict]:
        """Return P(same person) of a hit, and the verdict; ``None`` and *withheld* where the calibration fails here."""
        if self.state == "withheld":
            return None, "withheld"
        probability, verdict = self.calibration.verdict(distance, prior=self.prior)
        if verdict == "no evidence" and self.found is not None and self.found.distant:
            return probability, "unsure"
        return probability, verdict

    def expected(self, images: int | None = None) -> float | None:
        """Return how many images of other people may be *possible* for one query; ``None`` where pairs are too few.

        Args:
            images: the number of images that are searched; by default all.
        """
        if self.found is None or self.state == "unknown":
            return None
        high = self.found.interval[1]
        return (self.rows if images is None else images) * (min(high, SAME_AT) if self.margin else high)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        values = {} if self.found is None else self.found.to_dict()
        return {
            "state": self.state,
            **values,
            "margin": self.margin,
            "prior": self.prior,
            "expected_false_matches": self.expected(),
            "reason": self.reason,
        }

    @property
    def reason(self) -> str:
        """The decision in sentences."""
        if self.found is None:
            return f"{_UNKNOWN}: there are no pairs to tell."
        start = {"withheld": "Verdicts are withheld", "unknown": _UNKNOWN, "holds": "Verdicts hold here"}[self.state]
        sentences = [f"{start}: {self._measured()}."]
        if self.margin:
            sentences.append(f"They keep a further margin of {self.margin:.3f}, with which that holds.")
        return " ".join([*sentences, *([self._next] if self.state == "withheld" else self._remarks())])

    @property
    def _next(self) -> str:
        return _NEXT_OF_OWN if self.own else _NEXT

    def _remarks(self) -> Iterator[str]:
        """Yield what is to be known of verdicts that are given."""
        if self.found is not None and self.found.distant:
            yield (
                f"Distances are larger here than where it was calibrated: {_percent(self.found.near or 0)} of pairs "
                f"are nearer than the threshold of {_percent(DIFFERENT_AT)}, so large ones are called unsure. "
                f"{self._next}."
            )
        if (expected := self.expected()) is not None and expected >= 1:
            yield f"At this size about {expected:,.0f} images of other people may be possible for each query."

    def _measured(self) -> str:
        found = self.found
        assert found is not None
        share = f"{_percent(found.share)} are possible (expected at most {_percent(SAME_AT)} of different people"
        if found.kind == "random":
            share += f"; {_percent(found.same)} are taken to be of one person"
        few = f", and at least {ENOUGH:,} independent ones are needed to tell" if self.state == "unknown" else ""
        limit = f", withheld beyond {EXCESS:g} times that" if self.state == "withheld" else ""
        return f"of {found.pairs:,} {_PAIRS_OF[found.kind]} {share}{limit}){few}"


_UNKNOWN = "Whether verdicts hold for these images is not known"
_NEXT = (
    "Fix: calibrate on pairs of these images that you have confirmed, passerby calibrate RUN --gallery GALLERY, or "
    "adapt the model to them, passerby adapt"
)
_NEXT_OF_OWN = (
    "Fix: confirm further pairs and calibrate again, passerby calibrate RUN --gallery GALLERY --overwrite, or adapt "
    "the model to these images, passerby adapt"
)


def _percent(share: float) -> str:
    return f"{share:.2%}" if share == 0 or share >= 1e-4 else f"{share:.1g}"
