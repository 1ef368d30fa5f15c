"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

Device = Annotated[str, typer.Option(help="Where the model runs: cpu, cuda, cuda:1, mps.")]
Poses = Annotated[
    str | None,
    typer.Option(help="Who knows the joints, for a model that sees parts: own, a COCO .json, body points."),
]
