"""Write the tables of docs/scale.md that are computed: from the code's own bytes per row, and from what was measured.

usage: python scripts/scale_tables.py
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from passerby.gallery.store.compact import SHARD_ROWS
from passerby.gallery.store.table import Facts, plain_table, seal
from passerby.types import Embeddings

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "scale.md"
RESULTS = ROOT / "benchmarks" / "results"
SIZES = {"1 M": 10**6, "100 M": 10**8, "1 B": 10**9}
DIMENSIONS = {512: "OSNet", 1280: "`street`, `street-s`"}
SAMPLE = 2000
LINKS = 32
"""The neighbors of a vector in an HNSW index with M = 16, on its lowest layer, of 4 bytes each."""
DAY = 86_400


@dataclass(frozen=True)
class Row:
    """The bytes of one row of a gallery."""

    disk: float
    """All of it, as a shard stores it."""
    coarse: float
    """What the first pass of a search reads."""


def row_of(dimensions: int) -> Row:
    """Return the bytes of a row, from a shard that is sealed as galleries seal theirs."""
    vectors = torch.randn(SAMPLE, dimensions, generator=torch.Generator().manual_seed(0))
    names = tuple(f"cam{n % 4 + 1}/cam{n % 4 + 1}_2024-05-01_12-30-15_{n:06}.jpg" for n in range(SAMPLE))
    facts = Facts(content=[n.to_bytes(32, "big") for n in range(SAMPLE)], place="/data/people", taken=[0] * SAMPLE)
    shard = seal(plain_table(Embeddings(vectors, names), facts, first_id=0, ingest=1), normalize=True)
    coarse = sum(shard.column(name).nbytes for name in ("coarse", "scale", "squared"))
    return Row(shard.nbytes / SAMPLE, coarse / SAMPLE)


def measured(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text())


def size(count: float) -> str:
    """Return bytes in words: two digits that count."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000:
            return f"{round(count) if unit == 'B' else float(f'{count:.2g}'):g} {unit}"
        count /= 1000
    return f"{count:,.0f} PB"


def duration(seconds: float) -> str:
    for unit, long in (("ms", 0.001), ("s", 1.0), ("min", 60.0), ("h", 3600.0)):
        if seconds < 100 * long:
            return f"{float(f'{seconds / long:.2g}'):g} {unit}"
    return f"{float(f'{seconds / DAY:.2g}'):,g} days"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def storage() -> str:
    """The bytes of galleries: on disk, of the first pass, and of an HNSW index in memory."""
    rows = []
    for dimensions, of in DIMENSIONS.items():
        row = row_of(dimensions)
        hnsw = 4 * dimensions + 4 * LINKS
        rows += [
            [f"{name} × {dimensions} ({of})", size(count * row.disk), size(count * row.coarse), size(count * hnsw),
             f"{math.ceil(count / SHARD_ROWS):,}"]
            for name, count in SIZES.items()
        ]  # fmt: skip
    return table(["vectors", "gallery on disk", "8-bit part of it", "HNSW (M = 16) in memory", "shards"], rows)


def queries() -> str:
    """The cost of an exact search, which is measured at 1 M and grows with the number of rows."""
    result = measured("gallery")["speed"]["result"]
    million = next(each["cpu_ms"] for each in result if each["rows"] == SIZES["1 M"])
    kinds = {
        "alone": "top 10, condition none",
        "in batches of 20": "top 10, in batches of 20, each",
        "among 2.7 % of the rows": "top 10, condition 2.7 % of rows",
        "among 0.05 % of the rows": "top 10, condition 0.05 % of rows",
    }
    rows = [
        [label, *(duration(million[key]["median"] / 1000 * count / SIZES["1 M"]) for count in SIZES.values())]
        for label, key in kinds.items()
    ]
    return table(["CPU time of a query, one core, 512 dimensions", "1 M (measured)", *list(SIZES)[1:]], rows)


def ingest() -> str:
    """The rate of adding images per core, and the time that it takes."""
    rows = []
    for model in ("street-s", "street"):
        milliseconds = measured(model)["cpu_milliseconds_per_image"]["of 64"]
        rate = 1000 / milliseconds
        for cores in (1, 16, 64):
            times = [duration(count / rate / cores) for count in SIZES.values()]
            rows.append([f"`{model}`, {cores} core{'s' if cores > 1 else ''}", f"{rate * cores:,.0f}", *times])
    return table(["model", "images/s", *SIZES], rows)


TABLES = {"storage": storage, "queries": queries, "ingest": ingest}


def page(text: str) -> str:
    """Return the page with the computed tables in their places."""
    for name, make in TABLES.items():
        begin, end = f"<!-- table: {name} -->\n", "<!-- end of table -->"
        before, found, rest = text.partition(begin)
        if not found or end not in rest:
            raise SystemExit(f"docs/scale.md has no place for the table {name!r}: expected {begin!r} and {end!r}")
        text = f"{before}{begin}{make()}{end}{rest.partition(end)[2]}"
    return text


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
