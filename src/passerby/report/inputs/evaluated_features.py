"""The evaluation of files of precomputed embeddings, as ``passerby evaluate --features`` computes it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from pathlib import Path

from passerby.errors import ConfigError, PasserbyError
from passerby.evaluation.open_set import with_open_set
from passerby.evaluation.subgroups import Grouping
from passerby.explain.evaluated import EvaluatedEmbeddings
from passerby.explain.format import run_names
from passerby.inference.embeddings_file import has_image_paths
from passerby.metrics.subgroups import Subgroup
from passerby.report.inputs.evaluation import FeaturesEvaluation, Missing
from passerby.report.inputs.record import Record
from passerby.report.inputs.run import Run

_WITHOUT_MODEL = Missing(
    "ranked lists, explanations, saliency, attention and training",
    "the file holds embeddings, but neither images nor a model",
    "Report on the run that made them: passerby report RUN --data DATA.",
)


def read_features(files: Sequence[str | Path]) -> tuple[Run, ...]:
    """Read and evaluate files of embeddings for a report, in order.

    Raises:
        ConfigError: if a file is given twice.
        PasserbyError: if a file cannot be read, or lacks what an evaluation needs.
    """
    paths = [Path(file).expanduser() for file in files]
    places = [path.resolve() for path in paths]
    if twice := [str(path) for path, place in zip(paths, places, strict=True) if places.count(place) > 1]:
        raise ConfigError(f"{' and '.join(twice)} are the same file. Fix: give each file once")
    found = [EvaluatedEmbeddings.from_file(path, name) for path, name in zip(paths, _labels(paths), strict=True)]
    specs = _specs(paths, found)
    return tuple(_run(path, each, spec) for path, each, spec in zip(paths, found, specs, strict=True))


def _labels(paths: Sequence[Path]) -> tuple[str, ...]:
    """Return the names without their ending, unless that makes two of them equal."""
    short = [path.with_suffix("") for path in paths]
    return run_names(short if len(set(short)) == len(short) else paths)


def _specs(paths: Sequence[Path], found: Sequence[EvaluatedEmbeddings]) -> list[str]:
    """Return a name of each file's data: files with embeddings of the same images have the same one."""
    known: dict[Hashable, str] = {}
    for path, each in zip(paths, found, strict=True):
        root = each.origin.root if each.origin else ""
        name = str(path) if not root or root in known.values() else root
        known.setdefault(_images(path, each), name)
    return [known[_images(path, each)] for path, each in zip(paths, found, strict=True)]


def _images(path: Path, each: EvaluatedEmbeddings) -> Hashable:
    """Return a key that is equal for the same images with the same labels; images without names equal no others."""
    sides = each.query, each.gallery
    if not all(map(has_image_paths, sides)):
        return path
    columns = (getattr(side, name) for side in sides for name in ("pids", "camids", "roles"))
    return (
        *(side.paths for side in sides),
        *(None if column is None else tuple(column.tolist()) for column in columns),
    )


def _run(path: Path, each: EvaluatedEmbeddings, spec: str) -> Run:
    subgroups, missing = _by_camera(each)
    model = {"model": each.origin.model} if each.origin else {}
    evaluation = FeaturesEvaluation(
        file=path,
        spec=spec,
        query=each.query,
        gallery=each.gallery,
        result=with_open_set(each.result, each.query, each.gallery),
        subgroups=subgroups,
        missing=(*missing, _WITHOUT_MODEL),
    )
    return Run(Record(path, each.name, {}, {}, {}, model, {}, {}, (), None), evaluation, evaluation.missing)


def _by_camera(each: EvaluatedEmbeddings) -> tuple[tuple[Subgroup, ...], tuple[Missing, ...]]:
    """Return the subgroups by camera, the only ones that a file of embeddings has labels for."""
    try:
        return Grouping(("cameras",)).subgroups(each.query, each.gallery, each.result), ()
    except PasserbyError as error:
        return (), (Missing("subgroups by cameras", str(error).rstrip("."), "Correct the camera IDs of the file."),)
