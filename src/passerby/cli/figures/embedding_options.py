"""The embeddings of a figure, of runs on a dataset or from files, as options of a command."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from passerby.cli.options import Distance, check_unused_with_features
from passerby.cli.results import progress_bar
from passerby.errors import ConfigError

if TYPE_CHECKING:
    from passerby.data.dataset import Dataset
    from passerby.explain.evaluated import EvaluatedEmbeddings
    from passerby.inference.model import Model
    from passerby.inference.options import InferenceOptions
    from passerby.types import Rerank


@dataclass(frozen=True, kw_only=True)
class EmbeddingOptions:
    """The options that select embeddings and how they are compared."""

    runs: tuple[Path, ...]
    data: str | None
    features: tuple[Path, ...]
    inference: InferenceOptions
    draws: int | None = None
    """The number of random galleries; ``None``: the default of the run or dataset."""
    whole_gallery: bool = False
    """The use of the whole gallery, whatever the run or dataset draws: figures of rankings need it."""
    distance: Distance | None = None
    """The distance; ``None``: as in the run or the file."""
    rerank: bool = False
    junk: bool = False
    """The need of the gallery's junk, which no number counts."""
    attributes: bool = False
    """The need of predicted attributes."""
    calibration: bool = False
    """The need of a calibrated run."""

    @property
    def location(self) -> str:
        """The dataset as the user typed it."""
        return self.data or "embeddings from files"

    @cached_property
    def dataset(self) -> Dataset:
        """The dataset of the runs.

        Raises:
            ConfigError: if none is given.
        """
        from passerby.data.registry import load

        if self.data is None:
            raise ConfigError("runs need a dataset to be evaluated on. Fix: add --data DATA")
        return load(self.data)

    def open(self) -> list[EvaluatedEmbeddings]:
        """Embed the dataset by every run, or read the files.

        Raises:
            ConfigError: if options contradict each other, most of it before any work.
        """
        if self.features:
            return self._read()
        if not self.runs:
            raise ConfigError("nothing to compare. Fix: give RUN… and --data DATA, or --features FILE")
        return self._embed()

    def _read(self) -> list[EvaluatedEmbeddings]:
        from passerby.explain.evaluated import EvaluatedEmbeddings
        from passerby.explain.format import run_names

        check_unused_with_features(
            {
                "RUN": self.runs or None,
                "--data": self.data,
                "--draws": self.draws,
                "--attributes": self.attributes or None,
                "--keypoints": self.inference.keypoints,
                "--flip-tta": self.inference.flip_tta,
            }
        )
        if self.calibration:
            raise ConfigError("embeddings from a file have no calibration. Fix: leave calibration out, or give RUN…")
        names = run_names([file.with_suffix("") for file in self.features])
        return [
            EvaluatedEmbeddings.from_file(
                file, name, normalize=self.inference.normalize, distance=self.distance, rerank=self._rerank
            )
            for file, name in zip(self.features, names, strict=True)
        ]

    def _embed(self) -> list[EvaluatedEmbeddings]:
        from passerby.explain.evaluated import EvaluatedEmbeddings
        from passerby.explain.format import run_names

        gallery = self.dataset.split("gallery") if self.junk else self.dataset.counted("gallery")
        number = len(self.dataset.counted("query")) + len(gallery)
        draws = 0 if self.whole_gallery else self.draws
        found = []
        for name, model in zip(run_names(self.runs), self._models(), strict=True):
            with progress_bar(f"embedding for {name}", number) as progress:
                found.append(
                    EvaluatedEmbeddings.from_model(
                        model,
                        self.dataset,
                        name,
                        draws=draws,
                        distance=self.distance,
                        rerank=self._rerank,
                        junk=self.junk,
                        progress=progress,
                    )
                )
        return found

    def _models(self) -> list[Model]:
        from passerby.inference.attributes import schema_of
        from passerby.inference.load import load

        models = [load(run, self.inference) for run in self.runs]
        if self.attributes:
            for model in models:
                schema_of(model)  # raises for a model without attributes
        if self.calibration and not any(model.calibration for model in models):
            raise ConfigError(
                "none of these runs is calibrated. Fix: passerby calibrate RUN --data DATA, or leave calibration out"
            )
        return models

    @property
    def _rerank(self) -> Rerank | None:
        from passerby.types import Rerank

        return Rerank() if self.rerank else None
