"""What a model says of people in words: probabilities of a schema's values, read as groups and classes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from passerby.data.attributes.labels import Attributes
from passerby.data.attributes.query import AttributeQuery, attribute_query, group_place
from passerby.data.attributes.schema import Schema
from passerby.data.dataset import Dataset
from passerby.errors import ConfigError
from passerby.metrics.attributes import attribute_result
from passerby.models.card import ReidModel
from passerby.types import AttributeResult, Embeddings, Role, Sample

OWN = "own"
"""What a model predicts of the query itself."""


@dataclass(frozen=True, slots=True)
class GroupPrediction:
    """What a model says of one group."""

    value: str
    """The most probable one."""
    probability: float
    """That the model gives it, in [0, 1]; not calibrated."""
    probabilities: dict[str, float]
    """Of all values; they add up to 1."""


AttributePredictions = dict[str, GroupPrediction]
"""Of one picture, by name of group."""


def schema_of(model: ReidModel) -> Schema:
    """The attributes that a model predicts.

    Raises:
        ConfigError: if it predicts none.
    """
    if model.schema is None:
        raise ConfigError(
            f"{model.card.name} predicts no attributes as this run has it; use a run of a model that does: "
            "passerby train aanet --data DATA"
        )
    return model.schema


def classes(probabilities: Float[Tensor, "n v"], schema: Schema) -> Int[Tensor, "n g"]:
    """The most probable class of each group, the first of equally probable ones."""
    return torch.stack([probabilities[:, part].argmax(dim=1) for part in schema.slices], dim=1)


def predicted(probabilities: Float[Tensor, "n v"], query: AttributeQuery) -> Bool[Tensor, " n"]:
    """Which rows have every value asked for as the most probable one of its group."""
    found = classes(probabilities, query.schema)
    places, wanted = list(query.classes), torch.tensor(list(query.classes.values()))
    return (found[:, places] == wanted).all(dim=1)


def asked_of_queries(text: str, probabilities: Float[Tensor, "q v"], schema: Schema) -> list[AttributeQuery]:
    """What is asked for beside each query.

    Args:
        text: ``GROUP=VALUE,…``, the same of all; or what is predicted of the query itself: of every group, ``own``, or
            of some, ``own:GROUP,…``.
        probabilities: of the queries.

    Raises:
        ConfigError: for a group or value that the schema has not.
    """
    head, colon, names = text.partition(":")
    if head.strip() != OWN:
        return [attribute_query(text, schema)] * len(probabilities)
    places = [group_place(name, schema) for name in names.split(",")] if colon else range(len(schema.groups))
    return [
        AttributeQuery(schema, {place: int(found[place]) for place in places})
        for found in classes(probabilities, schema)
    ]


def attribute_predictions(probabilities: Float[Tensor, "n v"], schema: Schema) -> list[AttributePredictions]:
    """Probabilities with their names."""
    return [_predictions(row, schema) for row in probabilities]


def _predictions(row: Float[Tensor, " v"], schema: Schema) -> AttributePredictions:
    found = {}
    for group, part in zip(schema.groups, schema.slices, strict=True):
        shares = row[part].tolist()
        best = int(row[part].argmax())
        named = dict(zip(group.values, shares, strict=True))
        found[group.name] = GroupPrediction(group.values[best], shares[best], named)
    return found


@dataclass(frozen=True, eq=False)
class AttributeTest:
    """What predictions for a dataset are compared with; made before any picture is opened, as it may be refused.

    The pictures are the gallery's, as Lin et al. (Pattern Recognition 2019) have it, with whom AANet's Table 4
    compares, without junk and distractors, whose attributes nobody wrote down.
    """

    schema: Schema
    rows: Tensor
    """``(m,)`` of the gallery: pictures of people."""
    true: Tensor
    """``(m, g)``: their classes."""
    training: Tensor
    """``(p, g)``: classes of the people that the dataset has for training."""

    @classmethod
    def of(cls, model: ReidModel, dataset: Dataset, attributes: Attributes) -> AttributeTest:
        """The gallery's attributes, and those of the people in the training split (none where there is no split).

        Raises:
            ConfigError: if the model predicts no attributes, or those of another schema.
            DatasetLayoutError: if they describe none of the gallery's people.
        """
        schema = schema_of(model)
        if attributes.schema != schema:
            raise ConfigError(f"{attributes.place} is of {attributes.schema.name}, the model of {schema.name}")
        gallery = dataset.split("gallery")
        rows = [row for row, sample in enumerate(gallery) if sample.role is Role.PERSON]
        true = torch.from_numpy(attributes.of_all([gallery[row] for row in rows]))
        return cls(schema, torch.tensor(rows), true, _of_people(attributes, dataset.train))

    def result(self, gallery: Embeddings) -> AttributeResult:
        """Of the gallery's embeddings."""
        assert gallery.attributes is not None
        return attribute_result(
            classes(gallery.attributes[self.rows], self.schema), self.true, self.training, self.schema
        )


def _of_people(attributes: Attributes, samples: tuple[Sample, ...]) -> Tensor:
    """``(p, g)``: one row a person, whatever the number of pictures; that of a described picture where need be."""
    rows = {sample.pid: classes for sample in reversed(samples) if (classes := attributes.of(sample)) is not None}
    rows |= {pid: attributes.people[pid] for pid in rows if pid is not None and pid in attributes.people}
    table = [torch.from_numpy(classes.copy()) for classes in rows.values()]
    return torch.stack(table) if table else torch.empty((0, len(attributes.schema.groups)), dtype=torch.int64)
