"""What a run's distances mean: P(same person), and thresholds at false-match rates; a value that is kept as JSON.

A hit is called

- *same* where its distance is below the threshold of the false-match rate 1e-3, and it is likelier the same than not;
- *different* where it is not below that of 1e-2, and it is likelier not the same;
- *unsure* otherwise: among them where there were too few pairs to know the threshold.

Probability alone would hang on the gallery's share of same pairs, a rate alone would ignore it; so both must say so.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from passerby.errors import ConfigError, ProtocolError
from passerby.files import atomic_write
from passerby.metrics.open_set import Pairs
from passerby.metrics.probability import Curve, Sigmoid, Steps, with_prior
from passerby.metrics.verification import CalibrationQuality, Threshold, ThresholdQuality, measure
from passerby.types import Protocol, Verdict

CALIBRATION = "calibration.json"
"""The file of a run folder."""
FORMAT = 1
SAME_AT, DIFFERENT_AT = 1e-3, 1e-2
"""False-match rates that decide what a hit is called."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Distance → P(same person), thresholds, and what they were fitted on."""

    curve: Curve
    thresholds: tuple[Threshold, ...]
    same: int
    """Pairs that it was fitted on."""
    different: int
    protocol: Protocol
    """How distances were made, and which pairs count."""
    fingerprint: str
    """Of the model (:class:`~passerby.inference.model.Model`)."""
    data: str
    """Where the pictures were."""
    content: str
    """Digest of the pictures (:func:`~passerby.data.digest.digest_of`)."""
    seed: int
    """Decided which people were held out."""
    held_out: CalibrationQuality
    """One half of the people, of a calibration that was fitted on the other; this one is fitted on all."""

    @property
    def prior(self) -> float:
        """The share of same pairs among those that it was fitted on."""
        return self.same / (self.same + self.different)

    def probability(self, distances: Float[Tensor, "..."], *, prior: float | None = None) -> Float[Tensor, "..."]:
        """P(same person) of pairs; never higher for a larger distance.

        Args:
            prior: the share of same pairs where these come from; by default as in the data it was fitted on.
        """
        found = self.curve(distances)
        return found if prior is None else with_prior(found, old=self.prior, new=prior)

    def threshold(self, rate: float) -> float | None:
        """Of one of the rates that it has thresholds for; ``None`` where there were too few pairs.

        Raises:
            ProtocolError: if it has none for this rate.
        """
        known = {each.rate: each.distance for each in self.thresholds}
        if rate not in known:
            raise ProtocolError(f"there is no threshold for the false-match rate {rate:g}; there are {_listed(known)}")
        return known[rate]

    def verdict(self, distance: float) -> tuple[float, Verdict]:
        """P(same person) of one pair, and what to call it (see above)."""
        probability = self.probability(torch.tensor([distance], dtype=torch.float64)).item()
        near, far = self.threshold(SAME_AT), self.threshold(DIFFERENT_AT)
        if near is not None and distance < near and probability >= 0.5:
            return probability, "same"
        if far is not None and distance >= far and probability < 0.5:
            return probability, "different"
        return probability, "unsure"

    def mismatch(self, how: Protocol) -> str:
        """Why it says nothing of distances that are made as ``how`` says; empty where it does."""
        if how.rerank:
            return "re-ranked distances have no calibration"
        own, other = _comparison(self.protocol), _comparison(how)
        differ = [f"{name} {own[name]}, not {other[name]}" for name in own if own[name] != other[name]]
        return f"the run was calibrated with {'; '.join(differ)}" if differ else ""

    def evaluate(self, pairs: Pairs) -> CalibrationQuality:
        """How well it holds on pairs, which should be of people that it has not seen."""
        return measure(self.curve, self.thresholds, self.prior, pairs)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "format": FORMAT,
            "method": "isotonic" if isinstance(self.curve, Steps) else "logistic",
            **asdict(self),
            "held_out": self.held_out.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Calibration:
        """Of what :meth:`to_dict` made.

        Raises:
            KeyError, TypeError, ValueError: if it is something else.
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
                "protocol": Protocol.from_dict(values["protocol"]),
                "held_out": CalibrationQuality(**{**held_out, "at": at}),
            }
        )


def write_calibration(run: str | Path, calibration: Calibration) -> None:
    """Put it into a run folder, whole or not at all; an older one is replaced."""
    with atomic_write(Path(run) / CALIBRATION) as partial:
        partial.write_text(json.dumps(calibration.to_dict(), indent=1) + "\n")


def read_calibration(run: str | Path) -> Calibration | None:
    """That of a run folder; ``None`` where it has none.

    Raises:
        ConfigError: if its file is damaged or of a newer passerby.
    """
    file = Path(run) / CALIBRATION
    if not file.is_file():
        return None
    try:
        values = json.loads(file.read_text())
        if values["format"] > FORMAT:
            raise ConfigError(f"{file} has format {values['format']}, this passerby reads up to {FORMAT}; update it")
        return Calibration.from_dict(values)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{file} is damaged ({error!r}); delete it, and calibrate the run again") from None


def _comparison(how: Protocol) -> dict[str, Any]:
    """What decides a distance."""
    return {"distance": how.distance, "normalize": how.normalize, "flip_tta": how.flip_tta}


def _listed(rates: dict[float, float | None]) -> str:
    return ", ".join(f"{rate:g}" for rate in rates)
