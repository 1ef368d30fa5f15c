"""Ranked lists: one row per list, the query first, then its hits, nearest first.

Fig 3 of Dual Attention (a list of one run), Fig 6 of Attention-Driven Person Re-Identification (a baseline's list above
ours), Figs 7 and 8 of AANet (lists, also filtered by attributes). Green and ✓: true match; vermilion and ✗: false
match; gray and –: does not count (:mod:`passerby.figures.style`).
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from passerby.errors import ConfigError
from passerby.explain.format import format_number, format_probability
from passerby.explain.images import ImageSet
from passerby.explain.ranked_lists import Outcome, RankedHit, RankedList, ranked_lists, select_queries
from passerby.figures.layout import (
    CHARACTER,
    GAP,
    LINE,
    FramedImage,
    break_name,
    caption_lines,
    cell_width,
    draw_framed,
)
from passerby.figures.style import FONT, JUNK, QUERY, RIGHT, WRONG, Frame
from passerby.metrics.calibration import Calibration
from passerby.types import Embeddings, Protocol

_HEIGHT = 1.25  # inches of an image, as all that follows
_SIDE = 1.95
_FOOT = 0.3
_RUNS = 8  # of consecutive ranks that are listed
_CHARACTERS = 13  # of an inch of a title
_LETTERS = 14  # of an inch of the text at the start of a row
_FRAMES: dict[Outcome, tuple[Frame, str]] = {
    "true match": (RIGHT, "the query's person"),
    "false match": (WRONG, "another person"),
    "junk": (JUNK, "does not count: junk, or the query's person by the query's camera"),
}


@dataclass(frozen=True, eq=False)
class _Row:
    name: tuple[str, ...]
    side: tuple[str, ...]
    """The text at the start of the row, below its name."""
    query: FramedImage | None
    """The query; ``None`` below a row of the same query."""
    hits: tuple[FramedImage, ...]


def ranked_list_figure(lists: Mapping[str, Sequence[RankedList]], images: ImageSet, *, title: str) -> Figure:
    """Draw one row per query; of several lists by name (runs; before and after a filter), one row per list.

    Args:
        lists: the lists of the same queries, by name.
        images: the images of queries and hits.
        title: the model, data and protocol, and the selection of the queries.

    Raises:
        ConfigError: if there are no lists, or they are of different queries.
        ImageError, DatasetLayoutError: if an image cannot be opened.
    """
    if len({tuple(one.path for one in each) for each in lists.values()}) > 1:
        raise ConfigError(f"the lists of {', '.join(lists)} are of different queries. Fix: select the same for all")
    groups = list(zip(*lists.values(), strict=True))
    if not groups:
        raise ConfigError("there are no ranked lists to draw. Fix: select at least one query")
    rows = [row for group in groups for row in _rows(dict(zip(lists, group, strict=True)), images)]
    return _draw(rows, title, of_group=len(lists))


def failure_figure(
    query: Embeddings,
    gallery: Embeddings,
    protocol: Protocol,
    images: ImageSet,
    *,
    n: int = 5,
    k: int | None = None,
    calibration: Calibration | None = None,
    name: str = "",
) -> Figure:
    """Draw the ranked lists of the queries of lowest average precision.

    Args:
        n: number of queries.
        k: length of a list.
        calibration: gives P(same person) of each hit.
        name: name of the run.

    Raises:
        ProtocolError: if no query has a valid match (and as :func:`~passerby.explain.ranked_lists.ranked_lists` does).
    """
    rows = select_queries(query, gallery, protocol, "worst", n)
    lists = ranked_lists(query, gallery, protocol, rows, k=k, calibration=calibration)
    of = f" of {name}" if name else ""
    title = f"The {len(rows)} queries of lowest average precision{of}, among {len(query):,}\n{protocol}"
    return ranked_list_figure({name: lists}, images, title=title)


def _rows(lists: Mapping[str, RankedList], images: ImageSet) -> Iterator[_Row]:
    """Yield the rows of one query."""
    for place_of, (name, each) in enumerate(lists.items()):
        first = place_of == 0
        query = (
            FramedImage(images.image(each.path), ["query", *caption_lines(each.pid, each.camid)], QUERY)
            if first
            else None
        )
        hits = tuple(FramedImage(images.image(hit.path), _caption(hit), _FRAMES[hit.outcome][0]) for hit in each.hits)
        yield _Row(tuple(_wrapped(name)), tuple(_side(each, named=first)), query, hits)


def _side(each: RankedList, *, named: bool) -> Iterator[str]:
    """Yield the text about a list: average precision, ranks of true matches, filter."""
    if named:
        yield from _wrapped(each.path.rsplit("/", 1)[-1])
    if each.average_precision is None:
        yield from _wrapped("no true match in the gallery")
    else:
        yield f"AP {100 * each.average_precision:.1f} %"
        matches = "match" if each.num_matches == 1 else "matches"
        yield from _wrapped(f"{each.num_matches} true {matches}; at {_runs(each.ranks) or 'no rank'}")
    if each.attributes:
        yield from _wrapped(f"{each.remaining:,} of {each.gallery_size:,} left, predicted:")
        for group, value in each.attributes.values.items():
            yield from _wrapped(f"{group}: {value}")


def _runs(ranks: Sequence[int]) -> str:
    """Write ascending ranks as ranges: ``1–3, 5``."""
    ends: list[list[int]] = []
    for rank in ranks:
        if ends and rank == ends[-1][1] + 1:
            ends[-1][1] = rank
        else:
            ends.append([rank, rank])
    written = [str(first) if first == last else f"{first}–{last}" for first, last in ends[:_RUNS]]
    return ", ".join(written) + (",\xa0…" if len(ends) > _RUNS else "")


def _wrapped(text: str) -> list[str]:
    return break_name(text, int(_SIDE * _LETTERS))


def _caption(hit: RankedHit) -> list[str]:
    rank = "" if hit.rank is None else f"#{hit.rank}"
    before = [f"was #{hit.rank_before}"] if hit.rank_before not in (None, hit.rank) else []
    calibrated = [] if hit.same_person is None else [format_probability(hit.same_person), str(hit.verdict)]
    symbol = _FRAMES[hit.outcome][0].symbol
    return [
        f"{rank} {symbol}".strip(),
        *before,
        f"d = {format_number(hit.distance)}",
        *calibrated,
        *caption_lines(hit.pid, hit.camid, hit.role),
    ]


def _draw(rows: Sequence[_Row], title: str, *, of_group: int) -> Figure:
    """Draw rows below each other, and a line between groups of rows."""
    framed = [each for row in rows for each in (*filter(None, [row.query]), *row.hits)]
    wide = cell_width(framed, _HEIGHT)
    columns = 1 + max(len(row.hits) for row in rows)
    width = max(5.0, _SIDE + GAP + columns * (wide + GAP) + 2 * GAP)
    heading = [line for part in title.splitlines() for line in _evenly(part, int(width * _CHARACTERS))]
    tall = [_row_height(row) for row in rows]
    top = 2 * GAP + len(heading) * LINE * 1.15
    height = top + sum(tall) + _FOOT
    figure = Figure(figsize=(width, height), facecolor="white")
    figure.text(GAP / width, 1 - GAP / height, "\n".join(heading), fontsize=FONT + 1, va="top")
    for i, row in enumerate(rows):
        upper = height - top - sum(tall[:i])
        if i and i % of_group == 0 and of_group > 1:
            _rule(figure, upper + GAP / 2)
        _draw_row(figure, row, upper, wide)
    _legend(figure, [each.frame for each in framed])
    return figure


def _evenly(text: str, most: int) -> list[str]:
    """Wrap a text into as few lines as possible, of lengths as equal as possible."""
    fewest = textwrap.wrap(text, most)
    for width in range(1, most):
        lines = textwrap.wrap(text, width, break_long_words=False)
        if len(lines) <= len(fewest) and max(map(len, lines), default=0) <= most:
            return lines
    return fewest


def _row_height(row: _Row) -> float:
    images = [_HEIGHT + LINE * len(each.caption) + 0.1 for each in (*filter(None, [row.query]), *row.hits)]
    return max([LINE * len(row.name + row.side), *images]) + 1.5 * GAP


def _draw_row(figure: Figure, row: _Row, upper: float, wide: float) -> None:
    width, height = figure.get_size_inches()
    for line, text in enumerate(row.name + row.side):
        weight = "bold" if line < len(row.name) else "normal"
        figure.text(GAP / width, (upper - line * LINE) / height, text, fontsize=FONT, va="top", weight=weight)
    for column, each in enumerate((row.query, *row.hits)):
        left = _SIDE + 2 * GAP + column * (wide + GAP) + (GAP if column else 0)
        if each:
            draw_framed(figure, each, left=left, bottom=upper - _HEIGHT, width=wide, height=_HEIGHT)
    if not row.hits:
        left = _SIDE + 2 * GAP + wide + 2 * GAP
        figure.text(left / width, (upper - _HEIGHT / 2) / height, "no images left", fontsize=FONT, va="center")


def _rule(figure: Figure, y: float) -> None:
    width, height = figure.get_size_inches()
    ends = GAP / width, 1 - GAP / width
    figure.add_artist(Line2D(ends, (y / height, y / height), color="#BBBBBB", linewidth=0.8))


def _legend(figure: Figure, frames: Sequence[Frame]) -> None:
    """Draw the meaning of the frames that occur."""
    width, height = figure.get_size_inches()
    x = GAP
    for frame, meaning in _FRAMES.values():
        if frame in frames:
            text = f"{frame.symbol} {meaning}"
            figure.text(x / width, GAP / height, text, fontsize=FONT, color=frame.color if frame != JUNK else "black")
            x += len(text) * CHARACTER + 2 * GAP
