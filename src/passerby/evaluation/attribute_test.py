"""TODO docstring."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from passerby.data.attributes.labels import Attributes
from passerby.data.attributes.schema import Schema
from passerby.data.dataset import Dataset
from passerby.errors import ConfigError
from passerby.inference.attributes import classes, schema_of
from passerby.metrics.attributes import attribute_result
from passerby.models.base import ReidModel
from passerby.types import AttributeResult, Embeddings, Role, Sample


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
