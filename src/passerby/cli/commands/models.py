"""``passerby models``: the models that can be trained, and the weights in the package."""

from __future__ import annotations

import typer

from passerby.cli.registry import Panel, command


@command("models", panel=Panel.START, order=1, needs_arguments=False)
def models() -> None:
    """List all models (paper, input size, embedding size, parameters for 751 identities) and the package's weights."""
    from rich.console import Console
    from rich.table import Table

    from passerby.models.registry import list_models, model_card, model_size
    from passerby.weights.catalog import CATALOG, weights_size

    table = Table("name", "paper", "input", box=None, pad_edge=False)
    table.add_column("embedding", justify="right")
    table.add_column("parameters", justify="right")
    for name in list_models():
        card, (embedding_size, parameters) = model_card(name), model_size(name)
        height, width = card.input_size
        table.add_row(name, card.paper, f"{height}×{width}", str(embedding_size), f"{parameters:,}")
    Console().print(table)
    typer.echo("\nWeights in the package, by a name that stands wherever a run folder may:")
    for name, entry in CATALOG.items():
        typer.echo(f"{name}: {entry.about}")
        typer.echo(f"  {weights_size(name) / 1e6:.1f} MB, license {entry.license}; started from {entry.credit}")
