"""The values of re-identification, which every layer takes and returns.

images (``Sample``) → batches (``Batch``) → ``ModelOutput`` → ``Embeddings`` → ``Ranking`` →
``EvalResult`` (a number, under a ``Protocol``) or ``Hit`` (a search result).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import IntEnum
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from passerby.compat import current_settings
from passerby.errors import DatasetLayoutError, ProtocolError, ShapeError


class Role(IntEnum):
    """The part of an image in an evaluation, whatever codes its dataset uses for it."""

    PERSON = 0
    JUNK = 1
    """An ignored image: neither a true nor a false match (Market-1501's pid −1)."""
    DISTRACTOR = 2
    """An image that is always a false match (Market-1501's pid 0)."""


_LIMIT = 2**63
"""The limit of numbers in tensors and tables, 64 bits with a sign."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One image of a dataset, not yet opened.

    Raises:
        DatasetLayoutError: if a number does not fit in 64 bits.
    """

    path: str
    """The path relative to the dataset's source."""
    pid: int | None = None
    """The person ID; ``None`` if the image has no label."""
    camid: int | None = None
    """The camera ID; ``None`` if it is unknown."""
    role: Role = Role.PERSON
    time: int | None = None
    """The frame number, or any count that orders the images of one camera."""

    def __post_init__(self) -> None:
        for name, number in (("person ID", self.pid), ("camera ID", self.camid), ("time", self.time)):
            if number is not None and not -_LIMIT <= number < _LIMIT:
                raise DatasetLayoutError(
                    f"{self.path!r} has the {name} {number}, expected a number below 2^63. Fix: rename or renumber it"
                )


class Batch(NamedTuple):
    """The input of a training step: b images with their labels."""

    images: Float[Tensor, "b 3 h w"]
    """The normalized images, float32."""
    labels: Int[Tensor, " b"]
    """The class index 0…C−1 of each image."""
    attributes: Int[Tensor, "b g"] | None = None
    """The class of each group of an attribute schema; −1 where it is unknown."""
    parts: Float[Tensor, "b p 3 y x"] | None = None
    """The normalized crops of p body parts, float32, for models that take them."""

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The arguments that the network is called with."""
        return (self.images,) if self.parts is None else (self.images, self.parts)


class ModelOutput(NamedTuple):
    """The output of every model, the same in training and evaluation. Fields that a model lacks are ``None``."""

    embedding: Float[Tensor, "b d"]
    """The descriptor that retrieval compares, not normalized."""
    metric: Float[Tensor, "b m"]
    """The vector that metric losses take: the input of a BN neck, where there is one, and else the embedding."""
    logits: Float[Tensor, "b n"] | None = None
    """The identity scores; ``None`` for a model without classes."""
    local: Float[Tensor, "b s c"] | None = None
    """One L2-normalized vector per horizontal stripe, top to bottom."""
    branches: dict[str, tuple[Float[Tensor, "b n"], ...]] | None = None
    """The identity scores of further heads, by the task of the loss that they belong to."""
    attributes: tuple[Float[Tensor, "b _"], ...] | None = None
    """The scores of the values of each group of the model's attribute schema."""
    maps: dict[str, Float[Tensor, "b _ _"]] | None = None
    """The attention maps that figures show, by name."""


_COLUMNS = ("pids", "camids", "roles", "local", "attributes", "times")
"""The fields of :class:`Embeddings` that may be unknown, one row per image."""


@dataclass(frozen=True, slots=True, eq=False)
class Embeddings:
    """The embeddings of n images, with their labels as far as they are known.

    Raises:
        ShapeError: if the fields disagree about n, or the embeddings are not floating-point numbers.
    """

    embedding: Float[Tensor, "n d"]
    """The descriptors, not normalized."""
    paths: tuple[str, ...]
    pids: Int[Tensor, " n"] | None = None
    """The person IDs; ``None`` if the images have no labels."""
    camids: Int[Tensor, " n"] | None = None
    """The camera IDs; ``None`` if they are unknown."""
    roles: Int[Tensor, " n"] | None = None
    """The :class:`Role` of each image; ``None`` means that all are ``PERSON``."""
    local: Float[Tensor, "n s c"] | None = None
    """The stripe vectors, if the model has them and they were asked for."""
    attributes: Float[Tensor, "n v"] | None = None
    """The probabilities of all values of the model's attribute schema, group after group, if it has one."""
    times: Int[Tensor, " n"] | None = None
    """The :attr:`Sample.time` of each image; ``None`` if that of any image is unknown."""

    def __post_init__(self) -> None:
        if self.embedding.ndim != 2:
            raise ShapeError(f"embeddings must be (n, d), got {tuple(self.embedding.shape)}")
        if not self.embedding.is_floating_point():
            raise ShapeError(f"embeddings must be floating-point, got {self.embedding.dtype}. Fix: call .float()")
        for name in ("paths", *_COLUMNS):
            column = getattr(self, name)
            if column is not None and len(column) != len(self.embedding):
                raise ShapeError(f"{len(self.embedding)} embeddings but {len(column)} {name}: expected one per image")

    def __len__(self) -> int:
        return len(self.embedding)

    def __iter__(self) -> Iterator[Embeddings]:
        """Iterate over the rows, each of them an ``Embeddings`` of length 1: ``a, b = model.embed([x, y])``."""
        return (self[row] for row in range(len(self)))

    def __getitem__(self, rows: Tensor | slice | int) -> Embeddings:
        """Return the chosen rows (an index or boolean tensor, a slice, or one number), in the order given."""
        if isinstance(rows, Tensor):
            index = rows.nonzero().squeeze(1) if rows.dtype == torch.bool else rows
        else:
            picked = range(len(self))[rows]
            index = torch.tensor([picked] if isinstance(picked, int) else list(picked), dtype=torch.long)
        known = {n: c for n in _COLUMNS if (c := getattr(self, n)) is not None}
        paths = tuple(self.paths[i] for i in index.tolist())
        return replace(self, embedding=self.embedding[index], paths=paths, **{n: c[index] for n, c in known.items()})

    @classmethod
    def concatenate(cls, parts: Sequence[Embeddings]) -> Embeddings:
        """Return the rows of all parts, in order; what only some parts have is left out.

        Raises:
            ShapeError: if the parts have different dimensions.
        """
        if len({part.embedding.shape[1] for part in parts}) > 1:
            shapes = ", ".join(str(tuple(part.embedding.shape)) for part in parts)
            raise ShapeError(f"embeddings of different dimensions cannot be one set: got {shapes}")
        columns = {name: [getattr(part, name) for part in parts] for name in _COLUMNS}
        return cls(
            torch.cat([part.embedding for part in parts]),
            tuple(path for part in parts for path in part.paths),
            **{name: torch.cat(rows) for name, rows in columns.items() if all(row is not None for row in rows)},
        )


class QueryGallery(NamedTuple):
    """The embeddings of both sides of an evaluation."""

    query: Embeddings
    gallery: Embeddings


class Ranking(NamedTuple):
    """The k nearest gallery rows of each query, nearest first."""

    indices: Int[Tensor, "q k"]
    """The rows of the gallery."""
    distances: Float[Tensor, "q k"]
    """The distances, ascending along k."""


@dataclass(frozen=True, slots=True)
class Rerank:
    """The parameters of re-ranking with k-reciprocal encoding (Zhong et al., CVPR 2017)."""

    k1: int = 20
    """The number of neighbors that an encoding is made of."""
    k2: int = 6
    """The number of neighbors over which encodings are averaged; 1 averages none."""
    lam: float = 0.3
    """The weight λ of the original distance."""
    torchreid_compat: bool = False
    """Take the square of squared distances, as torchreid and fast-reid do."""

    def __str__(self) -> str:
        squared = ", distances squared twice" if self.torchreid_compat else ""
        return f"re-ranked by k-reciprocal neighbors (k1 {self.k1}, k2 {self.k2}, λ {self.lam:g}{squared})"


Distance = Literal["global", "local", "global_local"]
"""The distance that images are ranked by: of embeddings, of stripes, or the sum of both."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """The rules of an evaluation. Results carry them, so that unlike numbers are not compared."""

    name: str = "market1501-single-query"
    average_precision: Literal["step", "trapezoid"] = "step"
    """The kind of AP: ``step``, mean precision at each true match; ``trapezoid``, the original Market-1501 code."""
    ignore_same_camera: bool = True
    """Ignore gallery images of the query's person *and* camera."""
    distance: Distance = "global"
    """The distance: ``global`` is squared Euclidean of the embeddings, ``local`` DMLI of the stripes; or their sum."""
    normalize: bool = True
    """Normalize embeddings to length 1 (L2) before they are compared."""
    flip_tta: bool = False
    """Average the embeddings of an image and of its mirror image; the code that embeds does so."""
    draws: int = 0
    """The number of random galleries with one image per person over which CMC is averaged; 0: the whole gallery."""
    seed: int = 0
    """The random seed of :attr:`draws`."""
    rerank: Rerank | None = None
    multi_query: Literal["mean", "max"] | None = None
    """The way to pool all images of a query's person and camera into one query; ``None``: each image is a query."""
    branch: str | None = None
    """The branch of the embedding that is compared alone; the code that embeds does so. ``None``: all of it."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Protocol:
        """Return the protocol that :meth:`EvalResult.to_dict` wrote as plain values."""
        values = current_settings(dict(values), within="protocol")
        rerank = values.get("rerank")
        return cls(**{**values, "rerank": None if rerank is None else Rerank(**rerank)})

    def __str__(self) -> str:
        camera = "same person and camera ignored" if self.ignore_same_camera else "all cameras count"
        if self.draws:
            camera = f"one gallery image per person from another camera, mean of {self.draws} draws (seed {self.seed})"
        length = "" if self.normalize else " of unnormalized embeddings"
        flip = ", flip test-time augmentation" if self.flip_tta else ""
        length += f", branch {self.branch} alone" if self.branch else ""
        again = f", {self.rerank}" if self.rerank else ""
        again += f", {self.multi_query} of all images of a query's person and camera" if self.multi_query else ""
        precision = "no AP" if self.draws else f"AP {self.average_precision}"
        return f"{self.name}, {camera}, {precision}, distance {self.distance}{length}{flip}{again}"


@dataclass(frozen=True, slots=True)
class GroupAccuracy:
    """The accuracy of one predicted attribute; shares are in [0, 1], larger is better."""

    name: str
    accuracy: float
    balanced: float
    """The mean recall over the values that occur: rare ones count as much as common ones."""
    majority: str | None
    """The most common value among the training people; ``None`` if there are none."""
    majority_accuracy: float | None
    """The accuracy of always predicting :attr:`majority`."""
    images: int
    """The number of images whose value is known."""
    values: int
    """The number of the group's values that occur; a constant guess has the balanced accuracy 1 ÷ this."""


@dataclass(frozen=True, slots=True)
class AttributeResult:
    """The accuracy of predicted attributes; groups without any known value are left out."""

    schema: str
    groups: tuple[GroupAccuracy, ...]

    @property
    def mean(self) -> dict[str, float | None]:
        """The unweighted mean over the groups; ``None`` where a group lacks the number."""
        columns = ("accuracy", "balanced", "majority_accuracy")
        return {column: _mean([getattr(group, column) for group in self.groups]) for column in columns}

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        groups = {group.name: {k: v for k, v in asdict(group).items() if k != "name"} for group in self.groups}
        return {"schema": self.schema, "groups": groups, "mean": self.mean}


def _mean(shares: list[float | None]) -> float | None:
    known = [share for share in shares if share is not None]
    return sum(known) / len(known) if known and len(known) == len(shares) else None


@dataclass(frozen=True, slots=True, eq=False)
class QueryResults:
    """The result of each of the v queries that have a valid match."""

    paths: tuple[str, ...]
    pids: Int[Tensor, " v"]
    camids: Int[Tensor, " v"] | None
    matches: Int[Tensor, " v"]
    """The number of true matches in the gallery."""
    first_rank: Int[Tensor, " v"]
    """The rank of the nearest true match, from 1."""
    average_precision: Float[Tensor, " v"]
    """The average precision, float64."""
    inverse_negative_penalty: Float[Tensor, " v"]
    """The number of true matches ÷ the rank of the last one, float64."""

    def __len__(self) -> int:
        return len(self.paths)


@dataclass(frozen=True, slots=True)
class EvalResult:
    """The result of one evaluation: numbers in [0, 1], larger is better."""

    protocol: Protocol
    cmc: tuple[float, ...]
    """The share of valid queries with a true match among the first k, at index k − 1."""
    mean_ap: float | None
    """The mean average precision; ``None`` if the protocol has none (galleries with one image per person)."""
    minp: float | None
    """The mean inverse negative penalty (true matches ÷ rank of the last one); ``None`` where :attr:`mean_ap` is."""
    queries: int
    """The number of valid queries."""
    queries_dropped: int
    """The number of queries without a valid match in the gallery, which no other number includes."""
    gallery: int
    """The number of gallery images."""
    details: dict[str, Any] = field(default_factory=dict)
    attributes: AttributeResult | None = None
    """The accuracy of predicted attributes of the gallery, if they were evaluated."""
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    """The 95 % intervals of ``rank1``, ``mean_ap`` and ``minp``: bootstrap over queries, not for a mean over draws."""
    per_query: QueryResults | None = field(default=None, compare=False, repr=False)
    embeddings: QueryGallery | None = field(default=None, compare=False, repr=False)
    """The embeddings of an evaluated model; ``None`` where the numbers were computed from given embeddings."""

    @property
    def rank1(self) -> float:
        """The share of valid queries whose nearest gallery image is a true match."""
        return self.cmc[0]

    def rank(self, k: int) -> float:
        """Return CMC at rank k; past the end of the gallery it is the last value."""
        if k < 1:
            raise ProtocolError(f"ranks count from 1, got {k}")
        return self.cmc[min(k, len(self.cmc)) - 1]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; CMC at the customary ranks only."""
        return {
            "protocol": asdict(self.protocol),
            "cmc": {str(k): self.rank(k) for k in (1, 5, 10, 20)},
            "mean_ap": self.mean_ap,
            "minp": self.minp,
            **({"intervals": {name: list(ends) for name, ends in self.intervals.items()}} if self.intervals else {}),
            "queries": self.queries,
            "queries_dropped": self.queries_dropped,
            "gallery": self.gallery,
            "details": self.details,
            **({} if self.attributes is None else {"attributes": self.attributes.to_dict()}),
        }


Verdict = Literal["same file", "possible", "unsure", "no evidence", "withheld"]
"""The decision of a calibrated run about two images, if they are like those of its calibration
(:mod:`passerby.metrics.calibration` defines it); ``same file`` where both have the same content, ``withheld`` where
they are known to be unlike."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One result of a search."""

    rank: int
    """The rank; 1 is the nearest."""
    path: str
    distance: float
    """The distance of the embeddings; without a query image, −ln of the probability of the attributes asked for."""
    pid: int | None = None
    camid: int | None = None
    probability: float | None = None
    """The probability of the attributes asked for, a product over their groups; ``None`` if none were."""
    same_person: float | None = None
    """The probability that hit and query show the same person, for images like those of the run's calibration; ``None``
    without a calibration, for the query's own file, and where verdicts are withheld."""
    verdict: Verdict | None = None
    """The decision of the calibration; ``None`` without one."""
    role: Role = Role.PERSON
    """The role; a distractor is no known person, whatever :attr:`pid` says."""
