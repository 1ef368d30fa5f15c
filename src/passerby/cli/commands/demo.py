"""``passerby demo``: the whole way on people who do not exist, through the same commands a person types."""

from __future__ import annotations

import json
import shlex
import shutil
import time
from pathlib import Path
from typing import Annotated

import typer

from passerby.cli.registry import Panel, command
from passerby.errors import OutputError

MARKER = ".made-by-passerby-demo"
PEOPLE = 120
SETTINGS = (
    "model.options.backbone=resnet18_half",
    "data.height=128",
    "data.width=64",
    "sampler.p=16",
    "sampler.epoch_of=images",
    "optimizer.lr=1e-3",
    "schedule.name=cosine",
    "schedule.warmup_epochs=0.5",
    "augment.pad=5",
    "augment.erase=0",
    "epochs=12",
    "checkpoint_every=12",
)
"""Small enough for two processor cores and two minutes; nothing is erased: so short a training has no time for it."""


@command("demo", panel=Panel.START, order=0, needs_arguments=False)
def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Folder to make; replaces that of an earlier demo.")
    ] = Path("passerby-demo"),
) -> None:
    """Draw people, train on half of them, evaluate and search among the others: four minutes on two cores."""
    start = time.monotonic()
    _make_room(output)
    data, run, people = output / "data", output / "run", output / "people.parquet"
    sheet, strip, page = output / "people.png", output / "search.png", output / "report.html"
    _passerby("data", "synthesize", data, "--people", PEOPLE)
    _passerby("data", "sheet", data, "-o", sheet)
    _passerby("train", "aap_reid", "--data", data, "--run", run, *(a for s in SETTINGS for a in ("--set", s)))
    _passerby("evaluate", run, "--data", data, "--output", output / "evaluation.json")
    _passerby("embed", run, data, "-o", people)
    query = min((data / "query").iterdir()).name
    _passerby("search", run, f"{data}::query/{query}", "--gallery", people, "-k", "10", "-o", strip)
    _passerby("report", run, "-o", page)
    rank1 = json.loads((output / "evaluation.json").read_text())["cmc"]["1"]
    typer.echo(
        f"\nMade in {time.monotonic() - start:.0f} s: {sheet} (the people), {run} (a model that names the right one of "
        f"{PEOPLE // 2} strangers first in {100 * rank1:.0f} of 100 searches), {strip} (one search; green is right), "
        f"{page} (all about the model, for a browser)"
    )


def _make_room(out: Path) -> None:
    """An empty folder with the marker in it; somebody's own folder is left alone."""
    try:
        if out.exists():
            if not (out / MARKER).is_file():
                raise OutputError(f"{out} exists and no demo made it; choose another folder with --output")
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
