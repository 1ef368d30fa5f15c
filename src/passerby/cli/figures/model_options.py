"""The models of a figure and the dataset that they see, as options of a command."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from passerby.data.dataset import Dataset
    from passerby.explain.images import ImageSet
    from passerby.inference.model import Model
    from passerby.inference.options import InferenceOptions


@dataclass(frozen=True)
class ModelOptions:
    """The options that select runs, a dataset, and how its images are embedded and shown."""

    runs: tuple[Path, ...]
    data: str
    inference: InferenceOptions

    def load(self) -> list[Model]:
        """Load the model of every run."""
        from passerby.inference.load import load

        return [load(run, self.inference) for run in self.runs]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the runs, as short as they differ."""
        from passerby.explain.format import run_names

        return run_names(self.runs)

    @cached_property
    def dataset(self) -> Dataset:
        """The dataset; the images of a plain folder are unlabeled."""
        from passerby.data.images.open import open_images

        return open_images(self.data)

    @cached_property
    def images(self) -> ImageSet:
        """The images of the dataset, with heads blurred as the options say."""
        from passerby.explain.images import ImageSet

        return ImageSet(self.dataset.source, blur=self.inference.blur)

    def title(self, title: str, model: Model) -> str:
        """Return the title of a figure of one run."""
        [name] = self.names
        kind = model.card.name
        return f"{title}: {name}{'' if name == kind else f' ({kind})'} on {self.data}"
