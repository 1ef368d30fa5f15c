"""The calibration of a run's distances: P(same person), and thresholds at false-match rates; stored as JSON.

The verdict on a hit is

- *possible* if its distance is below the threshold of the false-match rate 1e-3, and P(same person) is at least ½;
- *no evidence* if it is not below that of 1e-2, and P(same person) is below ½;
- *unsure* otherwise, also if there were too few pairs to know the threshold.

Probability alone would depend on the gallery's share of same pairs, a rate alone would ignore it; both are required.
Where another share is known, as of a larger gallery, P(same person) is converted to it first (``prior``).
All of it holds for images like those that it was fitted on: nothing here tells whether others are like them, so no
verdict says more than that two images may show one person. For images that are known to differ there is a ``margin``:
*possible* and P(same person) are then those of a distance larger by it, *no evidence* is that of a smaller one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from passerby.config import read_json
from passerby.errors import ConfigError, ProtocolError
from passerby.files import atomic_write
from passerby.metrics.open_set import Pairs
from passerby.metrics.probability import Curve, Sigmoid, Steps, with_prior
from passerby.metrics.verification import CalibrationQuality, Threshold, ThresholdQuality, measure
from passerby.types import Protocol, Verdict

CALIBRATION = "calibration.json"
"""The name of the file in a run folder."""
FORMAT = 2
"""The version of the file; version 1 has no margin."""
SAME_AT, DIFFERENT_AT = 1e-3, 1e-2
"""The false-match rates that decide the verdict on a hit."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """A curve from distance to P(same person), thresholds, and the data that they were fitted on."""

    curve: Curve
    thresholds: tuple[Threshold, ...]
    same: int
    """The number of same pairs that it was fitted on."""
    different: int
    """The number of different pairs that it was fitted on."""
    protocol: Protocol
    """The protocol, which decides how distances are computed and which pairs count."""
    fingerprint: str
    """The fingerprint of the model (:class:`~passerby.inference.model.Model`)."""
    data: str
    """The path of the images."""
    content: str
    """The digest of the images (:func:`~passerby.data.digest.dataset_digest`)."""
    seed: int
    """The seed that decided which people were held out."""
    held_out: CalibrationQuality
    """The quality, on one half of the people, of a calibration fitted on the other half; this one is fitted on all."""
    margin: float = 0.0
    """The distance by which verdicts are stricter than the fitted pairs ask for, as other images differ from them."""

    @property
    def place(self) -> str:
        """The images that it was fitted on, and the margin if there is one, in words."""
        return f"{self.data}, with a margin of {self.margin:g}" if self.margin else self.data

    @property
    def prior(self) -> float:
        """The share of same pairs among the fitted ones."""
        return self.same / (self.same + self.different)

    def probability(self, distances: Float[Tensor, "..."], *, prior: float | None = None) -> Float[Tensor, "..."]:
        """Return P(same person) of pairs, with the margin; it never rises with the distance.

        Args:
            prior: share of same pairs in the data of these pairs; by default that of the fitted data.
        """
        found = self.curve(distances + self.margin)
        return found if prior is None else with_prior(found, old=self.prior, new=prior)

    def threshold(self, rate: float) -> float | None:
        """Return the threshold of a false-match rate; ``None`` if there were too few pairs.

        Raises:
            ProtocolError: if it was not fitted for this rate.
        """
        known = {each.rate: each.distance for each in self.thresholds}
        if rate not in known:
            raise ProtocolError(f"no threshold for the false-match rate {rate:g}: expected one of {_joined(known)}")
        return known[rate]

    def possible(self, distances: Float[Tensor, "..."], *, prior: float | None = None) -> Bool[Tensor, "..."]:
        """Return of which pairs the verdict is *possible*; ``prior`` as in :meth:`probability`."""
        found = self.accepted(distances, SAME_AT)
        found[found.clone()] = self.probability(distances[found], prior=prior) >= 0.5
        return found

    def accepted(self, distances: Float[Tensor, "..."], rate: float) -> Bool[Tensor, "..."]:
        """Return which pairs are below the threshold of a false-match rate, with the margin; none without a threshold.

        Raises:
            ProtocolError: if it was not fitted for this rate.
        """
        near = self.threshold(rate)
        return distances.double() + self.margin < (-math.inf if near is None else near)

    def verdict(self, distance: float, *, prior: float | None = None) -> tuple[float, Verdict]:
        """Return P(same person) of one pair, and the verdict (see above).

        Args:
            prior: share of same pairs in the data of this pair; by default that of the fitted data.
        """
        strict, lenient = distance + self.margin, distance - self.margin
        found = self.curve(torch.tensor([strict, lenient], dtype=torch.float64))
        probability, most = (found if prior is None else with_prior(found, old=self.prior, new=prior)).tolist()
        near, far = self.threshold(SAME_AT), self.threshold(DIFFERENT_AT)
        if near is not None and strict < near and probability >= 0.5:
            return probability, "possible"
        if far is not None and lenient >= far and most < 0.5:
            return probability, "no evidence"
        return probability, "unsure"

    def false_match_rate(self, distance: float) -> float | None:
        """Return the least rate whose threshold a distance is below, with the margin; ``None`` if it is below none."""
        strict = distance + self.margin
        below = [each.rate for each in self.thresholds if each.distance is not None and strict < each.distance]
        return min(below, default=None)

    def mismatch(self, protocol: Protocol) -> str:
        """Return why it does not apply to the distances of a protocol; empty if it applies."""
        if protocol.rerank:
            return "re-ranked distances have no calibration"
        own, other = _distance_settings(self.protocol), _distance_settings(protocol)
        differ = [f"{name} {own[name]}, not {other[name]}" for name in own if own[name] != other[name]]
        return f"the run was calibrated with {'; '.join(differ)}" if differ else ""

    def evaluate(self, pairs: Pairs) -> CalibrationQuality:
        """Return its quality on pairs, which should be of people that it was not fitted on."""
        return measure(self.curve, self.thresholds, self.prior, pairs)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "format": FORMAT,
            "method": "isotonic" if isinstance(self.curve, Steps) else "logistic",
            **asdict(self),
            "held_out": self.held_out.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Calibration:
        """Build from the values of :meth:`to_dict`.

        Raises:
            KeyError, TypeError, ValueError: if the values are something else.
        """
        kept = {name: value for name, value in values.items() if name not in ("format", "method")}
        curve, held_out = values["curve"], values["held_out"]
        made: Curve = (
            Steps(tuple(curve["edges"]), tuple(curve["probabilities"]))
            if values["method"] == "isotonic"
            else Sigmoid(**curve)
        )
        at = tuple(ThresholdQuality(**each) for each in held_out["at"])
        return cls(
            **{
                **kept,
                "curve": made,
                "thresholds": tuple(Threshold(**each) for each in values["thresholds"]),
                "protocol": Protocol.from_dict({**values["protocol"]}),
                "held_out": CalibrationQuality(**{**held_out, "at": at}),
            }
        )


def write_calibration(run: str | Path, calibration: Calibration) -> None:
    """Write a calibration into a run folder, atomically; it replaces an older one."""
    with atomic_write(Path(run) / CALIBRATION) as partial:
        partial.write_text(json.dumps(calibration.to_dict(), indent=1) + "\n")


def read_calibration(run: str | Path) -> Calibration | None:
    """Read the calibration of a run folder; ``None`` if it has none.

    Raises:
        ConfigError: if its file is damaged or of a newer version.
    """
    file = Path(run) / CALIBRATION
    if not file.is_file():
        return None
    fix = "delete it, and calibrate the run again"
    return parse_calibration(read_json(file, fix=fix), str(file), fix=fix)


def parse_calibration(values: Any, place: str, *, fix: str) -> Calibration:
    """Return the calibration that plain values describe.

    Args:
        place: the file that they are from.
        fix: what a user can do about a damaged file.

    Raises:
        ConfigError: if they describe none, or one of a newer version.
    """
    try:
        if values["format"] > FORMAT:
            raise ConfigError(f"{place} has format {values['format']}, expected at most {FORMAT}. Fix: update passerby")
        calibration = Calibration.from_dict(values)
        _check(calibration)
        return calibration
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{place} is damaged ({error!r}). Fix: {fix}") from None


def _check(calibration: Calibration) -> None:
    """Check the values of a calibration that was read from a file.

    Raises:
        ValueError: if they are not what :meth:`Calibration.to_dict` writes.
    """
    curve, quality = calibration.curve, calibration.held_out
    if isinstance(curve, Steps):
        _check_numbers("edges", curve.edges)
        _check_numbers("probabilities", curve.probabilities, low=0, high=1)
        steps = len(curve.edges) + 1 == len(curve.probabilities)
        if (
            not steps
            or [*curve.edges] != sorted(curve.edges)
            or [*curve.probabilities] != sorted(curve.probabilities, reverse=True)
        ):
            raise ValueError("edges must ascend, and probabilities, one more, descend")
    else:
        _check_numbers("curve", (curve.slope, curve.intercept))
    counts: dict[str, object] = {"same": calibration.same, "different": calibration.different}
    for name, count in counts.items():
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise ValueError(f"{name} is a number of pairs, got {count!r}")
    rates = [*(each.rate for each in calibration.thresholds), *(each.rate for each in quality.at)]
    _check_numbers("rate", rates, low=0, high=1)
    if not {SAME_AT, DIFFERENT_AT} <= {each.rate for each in calibration.thresholds}:
        raise ValueError(f"there are thresholds at {SAME_AT:g} and {DIFFERENT_AT:g}")
    _check_numbers("distance", [d for each in calibration.thresholds if (d := each.distance) is not None])
    _check_numbers("held_out", [quality.ece, quality.ece_balanced], low=0, high=1)
    _check_numbers("margin", [calibration.margin], low=0)
    for name in ("fingerprint", "data", "content"):
        if not isinstance(value := getattr(calibration, name), str):
            raise ValueError(f"{name} is text, got {value!r}"[:200])
    if any(not isinstance(getattr(calibration.protocol, name), bool) for name in ("normalize", "flip_tta")):
        raise ValueError("normalize and flip_tta of the protocol are true or false")


def _check_numbers(name: str, values: Sequence[object], *, low: float = -math.inf, high: float = math.inf) -> None:
    for value in values:
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(f"{name} must be numbers from {low:g} to {high:g}, got {repr(value)[:40]}")
        if not math.isfinite(value):
            raise ValueError(f"{name} must be finite, got {value!r}")


def _distance_settings(protocol: Protocol) -> dict[str, Any]:
    """Return the settings that decide a distance."""
    return {
        "distance": protocol.distance,
        "normalize": protocol.normalize,
        "flip_tta": protocol.flip_tta,
        "branch": protocol.branch or "all",
    }


def _joined(rates: dict[float, float | None]) -> str:
    return ", ".join(f"{rate:g}" for rate in rates)
