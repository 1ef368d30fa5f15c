"""An evaluation as the sections of a report see it: of a model on a dataset, or of precomputed embeddings alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from passerby.data.attributes.labels import Attributes
from passerby.data.dataset import SPLITS, Dataset
from passerby.explain.images import ImageSet
from passerby.inference.model import Model
from passerby.metrics.calibration import Calibration
from passerby.metrics.subgroups import Subgroup
from passerby.types import Embeddings, EvalResult, Role, Sample


class Missing(NamedTuple):
    """A part that a report could not show."""

    what: str
    why: str
    remedy: str


@dataclass(frozen=True, eq=False, kw_only=True)
class Evaluation(ABC):
    """The embeddings of query and gallery, and their metrics."""

    spec: str
    """The path or name that opens the data again; evaluations with the same one share figures and tables."""
    query: Embeddings
    gallery: Embeddings
    result: EvalResult
    subgroups: tuple[Subgroup, ...]
    missing: tuple[Missing, ...]
    """The subgroups that could not be formed, and other parts that cannot be shown."""

    @property
    @abstractmethod
    def calibration(self) -> Calibration | None:
        """The calibration of distances under the protocol of the result, if there is one."""

    @property
    @abstractmethod
    def splits(self) -> Mapping[str, Sequence[Sample]]:
        """The images by split, for counts of images, people and cameras."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ModelEvaluation(Evaluation):
    """A run's model, evaluated on one dataset."""

    model: Model
    own: bool
    """The answer to whether these are the data that the run names as its test data."""
    dataset: Dataset
    images: ImageSet
    """The images of the dataset, for figures."""
    attributes: Attributes | None
    """The labels of the people, where the model predicts attributes and the data have labels."""
    same_content: bool | None
    """The answer to whether the images are those of the evaluation after training; ``None``: the run has no digests."""

    @property
    def calibration(self) -> Calibration | None:
        """The run's calibration, where it was fitted under this protocol."""
        return self.model.calibration_for(self.result.protocol)

    @property
    def splits(self) -> Mapping[str, Sequence[Sample]]:
        """The images of the dataset."""
        return {name: getattr(self.dataset, name) for name in SPLITS}  # a split may be empty


@dataclass(frozen=True, eq=False, kw_only=True)
class FeaturesEvaluation(Evaluation):
    """The evaluation of a file of precomputed embeddings, without a model or images."""

    file: Path

    @property
    def calibration(self) -> Calibration | None:
        """No calibration: a file of embeddings has none."""
        return None

    @property
    def splits(self) -> Mapping[str, Sequence[Sample]]:
        """The rows of query and gallery."""
        return {"query": _samples(self.query), "gallery": _samples(self.gallery)}


def _samples(side: Embeddings) -> list[Sample]:
    assert side.pids is not None  # an evaluation needs both
    assert side.camids is not None
    roles = [Role.PERSON] * len(side) if side.roles is None else [Role(role) for role in side.roles.tolist()]
    rows = zip(side.paths, side.pids.tolist(), side.camids.tolist(), roles, strict=True)
    return [Sample(path, pid, camid, role) for path, pid, camid, role in rows]
