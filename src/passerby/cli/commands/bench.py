"""``passerby bench``: what retrieval costs on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="Time and memory on this machine.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keeps ``retrieval`` a command of its own name."""


@app.command()
def retrieval(
    queries: Annotated[int, typer.Option(min=1, help="Query images; default: Market-1501's.")] = 3368,
    gallery: Annotated[int, typer.Option(min=1, help="Gallery images; default: Market-1501's.")] = 15913,
    dimensions: Annotated[int, typer.Option(min=1, help="Of an embedding.")] = 512,
    only: Annotated[
        list[str] | None, typer.Option(metavar="OPERATION", help="evaluate, top-50, re-rank or dmli. Repeatable.")
    ] = None,
    stripes: Annotated[int, typer.Option(min=1, help="Of dmli: stripes an image.")] = 16,
    channels: Annotated[int, typer.Option(min=1, help="Of dmli: dimensions of a stripe.")] = 128,
    threads: Annotated[int, typer.Option(min=1, help="Processor threads.")] = 1,
    repeats: Annotated[int, typer.Option(min=1, help="The median of so many is shown.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Time evaluation, search and re-ranking of random embeddings, each in a process of its own (dmli if asked for)."""
    import json
    from dataclasses import asdict

    from passerby.errors import UnknownNameError
    from passerby.evaluation.bench import OPERATIONS, Sizes, measure

    chosen = only or ["evaluate", "top-50", "re-rank"]
    for name in chosen:
        if name not in OPERATIONS:
            raise UnknownNameError("operation", name, OPERATIONS)
    sizes = Sizes(queries, gallery, dimensions, stripes, channels, threads)
    costs = []
    for name in chosen:
        cost = measure(name, sizes, repeats=repeats)
        costs.append(asdict(cost))
        if not as_json:
            typer.echo(
                f"{name}: {cost.cpu_seconds:.2f} CPU seconds, {cost.wall_seconds:.2f} by the clock, "
                f"peak {cost.peak_gigabytes:.2f} GB"
            )
    if as_json:
        typer.echo(json.dumps(costs, indent=2))
