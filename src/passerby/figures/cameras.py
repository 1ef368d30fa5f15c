"""Which pairs of cameras are hard, and which camera misleads: four matrices, a row a camera of queries.

mAP and rank-1 of a pair are evaluations of that pair alone (:mod:`passerby.metrics.subgroups`); where wrong answers are is
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
from passerby.figures.style import FONT
from passerby.figures.subgroups import Cell, draw_cells
from passerby.metrics.camera_confusion import CameraConfusion
from passerby.metrics.subgroups import FEW, Subgroup

_CELL, _LEAST, _AROUND = 0.62, 2.6, 1.3  # inches
_KEY = (
    "Cameras of queries down, of the gallery across. Bright is good, dark is bad, from the worst to the best number of "
    f"each matrix. n: queries; * and hatched: fewer than {FEW}. –: nobody to be found."
)
GALLERY = "gallery"
"""The row that says what chance would find."""


def cameras_figure(run: EvaluatedEmbeddings, *, title: str) -> Figure:
    """mAP, rank-1, where the first wrong answer lies, and who stands before the first right one.

    Args:
        title: says on which data; the run and its protocol are added.

    Raises:
        ProtocolError: if cameras are unknown, or galleries are drawn.
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
            title="the first wrong answer is by this camera, % of queries;\nlast row: its share of the gallery, %",
        ),
        partial(
            _shares, shares=confusion.before, confusion=confusion, chance=False,
            title="somebody else by this camera stands before\nevery right answer, % of queries",
        ),
    ]  # fmt: skip


def _pairs(axes: Axes, slices: Sequence[Subgroup], confusion: CameraConfusion, field: str, title: str) -> None:
    cells = []
    for some in slices:
        value = getattr(some, field)
        text = f"{100 * value:.1f}\nn {some.queries:,}{'*' if some.few else ''}"
        cells.append(Cell(some.group, some.value, value, text, some.few))
    _drawn(axes, cells, [*map(str, confusion.query_cameras)], confusion, title, high_is_good=True)


def _shares(axes: Axes, shares: Float[Tensor, "a s"], confusion: CameraConfusion, chance: bool, title: str) -> None:
    cells, seen = [], [*map(str, confusion.gallery_cameras)]
    for camera, queries, row in zip(confusion.query_cameras, confusion.queries.tolist(), shares.tolist(), strict=True):
        few = queries < FEW
        count = f"n {queries:,}{'*' if few else ''}"
        cells += [
            Cell(str(camera), column, share, f"{100 * share:.1f}\n{count}", few)
            for column, share in zip(seen, row, strict=True)
        ]
    rows = [*map(str, confusion.query_cameras)]
    if chance:
        pairs = zip(seen, confusion.gallery.tolist(), strict=True)
        cells += [Cell(GALLERY, column, None, f"{100 * share:.1f}") for column, share in pairs]
        rows.append(GALLERY)
    _drawn(axes, cells, rows, confusion, title, high_is_good=False)


def _drawn(
    axes: Axes,
    cells: Sequence[Cell],
    rows: Sequence[str],
    confusion: CameraConfusion,
    title: str,
    *,
    high_is_good: bool,
) -> None:
    draw_cells(axes, cells, rows, [*map(str, confusion.gallery_cameras)], high_is_good=high_is_good)
    axes.set_title(title, fontsize=FONT + 1)
