"""``passerby figures …``: one command a kind of figure, each a thin face of :mod:`passerby.explain`."""

from __future__ import annotations

import typer

from passerby.cli.figures import attention, attributes, cameras, curves, embedding, ranked_list, retrieval, saliency

app = typer.Typer(no_args_is_help=True, help="Draw what a model does: ranked lists, maps, curves.")
app.command(no_args_is_help=True)(attention.attention)
app.command(no_args_is_help=True)(attributes.attributes)
app.command(no_args_is_help=True)(cameras.cameras)
app.command(no_args_is_help=True)(curves.curves)
app.command(no_args_is_help=True)(embedding.embedding)
app.command("ranked-list", no_args_is_help=True)(ranked_list.ranked_list)
app.command(no_args_is_help=True)(retrieval.retrieval)
app.command(no_args_is_help=True)(saliency.saliency)
