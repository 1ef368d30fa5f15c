"""The explanation of a match: everything by which a model compares two images, in one value.

- the distance under the model's protocol, and its calibrated probability;
- AaP-ReID, DMLI: the alignment of the stripes (:mod:`passerby.explain.matching.alignment`), and the distances of
  stripes at the same height;
- AANet (§3) and Attention Driven (Eq 9): the blocks that their embeddings are concatenated from, one by one;
- AANet: the attributes that it predicts for both images;
- saliency maps: where each image lowers the distance (:mod:`passerby.explain.saliency.maps`).

The distance is that of a search; the other values show what it consists of, and decide nothing.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from passerby.data.source import Source
from passerby.errors import ConfigError
from passerby.explain.images import ImageSet, ModelView, view_samples
from passerby.explain.matching.alignment import Alignment, align
from passerby.explain.matching.attributes import CONFIDENT, AttributePair, compare_attributes
from passerby.explain.matching.parts import PartDistance, compare_blocks, compare_stripes, named_blocks, part_index
from passerby.explain.matching.sentence import describe_match
from passerby.explain.saliency.maps import distance_saliency
from passerby.inference.model import Model
from passerby.retrieval.distance.compare import compare
from passerby.types import Protocol, Role, Sample, Verdict

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class MatchExplanation:
    """The values by which a model compares two images A and B."""

    a: Sample
    b: Sample
    model: str
    protocol: Protocol
    """The protocol of the distance."""
    distance: float
    """The distance; smaller is closer."""
    same_person: float | None
    """The calibrated P(same person); ``None`` without a calibration."""
    verdict: Verdict | None
    false_match_rate: float | None
    """The lowest calibrated false match rate whose threshold is above the distance; ``None``: none is, or unknown."""
    alignment: Alignment | None
    """The alignment of stripes, of models that have them, whether or not the distance uses it."""
    stripes: tuple[PartDistance, ...]
    """The distances of the stripes at the same height."""
    blocks: tuple[PartDistance, ...]
    """The distances of the blocks, of models whose embedding is a concatenation of named blocks."""
    attributes: tuple[AttributePair, ...]
    confident: float
    """The minimum probability of a confident prediction."""
    images: tuple[Image.Image, Image.Image] = field(compare=False, repr=False)
    """The images at the model's size, heads blurred where the image set blurs."""
    crops: dict[str, tuple[Image.Image, Image.Image]] = field(compare=False, repr=False)
    """The part crops of A and B that the model received, by block; empty for a model of whole images."""
    maps: tuple[Tensor, Tensor] | None = field(compare=False, repr=False)
    """The saliency maps ``(h, w)``: where A and B lower the distance."""
    calibrated_on: str | None = None
    """The images that P(same person) was fitted on; ``None`` without a calibration."""

    @property
    def sentence(self) -> str:
        """The values as one sentence."""
        return describe_match(self)

    @property
    def parts(self) -> tuple[PartDistance, ...]:
        """The blocks, or else the stripes; empty for a model that has neither."""
        return self.blocks or self.stripes

    @property
    def same(self) -> bool | None:
        """The truth: both are the same person; ``None`` if identities are unknown, as of junk or two distractors."""
        roles = {self.a.role, self.b.role}
        if self.a.pid is None or self.b.pid is None or Role.JUNK in roles or roles == {Role.DISTRACTOR}:
            return None
        return len(roles) == 1 and self.a.pid == self.b.pid

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON: all except images and maps."""
        steps = None if self.alignment is None else [step._asdict() for step in self.alignment.steps]
        return {
            "sentence": self.sentence,
            "a": _describe_sample(self.a),
            "b": _describe_sample(self.b),
            "model": self.model,
            "protocol": asdict(self.protocol),
            "distance": self.distance,
            "same_person": self.same_person,
            "verdict": self.verdict,
            "false_match_rate": self.false_match_rate,
            "calibrated_on": self.calibrated_on,
            "alignment": None if self.alignment is None else {"distance": self.alignment.distance, "steps": steps},
            "stripes": [part.to_dict() for part in self.stripes],
            "blocks": [part.to_dict() for part in self.blocks],
            "attributes": [one._asdict() for one in self.attributes],
            "confident": self.confident,
        }


def explain_match(
    model: Model,
    images_a: ImageSet,
    a: Sample,
    images_b: ImageSet,
    b: Sample,
    *,
    protocol: Protocol | None = None,
    confident: float = CONFIDENT,
    saliency: bool = True,
) -> MatchExplanation:
    """Compare image ``a`` of one set with image ``b`` of another set (or the same), as a search does.

    Args:
        protocol: protocol of the distance; by default the model's.
        confident: minimum probability of a predicted attribute; less probable ones are ignored.
        saliency: compute saliency maps; a warning is logged where the model has none.

    Raises:
        ImageError: if an image cannot be read.
        ProtocolError: if the model lacks what the protocol compares.
    """
    used = protocol or model.protocol
    _warn_different_keypoints(model, images_a.source, images_b.source)
    x, y = (
        model.embed_samples(images.source, [one], with_local=True) for images, one in ((images_a, a), (images_b, b))
    )
    distance = compare(x, y, used.distance, normalize=used.normalize).pairs(torch.tensor([0]), torch.tensor([0])).item()
    calibration = model.calibration_for(used)
    probability, verdict = calibration.verdict(distance) if calibration else (None, None)
    if images_a.source.read(a.path) == images_b.source.read(b.path):
        probability, verdict = None, "same file"
    views = view_samples(model, images_a, [a]), view_samples(model, images_b, [b])
    return MatchExplanation(
        a=a,
        b=b,
        model=model.card.name,
        protocol=used,
        distance=distance,
        same_person=probability,
        verdict=verdict,
        false_match_rate=calibration.false_match_rate(distance) if calibration else None,
        alignment=None if x.local is None or y.local is None else align(x.local[0], y.local[0]),
        stripes=compare_stripes(x, y),
        blocks=compare_blocks(named_blocks(model), x, y, normalize=used.normalize),
        attributes=compare_attributes(model, x, y, confident=confident),
        confident=confident,
        images=(views[0].images[0], views[1].images[0]),
        crops=_crops(model, *views),
        maps=_maps(*views) if saliency else None,
        calibrated_on=calibration.place if calibration else None,
    )


def _crops(model: Model, a: ModelView, b: ModelView) -> dict[str, tuple[Image.Image, Image.Image]]:
    if not a.part_images or not b.part_images:
        return {}
    blocks = zip(named_blocks(model), model.network.blocks(), strict=True)
    places = {named.name: place for named, block in blocks if (place := part_index(block)) is not None}
    return {name: (a.part_images[0][place], b.part_images[0][place]) for name, place in places.items()}


def _maps(a: ModelView, b: ModelView) -> tuple[Tensor, Tensor] | None:
    """Compute saliency maps, of models that declare map layers: all of this package do, a plugin's may not."""
    try:
        found = distance_saliency(a, b)
    except ConfigError as error:
        _LOG.warning("the match is explained without saliency maps: %s", error)
        return None
    return found.a[0].cpu(), found.b[0].cpu()


def _warn_different_keypoints(model: Model, a: Source, b: Source) -> None:
    """Warn if both images' parts are cropped by different keypoint sources, which makes distances less reliable."""
    one, other = (model.keypoint_origin(source) for source in (a, b))
    if one is not None and other is not None and not one.same_as(other):
        _LOG.warning(
            "the parts of the two images are cropped by different keypoint sources (%s; %s), which makes the distance "
            "less reliable. Fix: --keypoints network uses one source for both",
            one,
            other,
        )


def _describe_sample(sample: Sample) -> dict[str, Any]:
    pid = sample.pid if sample.role is Role.PERSON else None
    return {"path": sample.path, "pid": pid, "camid": sample.camid}
