"""The true attributes of a gallery, to compare predicted ones with."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from passerby.data.attributes.labels import Attributes
from passerby.data.attributes.schema import Schema
from passerby.data.dataset import Dataset
from passerby.errors import ConfigError
from passerby.inference.attributes import AttributePredictor, predicted_classes, schema_of
from passerby.metrics.attributes import attribute_result
from passerby.types import AttributeResult, Embeddings, Role, Sample


@dataclass(frozen=True, eq=False)
class AttributeTest:
    """The labels that predictions for a dataset are compared with; made before any image is opened, as that may fail.

    The images are the gallery's, as in Lin et al. (Pattern Recognition 2019), with whom AANet's Table 4 compares,
    without junk and distractors, which have no labels.
    """

    schema: Schema
    rows: Tensor
    """The rows ``(m,)`` of the gallery without junk that show known people."""
    true: Tensor
    """The classes ``(m, g)`` of these rows."""
    training: Tensor
    """The classes ``(p, g)`` of the people in the training split."""

    @classmethod
    def of(cls, model: AttributePredictor, dataset: Dataset, attributes: Attributes) -> AttributeTest:
        """Return the attributes of a dataset's gallery, and of the people in its training split, if it has one.

        Raises:
            ConfigError: if the model predicts no attributes, or those of another schema.
            DatasetLayoutError: if the labels describe none of the gallery's people.
        """
        schema = schema_of(model)
        if attributes.schema != schema:
            raise ConfigError(
                f"'{attributes.place}' has the attributes of {attributes.schema.name}, but the model predicts those of "
                f"{schema.name}. Fix: give a table of these"
            )
        gallery = dataset.counted("gallery")
        rows = [row for row, sample in enumerate(gallery) if sample.role is Role.PERSON]
        true = torch.from_numpy(attributes.of_all([gallery[row] for row in rows]))
        return cls(schema, torch.tensor(rows), true, _people_classes(attributes, dataset.train))

    def result(self, gallery: Embeddings) -> AttributeResult:
        """Return the accuracy of the attributes predicted of the gallery."""
        assert gallery.attributes is not None
        return attribute_result(
            predicted_classes(gallery.attributes[self.rows], self.schema), self.true, self.training, self.schema
        )


def _people_classes(attributes: Attributes, samples: tuple[Sample, ...]) -> Tensor:
    """Return the classes ``(p, g)``, one row per person: the person's own, or else those of one described image."""
    rows = {sample.pid: classes for sample in reversed(samples) if (classes := attributes.of(sample)) is not None}
    rows |= {pid: attributes.people[pid] for pid in rows if pid is not None and pid in attributes.people}
    table = [torch.from_numpy(classes.copy()) for classes in rows.values()]
    return torch.stack(table) if table else torch.empty((0, len(attributes.schema.groups)), dtype=torch.int64)
