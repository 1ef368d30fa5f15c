"""``passerby evaluate --slices``: for whom the model is worse, as a table and a figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from passerby.data.dataset import Dataset
    from passerby.evaluation.subgroups import Grouping
    from passerby.metrics.subgroups import Dimension, Subgroup
    from passerby.types import EvalResult


def asked_dimensions(text: str | None, figure: Path | None) -> tuple[Dimension, ...]:
    """What ``--slices`` names; nothing where it was not given.

    Raises:
        UnknownNameError: if it names something else.
        ConfigError: if a figure is asked for, but no slices.
    """
    from passerby.errors import ConfigError
    from passerby.evaluation.subgroups import parse_dimensions

    if text is None and figure is not None:
        raise ConfigError("--slices-figure draws slices, but none are asked for: add --slices cameras")
    return () if text is None else parse_dimensions(text)


def slicing_of_features(dimensions: Sequence[Dimension]) -> Grouping | None:
    """Of embeddings without pictures, which know their cameras.

    Raises:
        ConfigError: if something else is asked for.
    """
    from passerby.errors import ConfigError
    from passerby.evaluation.subgroups import Grouping

    if others := [name for name in dimensions if name != "cameras"]:
        raise ConfigError(
            f"--features say nothing of {' and '.join(others)}: ask for --slices cameras, or give RUN and --data"
        )
    return Grouping(tuple(dimensions)) if dimensions else None


def slicing_of_run(dimensions: Sequence[Dimension], dataset: Dataset, attributes: str | None) -> Grouping | None:
    """By what the data set says of its queries, and by ``attributes``, a place or ``own``, which is the default.

    Raises:
        DatasetLayoutError: if nobody says what is asked for.
    """
    from passerby.data.attributes.labels import read_attributes
    from passerby.evaluation.subgroups import Grouping

    worn = None
    if "attributes" in dimensions:
        worn = read_attributes(dataset.source if attributes in (None, "own") else attributes)
    return Grouping.of_dataset(dimensions, dataset, attributes=worn) if dimensions else None


def draw_slices(path: Path, slices: Sequence[Subgroup], result: EvalResult, *, what: str) -> None:
    """Write the figure; ``what`` says which model on which data."""
    from passerby.figures.save import save_figure
    from passerby.figures.subgroups import subgroup_figure

    save_figure(subgroup_figure(slices, mean_ap=result.mean_ap, title=f"{what}: {result.protocol}"), path)


def print_slices(slices: Sequence[Subgroup]) -> None:
    """A table, the worst of each dimension first."""
    from rich.console import Console
    from rich.table import Table

    from passerby.metrics.subgroups import FEW, worst_first

    if not slices:
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("slice")
    for name in ("queries", "people", "rank-1", "95 %", "mAP", "95 %"):
        table.add_column(name, justify="right", no_wrap=True)
    before: str | None = None
    for some in worst_first(slices):
        if before not in (None, some.dimension):
            table.add_row()
        before = some.dimension
        counts = f"{some.queries:,}{'*' if some.few else ' '}", f"{some.people:,}"
        rank1, mean_ap = f"{100 * some.rank1:.1f}", f"{100 * some.mean_ap:.1f}"
        table.add_row(_name(some), *counts, rank1, _ends(some.rank1_interval), mean_ap, _ends(some.mean_ap_interval))
    typer.echo("Slices, the lowest mAP of each kind first; 95 % intervals by bootstrap over the slice's queries.")
    Console().print(table)
    if any(some.few for some in slices):
        typer.echo(f"* fewer than {FEW} queries.")
    if any(some.dimension == "cameras" for some in slices):
        typer.echo("Cameras: of the query → of the gallery, which is that camera's alone, so smaller than the whole.")


def _name(some: Subgroup) -> str:
    return f"camera {some.group} → {some.value}" if some.dimension == "cameras" else f"{some.group}: {some.value}"


def _ends(interval: tuple[float, float]) -> str:
    return "–".join(f"{100 * end:.1f}" for end in interval)
