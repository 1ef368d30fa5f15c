"""``passerby figures attention``: what a model's attention does, whichever it has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from passerby.cli.figures.sample_options import Shown
from passerby.cli.options import (
    BlurOption,
    DeviceOption,
    FigureOption,
    KeypointsOption,
    QueryOption,
    RequiredDataOption,
    RunArgument,
    SampleSeedOption,
)
from passerby.cli.registry import command
from passerby.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from passerby.explain.attention.capture import AttentionKind
    from passerby.explain.images import ModelView

_WHAT: dict[AttentionKind, str] = {
    "attributes": "Attribute maps",
    "intra": "Intra-attention",
    "inter": "Inter-attention",
    "self": "Self-attention",
    "positions": "Attention to positions",
    "channels": "Weights of channels",
}
_PICTURES: dict[AttentionKind, int] = {"channels": 48, "inter": 8}
_ELSE = 4


@command("attention", group="figures", order=6)
def attention(
    run: RunArgument,
    data: RequiredDataOption,
    output: FigureOption,
    kind: Annotated[
        str | None,
        typer.Option(help="Where a model has several: attributes, intra, inter, self, positions or channels."),
    ] = None,
    query: QueryOption = None,
    n: Annotated[
        int | None, typer.Option("-n", min=1, help="How many pictures (4; of inter 8, of channels 48).")
    ] = None,
    positions: Annotated[
        list[str] | None,
        typer.Option(metavar="ROW,COLUMN", help="Of self: positions of the last map, from 0; repeatable; default: 3."),
    ] = None,
    seed: SampleSeedOption = 0,
    blur: BlurOption = None,
    device: DeviceOption = "auto",
    poses: KeypointsOption = None,
) -> None:
    """Draw what a model attends to: channels, positions, parts or attributes, as its paper has it."""
    from passerby.explain.attention.capture import attention_kinds, require_attention
    from passerby.figures.save import check_figure, save_figure

    check_figure(output)
    asked = [_position(text) for text in positions or ()]
    shown = Shown(run, data, tuple(query or ()), n, seed, blur, device, poses)
    model = shown.load()
    found = require_attention(model.network, _kind(kind))
    if asked and found != "self":
        raise ConfigError(f"--positions are of self-attention, but this figure shows {found}: leave them out")
    seen = shown.look(model, shown.dataset(), n=_PICTURES.get(found, _ELSE))
    save_figure(_drawn(found, seen, asked or None, shown.title(_WHAT[found], model)), output)
    others = " ".join(f"--kind {other}" for other in attention_kinds(model.network) if other != found)
    typer.echo(f"The figure is in {output}.{f' The model has more: {others}.' if others else ''}")


def _drawn(kind: AttentionKind, seen: ModelView, positions: Sequence[tuple[int, int]] | None, title: str) -> Figure:
    from passerby.figures.registry import attention_figure

    options = {"positions": positions} if kind == "self" else {}
    return attention_figure(kind).draw(seen, title=title, **options)


def _kind(text: str | None) -> AttentionKind | None:
    """What ``--kind`` says.

    Raises:
        UnknownNameError: if there is no such attention.
    """
    from passerby.errors import UnknownNameError

    for kind in _WHAT:
        if text == kind:
            return kind
    if text is not None:
        raise UnknownNameError("kind of attention", text, _WHAT)
    return None


def _position(text: str) -> tuple[int, int]:
    """Of ``3,2``.

    Raises:
        ConfigError: if it is not two whole numbers.
    """
    row, comma, column = text.partition(",")
    if not (comma and row.strip().isdigit() and column.strip().isdigit()):
        raise ConfigError(f"a position is ROW,COLUMN, two whole numbers from 0 such as 3,2; got {text!r}")
    return int(row), int(column)
