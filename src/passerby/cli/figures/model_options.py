"""Embeddings that lists are made of: of runs on a data set, or of a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from passerby.cli.options import check_unused_with_features
from passerby.cli.results import progress_bar

if TYPE_CHECKING:
    from passerby.data.dataset import Dataset
    from passerby.data.source import Source
    from passerby.explain.evaluated import EvaluatedEmbeddings
    from passerby.types import Rerank

Distance = Literal["global", "local", "global_local"]


@dataclass(frozen=True)
class Origin:
    """Options that say which embeddings are meant."""

    runs: tuple[Path, ...]
    data: str | None
    features: Path | None
    pictures: str | None
    distance: Distance
    rerank: bool
    described: bool
    """Whether predicted attributes are needed."""
    device: str
    poses: str | None
    flip: bool | None
    normalize: bool | None

    @property
    def place(self) -> str:
        """Where the pictures are, as it was typed."""
        return str(self.pictures if self.features else self.data)

    def open(self) -> tuple[Source, list[EvaluatedEmbeddings]]:
        """The pictures, and each run's embeddings, or the file's.

        Raises:
            PasserbyError: for what cannot be, most of it before any work.
        """
        return self._of_features(self.features) if self.features else self._of_runs()

    def _of_features(self, file: Path) -> tuple[Source, list[EvaluatedEmbeddings]]:
        from passerby.data.registry import open_place
        from passerby.errors import DatasetLayoutError
        from passerby.explain.evaluated import EvaluatedEmbeddings
        from passerby.inference.embeddings_file import has_image_paths

        place = self._pictures_of_features()
        found = EvaluatedEmbeddings.from_file(
            file, normalize=self.normalize, distance=self.distance, rerank=self._rerank()
        )
        sides = {"query": found.query, "gallery": found.gallery}
        if without := [name for name, side in sides.items() if not has_image_paths(side)]:
            raise DatasetLayoutError(
                f"{file} does not name the pictures of its {' and '.join(without)}: add "
                f"{' and '.join(f'{name}_path' for name in without)} (a column path of Parquet), the names within "
                f"{place}; docs/evaluation.md has the format"
            )
        return open_place(place), [found]

    def _pictures_of_features(self) -> str:
        """What decides how a model embeds decides nothing here."""
        from passerby.errors import ConfigError

        others: dict[str, object] = {"RUN": self.runs or None, "--data": self.data, "--keypoints": self.poses}
        others |= {"--attributes": self.described or None, "--flip-tta": self.flip}
        check_unused_with_features(others)
        if self.pictures is None:
            raise ConfigError("--features hold no pictures: say where they are, --pictures PLACE (folder, zip or tar)")
        return self.pictures

    def _of_runs(self) -> tuple[Source, list[EvaluatedEmbeddings]]:
        from passerby.data.registry import load as load_dataset
        from passerby.errors import ConfigError
        from passerby.explain.format import run_names

        if not self.runs or self.data is None:
            raise ConfigError("nothing to rank: give RUN… and --data, or --features FILE and --pictures PLACE")
        if self.pictures is not None:
            raise ConfigError(
                "of runs the pictures are those of --data; --pictures belongs to --features: leave it out"
            )
        dataset = load_dataset(self.data)
        named = zip(self.runs, run_names(self.runs), strict=True)
        return dataset.source, [self._of_run(run, name, dataset) for run, name in named]

    def _of_run(self, run: Path, name: str, dataset: Dataset) -> EvaluatedEmbeddings:
        from passerby.explain.evaluated import EvaluatedEmbeddings
        from passerby.inference.attributes import schema_of
        from passerby.inference.load import load

        model = load(run, device=self.device, keypoints=self.poses, flip_tta=self.flip, normalize=self.normalize)
        if self.described:
            schema_of(model.network)  # refuses a model without attributes before any work
        number = len(dataset.split("query")) + len(dataset.split("gallery"))
        with progress_bar(f"embedding for {name}", number) as more:
            # a list is of the whole gallery, whatever the data set's own protocol draws
            return EvaluatedEmbeddings.from_model(
                model, dataset, name, draws=0, distance=self.distance, rerank=self._rerank(), progress=more
            )

    def _rerank(self) -> Rerank | None:
        from passerby.types import Rerank

        return Rerank() if self.rerank else None
