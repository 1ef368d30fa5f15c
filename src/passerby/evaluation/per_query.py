"""The results of each query, as a CSV table."""

from __future__ import annotations

import csv
from pathlib import Path

from passerby.errors import ProtocolError, escape_controls
from passerby.files import atomic_write
from passerby.types import EvalResult, Protocol

COLUMNS = ("path", "pid", "camid", "matches", "first_rank", "average_precision", "inverse_negative_penalty")


def write_per_query(path: str | Path, result: EvalResult) -> None:
    """Write one row per query, in the order of the queries; those without a valid match are left out.

    A path that a spreadsheet would take for a formula begins with an apostrophe (:func:`inert_cell`).

    Raises:
        ProtocolError: if the protocol has no results per query, since it averages over random galleries.
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
        writer.writerows([inert_cell(path), *numbers] for path, *numbers in rows)


def inert_cell(text: str) -> str:
    """Return a text that acts neither on spreadsheets nor on terminals.

    One that begins like a formula gets an apostrophe, and control characters are escapes, so that a cell is one line.
    """
    inert = escape_controls(text, one_line=True)
    return f"'{inert}" if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else inert


def check_no_draws(protocol: Protocol) -> None:
    """Check that a protocol has results per query.

    Raises:
        ProtocolError: if it averages over random galleries.
    """
    if protocol.draws:
        raise ProtocolError(
            f"protocol {protocol.name} averages over {protocol.draws} random galleries and has no results per query. "
            "Fix: use the whole gallery (--draws 0), or leave out what needs them"
        )
