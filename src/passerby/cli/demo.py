"""``passerby demo``: the whole way on drawn people, through the same commands a person types."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import Annotated

import typer

from passerby.errors import OutputError

MARKER = ".made-by-passerby-demo"
SETTINGS = (
    "model.options.trunk=resnet18",
    "data.height=64",
    "data.width=32",
    "optimizer.lr=1e-3",
    "schedule.name=cosine",
    "epochs=40",
    "checkpoint_every=40",
)
"""Small enough for two processor cores and a minute."""


def demo(
    out: Annotated[Path, typer.Option(help="Folder to make; one that an earlier demo made is replaced.")] = Path(
        "passerby-demo"
    ),
) -> None:
    """Draw people, train on half of them, evaluate and search among the others: a minute on two cores."""
    from passerby.data.figures import write_figures

    _make_room(out)
    data, run, people, strip = out / "data", out / "run", out / "people.parquet", out / "search.png"
    typer.echo("Drawing 48 people, seen by 3 cameras ...")
    write_figures(data)
    _passerby("data", "check", data)
    _passerby("train", "aap_reid", "--data", data, "--run", run, *(a for s in SETTINGS for a in ("--set", s)))
    _passerby("embed", run, data, "-o", people)
    query = min((data / "query").iterdir()).name
    _passerby("search", run, f"{data}::query/{query}", "--gallery", people, "-k", "8", "--figure", strip)
    typer.echo(f"\nThe photograph searched for, and the nearest in the gallery (green: the same person): open {strip}")


def _make_room(out: Path) -> None:
    """An empty folder with the marker in it; somebody's own folder is left alone."""
    try:
        if out.exists():
            if not (out / MARKER).is_file():
                raise OutputError(f"{out} exists and no demo made it; choose another folder with --out")
            shutil.rmtree(out)
        out.mkdir(parents=True)
        (out / MARKER).touch()
    except OSError as error:
        raise OutputError(f"cannot write the folder {out}: {error.strerror or error}") from None


def _passerby(*arguments: object) -> None:
    """Print a command as it would be typed, and run it."""
    from passerby.cli import app

    words = [str(a) for a in arguments]
    typer.secho(f"\n$ passerby {shlex.join(words)}", bold=True)
    code = app(args=words, prog_name="passerby", standalone_mode=False)
    if code:
        raise typer.Exit(code)
