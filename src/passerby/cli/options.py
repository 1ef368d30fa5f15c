"""The options that several commands share, each written once, so that it means the same thing in all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from passerby.errors import ConfigError
from passerby.limits import MAX_SEED

Distance = Literal["global", "local", "global_local"]

# Arguments
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, made by train or import-weights.")]
OptionalRunArgument = Annotated[
    Path | None, typer.Argument(metavar="RUN", help="A run folder, made by train or import-weights.")
]
_MODEL = (
    "A run folder, made by train or import-weights; street or street-s, the weights in the package; or an ONNX file."
)
ModelArgument = Annotated[Path, typer.Argument(metavar="RUN", help=_MODEL)]
OptionalModelArgument = Annotated[Path | None, typer.Argument(metavar="RUN", help=_MODEL)]
RunsArgument = Annotated[
    list[Path], typer.Argument(metavar="RUN…", help="Run folders, made by train or import-weights.")
]
OptionalRunsArgument = Annotated[
    list[Path] | None, typer.Argument(metavar="RUN…", help="Run folders, made by train or import-weights.")
]
DatasetArgument = Annotated[
    str, typer.Argument(metavar="DATA", help="NAME:PATH, a path (folder, zip, tar), or pedestrians:people=60,….")
]

# Data
DataOption = Annotated[
    str | None, typer.Option("--data", metavar="DATA", help="Dataset: NAME:PATH or a path (folder, zip, tar).")
]
RequiredDataOption = Annotated[
    str, typer.Option("--data", metavar="DATA", help="Dataset: NAME:PATH or a path (folder, zip, tar).")
]
FeaturesOption = Annotated[
    Path | None,
    typer.Option(
        "--features",
        metavar="FILE.parquet|.npz",
        help="Precomputed embeddings instead of a run; docs/evaluation.md describes the file.",
    ),
]
FeaturesOptions = Annotated[
    list[Path] | None,
    typer.Option(
        "--features",
        metavar="FILE.parquet|.npz",
        help="Precomputed embeddings instead of runs; repeatable; docs/evaluation.md describes the file.",
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, e.g. optimizer.lr=1e-4; repeatable."),
]

# Inference
DeviceOption = Annotated[
    str, typer.Option("--device", metavar="DEVICE", help="Device of the model: auto, cpu, cuda, cuda:1 or mps.")
]
BatchSizeOption = Annotated[int, typer.Option("--batch-size", min=1, help="Images per batch.")]
FlipTtaOption = Annotated[
    bool | None,
    typer.Option("--flip-tta/--no-flip-tta", help="Flip test-time augmentation (default as in the run, else no)."),
]
NormalizeOption = Annotated[
    bool | None,
    typer.Option(
        "--normalize/--no-normalize", help="L2-normalize embeddings (default as in the run, else the model's)."
    ),
]
KeypointsOption = Annotated[
    str | None,
    typer.Option(
        "--keypoints",
        metavar="SOURCE",
        help="Keypoint source of models with body parts: auto, own, network or a path (default as in the run).",
    ),
]

# Evaluation
DistanceOption = Annotated[
    Distance | None,
    typer.Option(
        "--distance",
        help="Distance of embeddings, of local features (stripes), or of both (default as in the run, else global).",
    ),
]
DrawsOption = Annotated[
    int | None,
    typer.Option(
        "--draws",
        min=0,
        help="Number of random single-shot galleries, 0 for the whole gallery (default as in the run or dataset).",
    ),
]
RerankOption = Annotated[
    bool, typer.Option("--rerank", help="Re-rank with k-reciprocal encoding (Zhong et al., 2017).")
]

AttributeLabelsOption = Annotated[
    str | None,
    typer.Option(
        "--attribute-labels",
        metavar="FILE|own",
        help="True attributes: own for those of the dataset, a .mat or a .csv file (default none).",
    ),
]

# Images and output
ImageArgument = Annotated[
    str, typer.Argument(metavar="IMAGE", help="Image: a file, or PLACE::NAME in a folder, zip, tar or dataset.")
]
OptionalQueryArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="IMAGE",
        help="Image: a file, or PLACE::NAME in a folder, zip, tar or dataset; optional with --attributes.",
    ),
]
WantedAttributesOption = Annotated[
    str | None,
    typer.Option(
        "--attributes",
        metavar="GROUP=VALUE,…",
        help="Keep only images predicted to have these attributes; without IMAGE, rank all by their probability.",
    ),
]
OptionalQueriesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="IMAGE…",
        help="Images of one person: files, or PLACE::NAME of a folder, archive or dataset; optional with --attributes.",
    ),
]
HitsOption = Annotated[
    int | None, typer.Option("-k", min=1, help="Number of hits (default 10, or all if there are fewer).")
]
QueryOption = Annotated[
    list[str] | None,
    typer.Option(
        "--query", metavar="NAME", help="Image to show, with or without its folders; repeatable (default random)."
    ),
]
SampleSeedOption = Annotated[
    int, typer.Option("--seed", min=0, max=MAX_SEED, help="Random seed of the image selection.")
]
BlurOption = Annotated[
    bool | None,
    typer.Option("--blur/--no-blur", help="Blur heads (default yes, except in synthetic images)."),
]
FigureOption = Annotated[Path, typer.Option("--output", "-o", metavar="FILE.png|.pdf|.svg", help="Figure to write.")]
OptionalFigureOption = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE.png|.pdf|.svg", help="Figure to write (default none).")
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace an existing output.")]
SkipBrokenOption = Annotated[
    bool,
    typer.Option("--skip-broken", help="Leave out images that cannot be read, and list them (default stop there)."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def check_unused_with_features(others: Mapping[str, object]) -> None:
    """Check that no option is given that only matters when a model embeds images.

    Raises:
        ConfigError: if any of ``others``, by the names that a user types, was given beside ``--features``.
    """
    if given := [name for name, value in others.items() if value is not None]:
        raise ConfigError(
            f"{', '.join(given)} has no effect with --features, which are embeddings already. Fix: leave it out"
        )


def check_names_or_number(names: Sequence[str], n: int | None, *, what: str = "image") -> None:
    """Check that images are selected by name or by number, not by both.

    Raises:
        ConfigError: if both are given.
    """
    if names and n is not None:
        raise ConfigError(f"-n {n} has no effect, because every named {what} is shown. Fix: leave it out")
