"""``passerby figures …``: one command a kind of figure, each a thin face of :mod:`passerby.explain`."""

from __future__ import annotations

import typer

from passerby.cli.figures import ranked_list

app = typer.Typer(no_args_is_help=True, help="Draw what a model does: ranked lists, maps, curves.")
app.command("ranked-list", no_args_is_help=True)(ranked_list.ranked_list)
