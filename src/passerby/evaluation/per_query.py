"""What became of each query, as a table that a spreadsheet opens."""

from __future__ import annotations

import csv
from pathlib import Path

from passerby.errors import ProtocolError
from passerby.files import atomic_write
from passerby.types import EvalResult, Protocol

COLUMNS = ("path", "pid", "camid", "matches", "first_rank", "average_precision", "inverse_negative_penalty")


def write_per_query(path: str | Path, result: EvalResult) -> None:
    """A row a query, in the order of the queries; those without a valid match are left out, as they count nowhere.

    Raises:
        ProtocolError: if the protocol counts no single queries: galleries are drawn, and the curve is their mean.
    """
    check_no_draws(result.protocol)
    each = result.per_query
    assert each is not None
    cameras = [""] * len(each) if each.camids is None else each.camids.tolist()
    numbers = (each.matches, each.first_rank, each.average_precision, each.inverse_negative_penalty)
    rows = zip(each.paths, each.pids.tolist(), cameras, *(column.tolist() for column in numbers), strict=True)
    with atomic_write(Path(path)) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(rows)


def check_no_draws(protocol: Protocol) -> None:
    """Say so where nothing of each query will be known."""
    if protocol.draws:
        raise ProtocolError(
            f"protocol {protocol.name} gives a mean over {protocol.draws} draws, and nothing of each query: ask for "
            "the whole gallery (--draws 0), or leave out what tells queries apart"
        )
