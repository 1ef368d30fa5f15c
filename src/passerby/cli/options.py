"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from passerby.errors import ConfigError

Place = Annotated[str | None, typer.Option(help="NAME:PATH or a path (folder, zip, tar).")]
Device = Annotated[str, typer.Option(help="Where the model runs: cpu, cuda, cuda:1, mps.")]
Flip = Annotated[
    bool | None,
    typer.Option(
        "--flip-tta/--no-flip-tta",
        "--flip/--no-flip",
        help="Average each picture with its mirror image; default: as the run says (no).",
    ),
]
Normalise = Annotated[
    bool | None,
    typer.Option("--normalize/--no-normalize", help="Compare embeddings of length 1; default: as the run or paper."),
]
Poses = Annotated[
    str | None,
    typer.Option(help="Who knows the joints, for a model of parts: own, network, auto, a COCO .json, body points."),
]
Blur = Annotated[
    bool | None,
    typer.Option("--blur/--no-blur", help="Blur heads; default: unless nobody in the pictures exists (synthetic)."),
]


def refuse_beside_features(others: Mapping[str, object]) -> None:
    """What decides how a model embeds decides nothing about embeddings from a file.

    Raises:
        ConfigError: if any of ``others``, by the names that are typed, was given.
    """
    if given := [name for name, value in others.items() if value is not None]:
        raise ConfigError(f"--features are embeddings already: {', '.join(given)} would decide nothing; leave it out")


def refuse_number(names: Sequence[str], n: int | None, *, what: str = "picture") -> None:
    """How many are shown, and which, are not asked for at once.

    Raises:
        ConfigError: if they are.
    """
    if names and n is not None:
        raise ConfigError(f"every {what} that is named is shown, so -n {n} would decide nothing; leave it out")
