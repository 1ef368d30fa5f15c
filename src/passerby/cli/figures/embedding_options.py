"""What curves and matrices are made of: runs on a data set, or files of embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from passerby.cli.options import check_unused_with_features
from passerby.cli.results import progress_bar

if TYPE_CHECKING:
    from passerby.explain.evaluated import EvaluatedEmbeddings


@dataclass(frozen=True)
class Origin:
    """Options that say what is compared."""

    runs: tuple[Path, ...]
    data: str | None
    features: tuple[Path, ...]
    draws: int | None
    device: str
    poses: str | None
    flip: bool | None
    normalize: bool | None

    @property
    def place(self) -> str:
        """Where the pictures are, as it was typed; of embeddings nobody knows."""
        return self.data or "embeddings from files"

    def open(self, *, calibrated: bool = False) -> list[EvaluatedEmbeddings]:
        """Embed, or read what was embedded.

        Args:
            calibrated: whether a run must say what its distances mean.

        Raises:
            PasserbyError: for what cannot be, most of it before any work.
        """
        from passerby.errors import ConfigError

        if bool(self.runs) == bool(self.features):
            raise ConfigError("nothing to compare: give RUN… and --data, or --features FILE…, and not both")
        return self._of_features(calibrated=calibrated) if self.features else self._of_runs(calibrated=calibrated)

    def _of_features(self, *, calibrated: bool) -> list[EvaluatedEmbeddings]:
        from passerby.errors import ConfigError
        from passerby.explain.evaluated import EvaluatedEmbeddings
        from passerby.explain.format import run_names

        others = {"--data": self.data, "--keypoints": self.poses, "--flip-tta": self.flip, "--draws": self.draws}
        check_unused_with_features(others)
        if calibrated:
            raise ConfigError("embeddings from a file are of no calibrated run: leave calibration out, or give RUN…")
        names = run_names([file.with_suffix("") for file in self.features])
        return [
            EvaluatedEmbeddings.from_file(file, name, normalize=self.normalize)
            for file, name in zip(self.features, names, strict=True)
        ]

    def _of_runs(self, *, calibrated: bool) -> list[EvaluatedEmbeddings]:
        from passerby.data.registry import load as load_dataset
        from passerby.errors import ConfigError
        from passerby.explain.evaluated import EvaluatedEmbeddings
        from passerby.explain.format import run_names
        from passerby.inference.load import load

        if self.data is None:
            raise ConfigError("runs need pictures to be compared on: add --data DATA")
        dataset = load_dataset(self.data)
        predictors = [
            load(run, device=self.device, keypoints=self.poses, flip_tta=self.flip, normalize=self.normalize)
            for run in self.runs
        ]
        if calibrated and not any(model.calibration for model in predictors):
            raise ConfigError(
                "none of these runs is calibrated: passerby calibrate RUN --data DATA, or leave calibration out"
            )
        number = len(dataset.split("query")) + len(dataset.split("gallery"))
        found = []
        for name, model in zip(run_names(self.runs), predictors, strict=True):
            with progress_bar(f"embedding for {name}", number) as more:
                found.append(EvaluatedEmbeddings.from_model(model, dataset, name, draws=self.draws, progress=more))
        return found
