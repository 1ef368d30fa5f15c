"""The record of an adaptation: a line per state of the weights, what was kept, and the clusters that it makes."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from passerby.data.dataset import Dataset
from passerby.data.images.open import list_images
from passerby.files import atomic_write
from passerby.training.adapt.clusters import Clusters
from passerby.training.adapt.crops import Crops
from passerby.types import Sample

ROUNDS, RESULT, CLUSTERS, SHEET = "rounds.jsonl", "adapt.json", "clusters.csv", "clusters.jpg"
"""The files of a run folder that hold the states, the result, the cluster of each crop, and a contact sheet of them."""
SHOWN = 24
"""The number of clusters on the contact sheet."""
START, STATISTICS = "start", "statistics"
"""The names of the states before the first round: the model as given, and with re-estimated statistics."""


@dataclass(frozen=True)
class Round:
    """One state of the weights, measured without labels."""

    name: str
    """The state: :data:`START`, :data:`STATISTICS` or ``round N``."""
    images: int
    clusters: int
    outliers: int
    """The number of images in no cluster."""
    largest: int
    """The number of images of the largest cluster."""
    agreement: float | None
    """The adjusted Rand index with the clusters of the state before; ``None`` for the first."""
    loss: float | None
    """The mean loss of the round; ``None`` where nothing was trained."""
    quality: float
    """The label-free quality in [0, 1] (:mod:`passerby.training.adapt.quality`); larger is better."""

    def describe(self) -> str:
        """Return the state in one line."""
        parts = [
            f"{self.name}: quality {self.quality:.3f}",
            f"{self.clusters:,} clusters of {self.images - self.outliers:,} of {self.images:,} crops",
            f"largest {self.largest:,}",
        ]
        parts += [] if self.agreement is None else [f"agreement {self.agreement:.2f}"]
        parts += [] if self.loss is None else [f"loss {self.loss:.3f}"]
        return ", ".join(parts)


@dataclass(frozen=True)
class AdaptResult:
    """The outcome of an adaptation."""

    adapted: bool
    """The flag that the run holds other weights than it started with."""
    kept: str
    """The name of the state whose weights the run holds."""
    reason: str
    """The sentence that says why the run ended, or why it kept the weights it started with."""
    quality: dict[str, float]
    """The label-free quality of ``start`` and ``kept``."""
    rounds: tuple[Round, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def write_clusters(run: Path, crops: Crops, clusters: Clusters) -> None:
    """Write the cluster and the camera of each crop; the cluster of an outlier is empty."""
    with atomic_write(run / CLUSTERS) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(["path", "camera", "cluster"])
        for sample, camid, label in zip(crops.samples, crops.camids, clusters.labels.tolist(), strict=True):
            lines.writerow([sample.path, "" if camid is None else camid, "" if label < 0 else label])


def clustered(run: Path, place: str, *, count: int = SHOWN) -> Dataset:
    """Return the crops of ``count`` clusters, from the largest to the smallest, as a dataset whose people they are.

    Its person IDs are the numbers of clusters, for :func:`~passerby.figures.contact_sheet.contact_sheet`.
    """
    with (run / CLUSTERS).open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["cluster"]]
    by_size = [label for label, _ in Counter(row["cluster"] for row in rows).most_common()]
    shown = {by_size[place * len(by_size) // count] for place in range(count)} if len(by_size) > count else set(by_size)
    samples = tuple(
        Sample(path=row["path"], pid=int(row["cluster"]), camid=int(row["camera"]) if row["camera"] else None)
        for row in rows
        if row["cluster"] in shown
    )
    return Dataset("clusters", list_images(place, "all")[0], gallery=samples)
