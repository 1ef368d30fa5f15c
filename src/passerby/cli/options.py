"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

Device = Annotated[str, typer.Option(help="Where the model runs: cpu, cuda, cuda:1, mps.")]
Flip = Annotated[
    bool | None,
    typer.Option("--flip/--no-flip", help="Average each picture with its mirror image; default: as the run says (no)."),
]
Normalise = Annotated[
    bool | None,
    typer.Option("--normalise/--no-normalise", help="Compare embeddings of length 1; default: as the run or paper."),
]
Poses = Annotated[
    str | None,
    typer.Option(help="Who knows the joints, for a model of parts: own, network, auto, a COCO .json, body points."),
]
Blur = Annotated[
    bool | None,
    typer.Option("--blur/--no-blur", help="Blur heads; default: unless nobody in the pictures exists (synthetic)."),
]
