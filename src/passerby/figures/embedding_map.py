"""A map of embeddings: one point per image, colored and shaped by person or by camera, with some of the images.

Clusters of one person show that the model recognizes it; clusters of one camera show that it has learned the camera.
Colors alone do not distinguish many people, so each has a marker too, and its number beside its points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from passerby.data.dataset import Dataset, people
from passerby.errors import ConfigError
from passerby.explain.images import ImageSet
from passerby.explain.projection import Method, project
from passerby.figures.layout import wrap_text
from passerby.figures.placement import Box, place_box, select_spread
from passerby.figures.style import FONT, SERIES
from passerby.retrieval.distance.euclidean import l2_normalize
from passerby.retrieval.matches import rows_with_role
from passerby.types import Embeddings, Role, Sample

Color = Literal["person", "camera"]
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
KINDS = len(SERIES) * len(MARKERS)
"""The number of people or cameras with a color and marker of their own: the two numbers share no divisor."""
PEOPLE, THUMBNAILS = 12, 14
_PAGE = Box(0, 0, 8.6, 6.2)  # inches of the map, as all that follows
_LEFT, _RIGHT, _BELOW = 0.4, 0.15, 0.36
_LINE, _IN_A_ROW = 0.22, 9
_MARGIN = 0.5
_THUMBNAIL, _WIDEST, _CAPTION = 0.8, 0.6, 0.15
_HIDDEN = 2
"""The maximum number of points under a thumbnail; in dense maps there are few thumbnails."""


def select_people(dataset: Dataset, number: int = PEOPLE, *, seed: int = 0) -> tuple[Sample, ...]:
    """Select the query and gallery images of some random people, or of all where there are no more.

    Raises:
        ConfigError: if no identity is known.
    """
    samples = (*dataset.query, *dataset.gallery)
    drawn = set(_draw_people(people(samples), number, seed))
    return tuple(sample for sample in samples if sample.role is Role.PERSON and sample.pid in drawn)


def embeddings_of_people(embeddings: Embeddings, number: int = PEOPLE, *, seed: int = 0) -> Embeddings:
    """Return the embeddings of some random people, the same as :func:`select_people` selects from the images.

    Raises:
        ConfigError: if no identity is known.
    """
    known = embeddings[rows_with_role(embeddings, Role.PERSON)]
    if known.pids is None:
        raise ConfigError(
            "a map of people needs identities, but these embeddings are unlabeled. "
            "Fix: embed images whose people are known"
        )
    return known[torch.isin(known.pids, torch.tensor(_draw_people(known.pids.unique().tolist(), number, seed)))]


def _draw_people(pids: Sequence[int], number: int, seed: int) -> list[int]:
    if not pids:
        raise ConfigError(
            "a map of people needs identities, but these images have none. Fix: give data whose people are known"
        )
    order = torch.randperm(len(pids), generator=torch.Generator().manual_seed(seed))
    return sorted(pids[i] for i in order[:number].tolist())


def embedding_figure(
    embeddings: Embeddings,
    *,
    title: str,
    method: Method = "pca",
    color: Color = "person",
    normalize: bool = True,
    seed: int = 0,
    perplexity: float | None = None,
    images: ImageSet | None = None,
    thumbnails: int = THUMBNAILS,
) -> Figure:
    """Draw a map of all embeddings (:func:`embeddings_of_people` selects those of some people).

    Args:
        title: the run and data.
        method: how embeddings are projected.
        color: what colors and markers show.
        normalize: L2-normalize embeddings first, as the run compares them.
        seed: random seed of t-SNE and UMAP.
        perplexity: perplexity of t-SNE.
        images: the images of the thumbnails; ``None``: no thumbnails.
        thumbnails: maximum number of thumbnails.

    Raises:
        ConfigError: if people or cameras are unknown or more than :data:`KINDS`, or the method is not available.
    """
    labels = _labels(embeddings, color)
    features = l2_normalize(embeddings.embedding) if normalize else embeddings.embedding
    found = project(features, method, seed=seed, perplexity=perplexity)
    heading = _title(title, found.how, embeddings, color) + (" (p: person, c: camera)" if images else "")
    page = _Map.of(found.points.numpy(), labels, title=heading, legend=color == "camera")
    page.axes.set_xlabel(found.axes[0], fontsize=FONT)
    page.axes.set_ylabel(found.axes[1], fontsize=FONT)
    page.draw_points(color)
    if color == "person":
        page.label_people()
    if images:
        page.draw_thumbnails(embeddings, images, thumbnails)
    return page.figure


def _labels(embeddings: Embeddings, color: Color) -> NDArray[np.int64]:
    column = embeddings.pids if color == "person" else embeddings.camids
    if column is None:
        raise ConfigError(f"the {color} of these images is unknown. Fix: color by something else")
    labels: NDArray[np.int64] = column.cpu().numpy()
    if (many := len(np.unique(labels))) > KINDS:
        fix = "select fewer, or color by camera" if color == "person" else "color by person"
        raise ConfigError(f"an embedding map shows at most {KINDS} {color}s, got {many}. Fix: {fix}")
    return labels


def _title(title: str, how: str, embeddings: Embeddings, color: Color) -> str:
    pids = "" if embeddings.pids is None else f" of {len(embeddings.pids.unique())} people"
    return f"{title}: {len(embeddings):,} images{pids} by {color}; {how}"


@dataclass
class _Map:
    """The figure with what is drawn on it, in inches from the lower left corner of the axes."""

    figure: Figure
    axes: Axes
    points: NDArray[np.float64]
    labels: NDArray[np.int64]
    kinds: NDArray[np.int64]
    legend_rows: int
    taken: list[Box] = field(default_factory=list)

    @classmethod
    def of(cls, points: NDArray[np.float64], labels: NDArray[np.int64], *, title: str, legend: bool) -> _Map:
        """Lay the points out as large as the page allows, with equal scales on both axes."""
        low, high = points.min(axis=0), points.max(axis=0)
        room = np.array([_PAGE.width, _PAGE.height]) - 2 * _MARGIN
        scale = float((room / np.maximum(high - low, 1e-12)).min())
        inches = (points - (low + high) / 2) * scale + np.array(_PAGE.center)
        width = _LEFT + _PAGE.width + _RIGHT
        heading = wrap_text(title, width)
        above = 0.2 + 0.17 * len(heading.splitlines())
        kinds = np.unique(labels)
        rows = -(-len(kinds) // _IN_A_ROW) if legend else 0
        below = _BELOW + _LINE * rows
        height = below + _PAGE.height + above
        figure = Figure(figsize=(width, height), facecolor="white")
        figure.text(0.5, 1 - 0.1 / height, heading, fontsize=FONT + 1, ha="center", va="top")
        axes = figure.add_axes((_LEFT / width, below / height, _PAGE.width / width, _PAGE.height / height))
        axes.set(xlim=(0, _PAGE.width), ylim=(0, _PAGE.height), xticks=[], yticks=[])
        return cls(figure, axes, inches, labels, kinds, rows)

    def style(self, label: int) -> tuple[str, str]:
        """Return color and marker of a label."""
        place = int(np.searchsorted(self.kinds, label))
        return SERIES[place % len(SERIES)], MARKERS[place % len(MARKERS)]

    def draw_points(self, color: Color) -> None:
        """Draw the points, and a legend of cameras."""
        for label in self.kinds.tolist():
            own = self.points[self.labels == label]
            shade, marker = self.style(label)
            size = 60 if marker == "*" else 26
            self.axes.scatter(
                own[:, 0], own[:, 1], s=size, color=shade, marker=marker, edgecolor="white", linewidth=0.4, zorder=3,
                label=f"camera {label}",
            )  # fmt: skip
        if color == "camera":
            height = _LINE * self.legend_rows / self.figure.get_figheight()
            self.figure.legend(
                loc="upper center", bbox_to_anchor=(0.5, height), ncols=_IN_A_ROW, fontsize=FONT, frameon=False,
                borderaxespad=0, handletextpad=0.1,
            )  # fmt: skip

    def label_people(self) -> None:
        """Write the number of each person beside the middle one of its points."""
        for label in self.kinds.tolist():
            own = self.points[self.labels == label]
            middle = own[np.linalg.norm(own[:, None] - own[None], axis=2).sum(axis=1).argmin()]
            size = 0.068 * len(str(label)) + 0.08, 0.17
            box = self._place(middle, size, reach=0.7)
            if box:
                self._draw_leader(middle, box, self.style(label)[0])
                self.axes.text(
                    *box.center, str(label), fontsize=FONT, ha="center", va="center_baseline", zorder=6,
                    bbox={"facecolor": "white", "edgecolor": self.style(label)[0], "linewidth": 1.2, "pad": 1.4},
                )  # fmt: skip

    def draw_thumbnails(self, embeddings: Embeddings, images: ImageSet, number: int) -> None:
        """Draw the images of points far from each other, where there is room."""
        for row in select_spread(self.points, number):
            image = images.image(embeddings.paths[row])
            high = min(_THUMBNAIL, _WIDEST * image.height / image.width)
            size = high * image.width / image.height, high + _CAPTION
            box = self._place(self.points[row], (max(size[0], 0.62), size[1]), reach=1.2, most=_HIDDEN)
            if box:
                self._draw_leader(self.points[row], box, "#777777")
                self._draw_thumbnail(image, box, size[0], embeddings, row)

    def _draw_thumbnail(self, image: Image.Image, box: Box, width: float, embeddings: Embeddings, row: int) -> None:
        left, bottom, top = box.center[0] - width / 2, box.bottom + _CAPTION, box.bottom + box.height
        self.axes.imshow(image, extent=(left, left + width, bottom, top), aspect="auto", zorder=5)
        self.axes.set(xlim=(0, _PAGE.width), ylim=(0, _PAGE.height))
        known = [
            f"{letter}{column[row]}"
            for letter, column in (("p", embeddings.pids), ("c", embeddings.camids))
            if column is not None
        ]
        self.axes.text(
            box.center[0], box.bottom + _CAPTION / 2, " ".join(known), fontsize=FONT - 1, ha="center", va="center",
            zorder=6, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
        )  # fmt: skip

    def _place(
        self, anchor: NDArray[np.float64], size: tuple[float, float], *, reach: float, most: int | None = None
    ) -> Box | None:
        at = float(anchor[0]), float(anchor[1])
        box = place_box(at, size, page=_PAGE, taken=self.taken, points=self.points, reach=reach, most=most)
        if box:
            self.taken.append(box)
        return box

    def _draw_leader(self, anchor: NDArray[np.float64], box: Box, color: str) -> None:
        x, y = box.center
        self.axes.plot([anchor[0], x], [anchor[1], y], color=color, linewidth=0.7, zorder=2)
