"""Why does a model take two pictures for the same person, or not? Everything that it compared, as one value.

- the distance, as the predictor's protocol measures it, and what the run's calibration makes of it;
- AaP-ReID, DMLI: how stripes were aligned (:mod:`passerby.explain.matching.alignment`), and each stripe with that at its height;
- AANet (§3) and Attention Driven (Eq 9): the blocks that their embeddings are joined of, one by one;
- AANet: the attributes that it predicts of both;
- where each picture makes the two alike (:mod:`passerby.explain.saliency.maps`).

Nothing here decides anything: the distance is that of a search, the rest says what it is made of.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from passerby.data.keypoints.origin import AUTO
from passerby.data.source import Source
from passerby.errors import ConfigError
from passerby.explain.images import ImageSet, ModelView, view_samples
from passerby.explain.matching.alignment import Alignment, align
from passerby.explain.matching.attributes import CONFIDENT, AttributePair, compare_attributes
from passerby.explain.matching.parts import PartDistance, compare_blocks, compare_stripes, named_blocks, part_index
from passerby.explain.matching.sentence import describe_match
from passerby.explain.saliency.maps import distance_saliency
from passerby.inference.keypoint_source import keypoint_origin
from passerby.inference.model import Model
from passerby.metrics.calibration import Calibration
from passerby.retrieval.distance.compare import compare
from passerby.types import Protocol, Role, Sample, Verdict

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class MatchExplanation:
    """What two pictures have in common for a model, and what not."""

    a: Sample
    b: Sample
    model: str
    protocol: Protocol
    """How the distance was made."""
    distance: float
    """Smaller is closer."""
    same_person: float | None
    """P(same person) by the run's calibration; ``None`` without one."""
    verdict: Verdict | None
    false_match_rate: float | None
    """The least calibrated one whose threshold the distance is below; ``None``: below none of them, or unknown."""
    alignment: Alignment | None
    """Of models that make stripes, whether or not the distance is made of them."""
    stripes: tuple[PartDistance, ...]
    """Each with that at the same height."""
    blocks: tuple[PartDistance, ...]
    """Of models that say what their embedding is joined of."""
    attributes: tuple[AttributePair, ...]
    confident: float
    """The least probability that makes a prediction count."""
    images: tuple[Image.Image, Image.Image] = field(compare=False, repr=False)
    """As large as the model's, fit to be looked at."""
    crops: dict[str, tuple[Image.Image, Image.Image]] = field(compare=False, repr=False)
    """What the model was shown of A and of B, by name of block; empty where it sees whole pictures only."""
    maps: tuple[Tensor, Tensor] | None = field(compare=False, repr=False)
    """``(h, w)`` each: where A and B make the distance small."""

    @property
    def sentence(self) -> str:
        """The values in plain words, and no more than them."""
        return describe_match(self)

    @property
    def parts(self) -> tuple[PartDistance, ...]:
        """What the distance is joined of; else stripes; nothing for a model that has neither."""
        return self.blocks or self.stripes

    @property
    def same(self) -> bool | None:
        """Whether it is the same person; ``None`` where nobody said who they are, as of junk or two distractors."""
        roles = {self.a.role, self.b.role}
        if self.a.pid is None or self.b.pid is None or Role.JUNK in roles or roles == {Role.DISTRACTOR}:
            return None
        return len(roles) == 1 and self.a.pid == self.b.pid

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: all but pictures and maps."""
        steps = None if self.alignment is None else [step._asdict() for step in self.alignment.steps]
        return {
            "sentence": self.sentence,
            "a": _who(self.a),
            "b": _who(self.b),
            "model": self.model,
            "protocol": asdict(self.protocol),
            "distance": self.distance,
            "same_person": self.same_person,
            "verdict": self.verdict,
            "false_match_rate": self.false_match_rate,
            "alignment": None if self.alignment is None else {"distance": self.alignment.distance, "steps": steps},
            "stripes": [part.to_dict() for part in self.stripes],
            "blocks": [part.to_dict() for part in self.blocks],
            "attributes": [one._asdict() for one in self.attributes],
            "confident": self.confident,
        }


def explain_match(
    model: Model,
    album_a: ImageSet,
    a: Sample,
    album_b: ImageSet,
    b: Sample,
    *,
    protocol: Protocol | None = None,
    confident: float = CONFIDENT,
    saliency: bool = True,
) -> MatchExplanation:
    """Compare picture ``a`` of one album with ``b`` of another (or the same), as a search would.

    Args:
        protocol: by default the predictor's.
        confident: the least probability that makes a predicted attribute count.
        saliency: make maps of where each picture makes the two alike; a line of the log says why there are none.

    Raises:
        ImageError: if a picture cannot be read.
        ProtocolError: if the model lacks what the protocol compares.
    """
    how = protocol or model.protocol
    _warn_other_keypoints(model, album_a.source, album_b.source)
    x, y = (model.embed_samples(of.source, [one], with_local=True) for of, one in ((album_a, a), (album_b, b)))
    distance = compare(x, y, how.distance, normalize=how.normalize).pairs(torch.tensor([0]), torch.tensor([0])).item()
    calibration = model.calibration_for(how)
    probability, verdict = calibration.verdict(distance) if calibration else (None, None)
    seen = view_samples(model, album_a, [a]), view_samples(model, album_b, [b])
    return MatchExplanation(
        a=a,
        b=b,
        model=model.network.card.name,
        protocol=how,
        distance=distance,
        same_person=probability,
        verdict=verdict,
        false_match_rate=_rate(calibration, distance),
        alignment=None if x.local is None or y.local is None else align(x.local[0], y.local[0]),
        stripes=compare_stripes(x, y),
        blocks=compare_blocks(named_blocks(model), x, y, normalize=how.normalize),
        attributes=compare_attributes(model, x, y, confident=confident),
        confident=confident,
        images=(seen[0].images[0], seen[1].images[0]),
        crops=_crops(model, *seen),
        maps=_maps(*seen) if saliency else None,
    )


def _rate(calibration: Calibration | None, distance: float) -> float | None:
    thresholds = calibration.thresholds if calibration else ()
    below = [each.rate for each in thresholds if each.distance is not None and distance < each.distance]
    return min(below, default=None)


def _crops(model: Model, a: ModelView, b: ModelView) -> dict[str, tuple[Image.Image, Image.Image]]:
    if not a.part_images or not b.part_images:
        return {}
    blocks = zip(named_blocks(model), model.network.blocks(), strict=True)
    places = {named.name: place for named, block in blocks if (place := part_index(block)) is not None}
    return {name: (a.part_images[0][place], b.part_images[0][place]) for name, place in places.items()}


def _maps(a: ModelView, b: ModelView) -> tuple[Tensor, Tensor] | None:
    """Of models that say where their maps are, as all of this package do; a plugin's may not."""
    try:
        found = distance_saliency(a, b)
    except ConfigError as error:
        _LOG.warning("the match is explained without saliency: %s", error)
        return None
    return found.a[0].cpu(), found.b[0].cpu()


def _warn_other_keypoints(model: Model, a: Source, b: Source) -> None:
    """Parts that were cut by unlike joints compare less surely."""
    if "parts" not in model.network.card.inputs or model.parts.get("by", "pose") != "pose":
        return
    one, other = (keypoint_origin(model.parts.get("keypoints", AUTO), source) for source in (a, b))
    if not one.same_as(other):
        _LOG.warning(
            "the parts of the two pictures are cut by different joints (%s; %s), so that the distance is less sure "
            "(--poses network cuts both by one network)",
            one,
            other,
        )


def _who(sample: Sample) -> dict[str, Any]:
    pid = sample.pid if sample.role is Role.PERSON else None
    return {"path": sample.path, "pid": pid, "camid": sample.camid}
