"""``passerby figures attention``: the maps and weights of a model's attention, of every kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from passerby.cli.figures.model_options import ModelOptions
from passerby.cli.figures.sample_options import IMAGES, SampleOptions
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
from passerby.errors import ConfigError, UnknownNameError

if TYPE_CHECKING:
    from passerby.explain.attention.capture import AttentionKind

_IMAGES: dict[AttentionKind, int] = {"channels": 48, "inter": 8}


@command("attention", group="figures", order=6)
def attention(
    run: RunArgument,
    data: RequiredDataOption,
    output: FigureOption,
    kind: Annotated[
        str | None,
        typer.Option(
            help="Kind of attention: attributes, intra, inter, self, positions or channels (default the model's first)."
        ),
    ] = None,
    query: QueryOption = None,
    n: Annotated[
        int | None, typer.Option("-n", min=1, help="Number of images (default 4; 8 for inter, 48 for channels).")
    ] = None,
    positions: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ROW,COLUMN", help="Position of the last feature map, for self; repeatable (default three)."
        ),
    ] = None,
    seed: SampleSeedOption = 0,
    blur: BlurOption = None,
    device: DeviceOption = "auto",
    keypoints: KeypointsOption = None,
) -> None:
    """Draw the attention of a model to channels, positions, parts or attributes, as in its paper."""
    from passerby.explain.attention.capture import attention_kinds, require_attention
    from passerby.explain.images import view_samples
    from passerby.figures.registry import attention_figure
    from passerby.figures.save import check_figure, save_figure
    from passerby.inference.options import InferenceOptions

    check_figure(output)
    places = [_parse_position(text) for text in positions or ()]
    samples = SampleOptions(query, n, seed)
    options = ModelOptions((run,), data, InferenceOptions(device=device, keypoints=keypoints, blur=blur))
    [model] = options.load()
    found = require_attention(model.network, _parse_kind(kind))
    if places and found != "self":
        raise ConfigError(f"--positions has no effect on {found}, only on self-attention. Fix: leave it out")
    view = view_samples(model, options.images, samples.select(options.dataset, n=_IMAGES.get(found, IMAGES)))
    entry = attention_figure(found)
    keywords: dict[str, Any] = {"positions": places} if places else {}
    save_figure(entry.draw(view, title=options.title(entry.title, model), **keywords), output)
    typer.echo(f"The figure is in {output}.{_others(attention_kinds(model.network), found)}")


def _others(kinds: Sequence[AttentionKind], drawn: AttentionKind) -> str:
    others = " ".join(f"--kind {kind}" for kind in kinds if kind != drawn)
    return f" The model has more: {others}." if others else ""


def _parse_kind(text: str | None) -> AttentionKind | None:
    """Check a kind of attention.

    Raises:
        UnknownNameError: if it is unknown.
    """
    from passerby.explain.attention.capture import AttentionKind

    kinds: tuple[AttentionKind, ...] = get_args(AttentionKind)
    for kind in kinds:
        if text == kind:
            return kind
    if text is not None:
        raise UnknownNameError("kind of attention", text, kinds)
    return None


def _parse_position(text: str) -> tuple[int, int]:
    """Parse a position such as ``3,2``.

    Raises:
        ConfigError: if it is not two whole numbers.
    """
    row, comma, column = text.partition(",")
    if not (comma and row.strip().isdigit() and column.strip().isdigit()):
        raise ConfigError(
            f"a position must be ROW,COLUMN, two whole numbers from 0 such as 3,2; got {text!r}. Fix: write it so"
        )
    return int(row), int(column)
