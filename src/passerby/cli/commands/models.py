"""``passerby models``: the models that can be trained."""

from __future__ import annotations

from passerby.cli.registry import Panel, command

MARKET_CLASSES = 751
"""The number of training identities of Market-1501, for the size of the classifiers."""


@command("models", panel=Panel.START, order=1, needs_arguments=False)
def models() -> None:
    """List all models: paper, input size, embedding size and parameters (751 identities, default backbone)."""
    import torch
    from rich.console import Console
    from rich.table import Table

    from passerby.models.registry import create_model, list_models, model_card

    table = Table("name", "paper", "input", box=None, pad_edge=False)
    table.add_column("embedding", justify="right")
    table.add_column("parameters", justify="right")
    for name in list_models():
        with torch.device("meta"):  # shapes without memory
            model = create_model(name, num_classes=MARKET_CLASSES)
        card = model_card(name)
        height, width = card.input_size
        table.add_row(name, card.paper, f"{height}×{width}", str(model.embedding_size), f"{model.parameter_count():,}")
    Console().print(table)
