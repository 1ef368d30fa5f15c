"""``passerby models``: the models that can be trained."""

from __future__ import annotations

from passerby.cli.registry import Panel, command


@command("models", panel=Panel.START, order=1, needs_arguments=False)
def models() -> None:
    """List all models: paper, input size, embedding size and parameters (751 identities, default backbone)."""
    from rich.console import Console
    from rich.table import Table

    from passerby.models.registry import list_models, model_card, model_size

    table = Table("name", "paper", "input", box=None, pad_edge=False)
    table.add_column("embedding", justify="right")
    table.add_column("parameters", justify="right")
    for name in list_models():
        card, (embedding_size, parameters) = model_card(name), model_size(name)
        height, width = card.input_size
        table.add_row(name, card.paper, f"{height}×{width}", str(embedding_size), f"{parameters:,}")
    Console().print(table)
