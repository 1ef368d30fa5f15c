"""``passerby figures curves``: how runs were trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from passerby.cli.options import FigureOption
from passerby.cli.registry import command


@command("curves", group="figures", order=0)
def curves(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Run folders that were trained here.")],
    output: FigureOption,
    over: Annotated[Literal["epoch", "step"], typer.Option(help="What is counted from left to right.")] = "epoch",
) -> None:
    """Draw losses, learning rate and, where runs evaluated between epochs, accuracy; several over each other."""
    from passerby.explain.format import run_names
    from passerby.figures.save import check_figure, save_figure
    from passerby.figures.training_curves import TrainingHistory, training_figure

    check_figure(output)
    histories = [TrainingHistory.from_run(run, name) for run, name in zip(runs, run_names(runs), strict=True)]
    save_figure(training_figure(histories, over=over), output)
    typer.echo(f"The curves are in {output}.")
