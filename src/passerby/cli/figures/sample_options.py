"""Pictures that a run's model is shown, for figures of what it does with them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from passerby.cli.options import check_names_or_number

if TYPE_CHECKING:
    from passerby.data.dataset import Dataset
    from passerby.explain.images import ModelView
    from passerby.inference.model import Model


@dataclass(frozen=True)
class Shown:
    """Options that say which model is shown which pictures."""

    run: Path
    data: str
    query: tuple[str, ...]
    n: int | None
    seed: int
    blur: bool | None
    device: str
    poses: str | None

    def load(self) -> Model:
        """The run's model.

        Raises:
            ConfigError: if a number of pictures is asked for beside their names.
        """
        from passerby.inference.load import load

        check_names_or_number(self.query, self.n)
        return load(self.run, device=self.device, keypoints=self.poses)

    def dataset(self) -> Dataset:
        """Where the pictures are; of a folder of one's own nobody knows whom they show."""
        from passerby.data.images.open import open_images

        return open_images(self.data)

    def look(self, model: Model, dataset: Dataset, *, n: int) -> ModelView:
        """The model with the pictures; ``n`` is how many, unless the options say so."""
        from passerby.explain.images import ImageSet, view_samples
        from passerby.explain.select import select_samples

        samples = select_samples(dataset, self.query, n=self.n or n, seed=self.seed)
        return view_samples(model, ImageSet(dataset.source, blur=self.blur), samples)

    def title(self, what: str, model: Model) -> str:
        """What a figure shows, of which run, on which data."""
        from passerby.explain.format import run_names

        [name] = run_names([self.run])
        kind = model.network.card.name
        return f"{what}: {name}{'' if name == kind else f' ({kind})'} on {self.data}"
