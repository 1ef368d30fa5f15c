"""Metrics of pairs of cameras, and the cameras of false matches: four matrices with one row per query camera.

mAP and rank-1 of a pair are evaluations of that pair alone (:mod:`passerby.metrics.subgroups`); false matches are
counted in whole rankings (:mod:`passerby.metrics.camera_confusion`). Every number is written out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from torch import Tensor

from passerby.explain.evaluated import EvaluatedEmbeddings
from passerby.figures.layout import wrap_text
from passerby.figures.matrix import MatrixCell, draw_matrix
from passerby.figures.registry import figure
from passerby.figures.style import FONT
from passerby.metrics.camera_confusion import CameraConfusion
from passerby.metrics.subgroups import FEW, Subgroup

_CELL, _LEAST, _AROUND = 0.62, 2.6, 1.3  # inches
_KEY = (
    "Rows: query cameras; columns: gallery cameras. Bright is good, dark is bad, from the worst to the best number of "
    f"each matrix. n: queries; * and hatched: fewer than {FEW}. –: no true matches."
)
GALLERY = "gallery"
"""The row of the shares by chance."""


@figure("cameras", title="Cameras", needs="embeddings", section="retrieval")
def cameras_figure(run: EvaluatedEmbeddings, *, title: str) -> Figure:
    """Draw mAP and rank-1 of each pair of cameras, and the cameras of false matches.

    Args:
        title: the data; the run and its protocol are added.

    Raises:
        ProtocolError: if cameras are unknown, or the protocol draws galleries.
    """
    confusion = run.confusion
    across, down = len(confusion.gallery_cameras), len(confusion.query_cameras) + 1
    size = (2 * (max(_LEAST, _CELL * across) + _AROUND), 2 * (max(_LEAST, _CELL * down) + _AROUND) + 0.8)
    engine = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1)
    figure = Figure(figsize=size, facecolor="white", layout=engine)
    figure.suptitle(wrap_text(f"{run.name} on {title}: {run.protocol}", size[0]), fontsize=FONT + 1)
    figure.supxlabel(wrap_text(_KEY, size[0]), fontsize=FONT)
    for axes, draw in zip(figure.subplots(2, 2).flat, _matrices(run.camera_pairs, confusion), strict=True):
        draw(axes)
    return figure


def _matrices(slices: Sequence[Subgroup], confusion: CameraConfusion) -> list[Callable[[Axes], None]]:
    alone = "of each pair of cameras alone, %"
    return [
        partial(_pairs, slices=slices, confusion=confusion, field="mean_ap", title=f"mAP {alone}"),
        partial(_pairs, slices=slices, confusion=confusion, field="rank1", title=f"rank-1 {alone}"),
        partial(
            _shares, shares=confusion.first_wrong, confusion=confusion, chance=True,
            title="the first false match is by this camera, % of queries;\nlast row: its share of the gallery, %",
        ),
        partial(
            _shares, shares=confusion.before, confusion=confusion, chance=False,
            title="a false match by this camera is ranked\nabove every true match, % of queries",
        ),
    ]  # fmt: skip


def _pairs(axes: Axes, slices: Sequence[Subgroup], confusion: CameraConfusion, field: str, title: str) -> None:
    cells = []
    for some in slices:
        value = getattr(some, field)
        text = f"{100 * value:.1f}\nn {some.queries:,}{'*' if some.few else ''}"
        cells.append(MatrixCell(some.group, some.value, value, text, some.few))
    _draw(axes, cells, [*map(str, confusion.query_cameras)], confusion, title, high_is_good=True)


def _shares(axes: Axes, shares: Float[Tensor, "a s"], confusion: CameraConfusion, chance: bool, title: str) -> None:
    cells, seen = [], [*map(str, confusion.gallery_cameras)]
    for camera, queries, row in zip(confusion.query_cameras, confusion.queries.tolist(), shares.tolist(), strict=True):
        few = queries < FEW
        count = f"n {queries:,}{'*' if few else ''}"
        cells += [
            MatrixCell(str(camera), column, share, f"{100 * share:.1f}\n{count}", few)
            for column, share in zip(seen, row, strict=True)
        ]
    rows = [*map(str, confusion.query_cameras)]
    if chance:
        pairs = zip(seen, confusion.gallery.tolist(), strict=True)
        cells += [MatrixCell(GALLERY, column, None, f"{100 * share:.1f}") for column, share in pairs]
        rows.append(GALLERY)
    _draw(axes, cells, rows, confusion, title, high_is_good=False)


def _draw(
    axes: Axes,
    cells: Sequence[MatrixCell],
    rows: Sequence[str],
    confusion: CameraConfusion,
    title: str,
    *,
    high_is_good: bool,
) -> None:
    draw_matrix(axes, cells, rows, [*map(str, confusion.gallery_cameras)], high_is_good=high_is_good)
    axes.set_title(title, fontsize=FONT + 1)
