"""The nouns of re-identification: every layer speaks in these values and no others.

images (``Sample``) → batches (``Batch``) → ``ModelOutput`` → ``Embeddings`` → ``Ranking`` →
``EvalResult`` (a number, under a ``Protocol``) or ``Hit`` (a search result).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import IntEnum
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from passerby.compat import current_settings
from passerby.errors import ProtocolError, ShapeError


class Role(IntEnum):
    """What an image is for in an evaluation, whatever codes its dataset uses for that."""

    PERSON = 0
    JUNK = 1
    """Ignored: neither right nor wrong when retrieved (Market-1501's pid −1)."""
    DISTRACTOR = 2
    """Always wrong when retrieved (Market-1501's pid 0)."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One image of a dataset, not yet opened. ``path`` is relative to the dataset's source."""

    path: str
    pid: int | None = None
    """The person; ``None`` where nobody said who it is."""
    camid: int | None = None
    role: Role = Role.PERSON
    time: int | None = None
    """Frame number or any count that orders images of one camera."""


class Batch(NamedTuple):
    """What a training step sees."""

    images: Tensor
    """``(b, 3, h, w)``, float32, normalized."""
    labels: Tensor
    """``(b,)``, int64, class index 0…C−1."""
    attributes: Tensor | None = None
    """``(b, g)``, int64, class of each group of an attribute schema, −1 where nobody knows."""
    parts: Tensor | None = None
    """``(b, p, 3, y, x)``, float32, normalized: crops of the body, for models that ask for them."""


class ModelOutput(NamedTuple):
    """What every model returns, in training as in evaluation. Fields a model lacks are ``None``."""

    embedding: Tensor
    """``(b, d)``: the descriptor that retrieval compares, not normalized."""
    metric: Tensor
    """``(b, d)``: the vector that metric losses see (before a BN neck; elsewhere the embedding)."""
    logits: Tensor | None = None
    """``(b, n)`` identity scores; ``None`` for a model built without classes."""
    local: Tensor | None = None
    """``(b, s, c)``: one L2-normalized vector a horizontal stripe, top to bottom."""
    branches: dict[str, tuple[Tensor, ...]] | None = None
    """Identity scores ``(b, n)`` of further heads, by the task of the loss that they belong to."""
    attributes: tuple[Tensor, ...] | None = None
    """Scores ``(b, values)`` of each group of the model's attribute schema."""
    maps: dict[str, Tensor] | None = None
    """Attention maps ``(b, h, w)`` that figures show, by name."""


_COLUMNS = ("pids", "camids", "roles", "local", "attributes", "times")
"""The fields of :class:`Embeddings` that may be unknown, one row per image."""


@dataclass(frozen=True, slots=True, eq=False)
class Embeddings:
    """Descriptors of n images with what is known of each.

    Raises:
        ShapeError: where the fields disagree about n, or features are whole numbers.
    """

    embedding: Tensor
    """``(n, d)`` float."""
    paths: tuple[str, ...]
    pids: Tensor | None = None
    """``(n,)`` int64; ``None`` where nobody said who the people are."""
    camids: Tensor | None = None
    """``(n,)`` int64; ``None`` where the camera is unknown."""
    roles: Tensor | None = None
    """``(n,)`` int64 of :class:`Role`; ``None`` means all are ``PERSON``."""
    local: Tensor | None = None
    """``(n, s, c)`` stripe vectors, where the model makes them and somebody asked for them."""
    attributes: Tensor | None = None
    """``(n, v)`` probabilities of every value of the model's attribute schema, group after group, where it has one."""
    times: Tensor | None = None
    """``(n,)`` int64 of :attr:`Sample.time`; ``None`` where the time of any image is unknown."""

    def __post_init__(self) -> None:
        if self.embedding.ndim != 2:
            raise ShapeError(f"embeddings must be (n, d), got {tuple(self.embedding.shape)}")
        if not self.embedding.is_floating_point():
            raise ShapeError(
                f"embeddings are floating-point numbers, got {self.embedding.dtype}: convert them (.float())"
            )
        for name in ("paths", *_COLUMNS):
            column = getattr(self, name)
            if column is not None and len(column) != len(self.embedding):
                raise ShapeError(
                    f"{len(self.embedding)} embeddings but {len(column)} {name}: one row an image is needed"
                )

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


class QueryGallery(NamedTuple):
    """The embeddings of both sides of an evaluation."""

    query: Embeddings
    gallery: Embeddings


class Ranking(NamedTuple):
    """The k nearest gallery rows of each query, nearest first."""

    indices: Tensor
    """``(q, k)`` int64, rows of the gallery."""
    distances: Tensor
    """``(q, k)``, ascending along k."""


@dataclass(frozen=True, slots=True)
class Rerank:
    """Re-ranking by k-reciprocal neighbors (Zhong et al., CVPR 2017)."""

    k1: int = 20
    """Neighbors that an encoding rests on."""
    k2: int = 6
    """Neighbors over which encodings are averaged; 1: none."""
    lam: float = 0.3
    """λ, the share of the distance itself."""
    torchreid_compat: bool = False
    """Squared distances are squared once more, as torchreid and fast-reid do."""

    def __str__(self) -> str:
        squared = ", distances squared twice" if self.torchreid_compat else ""
        return f"re-ranked by k-reciprocal neighbors (k1 {self.k1}, k2 {self.k2}, λ {self.lam:g}{squared})"


@dataclass(frozen=True, slots=True)
class Protocol:
    """How an evaluation counts. Results carry it, so that unlike numbers are not compared."""

    name: str = "market1501-single-query"
    average_precision: Literal["step", "trapezoid"] = "step"
    """``step``: mean precision at each hit. ``trapezoid``: the original Market-1501 code."""
    ignore_same_camera: bool = True
    """Gallery images of the query's person *and* camera are ignored."""
    distance: Literal["global", "local", "global_local"] = "global"
    """``global``: squared Euclidean of the embeddings; ``local``: DMLI of the stripes; or their sum."""
    normalize: bool = True
    """Embeddings are divided by their length before they are compared; else they are compared as they are."""
    flip_tta: bool = False
    """An embedding is the mean of those of a picture and of its mirror image; whoever embeds sees to it."""
    draws: int = 0
    """How often a gallery of one picture a person is drawn, over which CMC is averaged; 0: the whole gallery counts."""
    seed: int = 0
    """Of the draws."""
    rerank: Rerank | None = None
    multi_query: Literal["mean", "max"] | None = None
    """How all pictures of a query's person by its camera become one query; ``None``: each query asks for itself."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Protocol:
        """Of the plain values that :meth:`EvalResult.to_dict` writes."""
        values = current_settings(dict(values), within="protocol")
        rerank = values.get("rerank")
        return cls(**{**values, "rerank": None if rerank is None else Rerank(**rerank)})

    def __str__(self) -> str:
        camera = "same person and camera ignored" if self.ignore_same_camera else "all cameras count"
        if self.draws:
            camera = f"one gallery image a person by another camera, mean of {self.draws} draws of seed {self.seed}"
        length = "" if self.normalize else " of embeddings as they are"
        flip = ", mirror images averaged" if self.flip_tta else ""
        again = f", {self.rerank}" if self.rerank else ""
        again += f", {self.multi_query} of all pictures of a query's person and camera" if self.multi_query else ""
        precision = "no AP" if self.draws else f"AP {self.average_precision}"
        return f"{self.name}, {camera}, {precision}, distance {self.distance}{length}{flip}{again}"


@dataclass(frozen=True, slots=True)
class GroupAccuracy:
    """How often one attribute was predicted right; shares in [0, 1], larger is better."""

    name: str
    accuracy: float
    balanced: float
    """Mean recall over the values that occur: rare ones weigh as much as common ones."""
    majority: str | None
    """The commonest value among the training people; ``None`` where there are none."""
    majority_accuracy: float | None
    """Of always saying that."""
    pictures: int
    """Of which somebody knows the value."""
    values: int
    """How many of the group's values occur among them; a constant guess has 1 ÷ this balanced accuracy."""


@dataclass(frozen=True, slots=True)
class AttributeResult:
    """Accuracy of predicted attributes; groups of which nobody knows anything are left out."""

    schema: str
    groups: tuple[GroupAccuracy, ...]

    @property
    def mean(self) -> dict[str, float | None]:
        """Over the groups, each of which counts alike; ``None`` where a group has no such number."""
        columns = ("accuracy", "balanced", "majority_accuracy")
        return {column: _mean([getattr(group, column) for group in self.groups]) for column in columns}

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        groups = {group.name: {k: v for k, v in asdict(group).items() if k != "name"} for group in self.groups}
        return {"schema": self.schema, "groups": groups, "mean": self.mean}


def _mean(shares: list[float | None]) -> float | None:
    known = [share for share in shares if share is not None]
    return sum(known) / len(known) if known and len(known) == len(shares) else None


@dataclass(frozen=True, slots=True, eq=False)
class QueryResults:
    """What became of each query that has a valid match, a row each."""

    paths: tuple[str, ...]
    pids: Tensor
    camids: Tensor | None
    matches: Tensor
    """``(v,)`` int64: true matches in the gallery."""
    first_rank: Tensor
    """``(v,)`` int64: rank of the nearest one, from 1."""
    average_precision: Tensor
    """``(v,)`` float64."""
    inverse_negative_penalty: Tensor
    """``(v,)`` float64: matches ÷ rank of the last one."""

    def __len__(self) -> int:
        return len(self.paths)


@dataclass(frozen=True, slots=True)
class EvalResult:
    """Numbers of one evaluation, all in [0, 1], larger is better."""

    protocol: Protocol
    cmc: tuple[float, ...]
    """``cmc[k - 1]``: share of valid queries with a true match among the first k."""
    mean_ap: float | None
    """``None`` where the protocol gives none: of galleries with one picture a person."""
    minp: float | None
    """Mean inverse negative penalty: positives ÷ rank of the last one; ``None`` as ``mean_ap`` is."""
    queries: int
    queries_dropped: int
    """Queries without any valid match in the gallery: they count nowhere, but are counted here."""
    gallery: int
    details: dict[str, Any] = field(default_factory=dict)
    attributes: AttributeResult | None = None
    """Where the gallery's attributes were compared with what a model predicts."""
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    """95 % intervals of ``rank1``, ``mean_ap`` and ``minp``, by bootstrap over queries; none of a mean over draws."""
    per_query: QueryResults | None = field(default=None, compare=False, repr=False)
    embeddings: QueryGallery | None = field(default=None, compare=False, repr=False)
    """The embeddings of an evaluated model; ``None`` where the numbers were computed from given embeddings."""

    @property
    def rank1(self) -> float:
        return self.cmc[0]

    def rank(self, k: int) -> float:
        """CMC at rank k; past the gallery's end it is the last value."""
        if k < 1:
            raise ProtocolError(f"ranks count from 1, got {k}")
        return self.cmc[min(k, len(self.cmc)) - 1]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; CMC at the customary ranks only."""
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


Verdict = Literal["same", "unsure", "different"]
"""What a calibrated run calls two pictures (:mod:`passerby.metrics.calibration` says when)."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One answer of a search."""

    rank: int
    """1 is the nearest."""
    path: str
    distance: float
    """Of the embeddings; of attributes asked for without a picture, −ln of their probability."""
    pid: int | None = None
    camid: int | None = None
    probability: float | None = None
    """Of the attributes asked for, the product over their groups; ``None`` where none were."""
    same_person: float | None = None
    """P(same person as the query) by the run's calibration; ``None`` without one."""
    verdict: Verdict | None = None
    """What the calibration calls it; ``None`` without one."""
    role: Role = Role.PERSON
    """A distractor is nobody, whatever ``pid`` says."""
