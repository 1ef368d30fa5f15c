"""``passerby demo``: every step on synthetic pedestrians, through the commands that a user types."""

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
PEOPLE = 30
TRAINED_PEOPLE = 120
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
"""The settings, which train in two minutes on two cores; random erasing needs longer trainings."""


@command("demo", panel=Panel.START, order=0, needs_arguments=False)
def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Folder to make, or to replace if a demo made it.")
    ] = Path("passerby-demo"),
    train: Annotated[
        bool, typer.Option("--train", help="Train a small model on half of 120 people first, and use that (4 minutes).")
    ] = False,
) -> None:
    """Generate pedestrians, search for one with the weights in the package, explain and report (90 s on 2 cores)."""
    start = time.monotonic()
    _make_room(output)
    data, people = output / "data", output / "people.parquet"
    sheet, strip, match, page = (output / name for name in ("people.png", "search.png", "match.png", "report.html"))
    number = TRAINED_PEOPLE if train else PEOPLE
    _passerby("data", "synthesize", data, "--people", number)
    _passerby("data", "sheet", data, "-o", sheet)
    model: str | Path = "street"
    if train:
        model = output / "run"
        _passerby("train", "aap_reid", "--data", data, "--run", model, *(a for s in SETTINGS for a in ("--set", s)))
    _passerby("evaluate", model, "--data", data, "--output", output / "evaluation.json")
    _passerby("embed", model, data, "-o", people)
    query, same = sorted(file.name for file in (data / "query").iterdir())[:2]  # two cameras' images of one person
    _passerby("search", model, f"{data}::query/{query}", "--gallery", people, "-k", "10", "-o", strip)
    _passerby("explain", model, data / "query" / query, data / "query" / same, "-o", match)
    _passerby("report", model, *(() if train else ("--data", data)), "-o", page)
    rank1 = json.loads((output / "evaluation.json").read_text())["cmc"]["1"]
    typer.echo(
        f"\nMade in {time.monotonic() - start:.0f} s with {model}, which ranks the true one of {number // 2} people it "
        f"never saw first in {100 * rank1:.0f} of 100 searches: {sheet} (the people), {strip} (one search; green: true "
        f"match), {match} (why two images match), {page} (the report, for a browser)"
    )


def _make_room(out: Path) -> None:
    """Make an empty folder with a marker file; a folder without the marker is left alone."""
    try:
        if out.exists():
            if not (out / MARKER).is_file():
                raise OutputError(f"{str(out)!r} exists and no demo made it. Fix: choose another folder with --output")
            shutil.rmtree(out)
        out.mkdir(parents=True)
        (out / MARKER).touch()
    except OSError as error:
        raise OutputError(
            f"cannot write the folder {str(out)!r}: {error.strerror or error}. Fix: choose another --output"
        ) from None


def _passerby(*arguments: object) -> None:
    """Print a command as a user would type it, and run it."""
    from passerby.cli import app

    words = [str(a) for a in arguments]
    typer.secho(f"\n$ passerby {shlex.join(words)}", bold=True)
    code = app(args=words, prog_name="passerby", standalone_mode=False)
    if code:
        raise typer.Exit(code)
