"""Canonical poses: typical poses that give the places of missing keypoints.

Yang et al. (Attention Driven Person Re-identification, Pattern Recognition 2019), §3.2, keep the keypoints of good
confidence and take the others from a set of canonical poses.

*Deviations*: the paper says neither what these poses are nor how they are fitted to an image. Here they are k-means
centers of whole training poses (:func:`learn_canonical_poses`); the one that fits the confident keypoints best, moved
and scaled by least squares, gives the missing ones (:meth:`CanonicalPoses.fill`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from passerby.data.keypoints.estimator import Keypoints
from passerby.data.keypoints.skeleton import KEYPOINT_NAMES
from passerby.errors import ConfigError, DatasetLayoutError, ShapeError
from passerby.files import atomic_write

LEAST_CONFIDENCE = 0.1
"""The confidence below which a keypoint counts as missing (OpenPose's own threshold of a peak)."""
SCALES = (0.5, 2.0)
"""The least and largest scale of a canonical pose: two keypoints that are close or crossed would give any scale."""
SHAPE = 3
"""The number of keypoints from which shapes are compared. Any pose fits fewer; the nearest by place is taken then."""
_ITERATIONS = 100


@dataclass(frozen=True, eq=False)
class CanonicalPoses:
    """A set of typical poses, in fractions of the image's width and height.

    Raises:
        ShapeError: if poses and shares disagree, or are not finite.
    """

    poses: NDArray[np.float32]
    """The poses ``(k, 18, 2)``, the most frequent first."""
    shares: NDArray[np.float32]
    """The share ``(k,)`` of the training poses that each represents; they sum to 1."""
    learned_from: str = ""
    """The training poses in words, for readers of the file."""

    def __post_init__(self) -> None:
        k = len(self.shares)
        if k < 1 or self.poses.shape != (k, len(KEYPOINT_NAMES), 2) or not np.isfinite(self.poses).all():
            raise ShapeError(
                f"canonical poses are (k, {len(KEYPOINT_NAMES)}, 2) finite numbers with k shares, got "
                f"{self.poses.shape} and {k} shares"
            )
        if (self.shares <= 0).any() or abs(float(self.shares.sum()) - 1) > 1e-3:
            raise ShapeError(f"shares of canonical poses are above 0 and sum to 1, got {self.shares.tolist()}")

    @cached_property
    def mean(self) -> NDArray[np.float32]:
        """The mean ``(18, 2)`` of the training poses."""
        return np.tensordot(self.shares, self.poses, 1).astype(np.float32)

    def fill(self, keypoints: Keypoints, *, least: float = LEAST_CONFIDENCE) -> NDArray[np.float32]:
        """Return all keypoints of all people, ``(b, 18, 2)``: confident ones unchanged, others from a canonical pose.

        With two keypoints or more the pose is moved and scaled, with one moved, with none it is the mean pose.

        Args:
            keypoints: the found keypoints.
            least: the confidence from which a keypoint is kept.

        Raises:
            ShapeError: if a confident keypoint has no finite place.
        """
        kept = keypoints.confidence >= least  # (b, 18)
        if not np.isfinite(keypoints.xy[kept]).all():
            raise ShapeError(
                "a confident keypoint is not at a finite place. Fix: set the confidence of missing ones to 0"
            )
        p = np.where(kept[..., None], keypoints.xy, 0.0).astype(np.float64)
        w = kept.astype(np.float64)
        fitted = np.where((w.sum(axis=1) > 0)[:, None, None], self._fit(p, w), self.mean)
        return np.where(kept[..., None], p, fitted).astype(np.float32)

    def _fit(self, p: NDArray[np.float64], w: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the best canonical pose of each person, fitted to the keypoints ``p`` of weight ``w`` (0 or 1)."""
        c = self.poses.astype(np.float64)
        count = np.maximum(w.sum(axis=1), 1)
        p_mean = (w[..., None] * p).sum(axis=1) / count[:, None]  # (b, 2)
        c_mean = np.einsum("bj,kjx->bkx", w, c) / count[:, None, None]  # (b, k, 2)
        p_free = p - p_mean[:, None]
        c_free = c - c_mean[:, :, None]  # (b, k, 18, 2)
        scale = _scales(p_free, c_free, w)  # (b, k)
        by_shape = _distances(p_free[:, None], scale[..., None, None] * c_free, w)
        by_place = _distances(p[:, None], c[None], w)
        best = np.where((w.sum(axis=1) >= SHAPE)[:, None], by_shape, by_place).argmin(axis=1)
        rows = np.arange(len(p))
        placed: NDArray[np.float64] = p_mean[:, None] + scale[rows, best][:, None, None] * c_free[rows, best]
        return placed

    def save(self, path: str | Path) -> None:
        """Write JSON, rounded to a hundredth of a pixel of an image 100 pixels high.

        Raises:
            OutputError: if it cannot be written.
        """
        whole = {
            "learned_from": self.learned_from,
            "joints": KEYPOINT_NAMES,
            "shares": np.round(self.shares.astype(float), 6).tolist(),
            "poses": np.round(self.poses.astype(float), 4).tolist(),
        }
        with atomic_write(path) as partial:
            partial.write_text(json.dumps(whole) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> CanonicalPoses:
        """Read what :meth:`save` wrote.

        Raises:
            DatasetLayoutError: if the file does not exist or has other content.
        """
        try:
            return cls._parse(Path(path).expanduser().read_text(encoding="utf-8"))
        except (OSError, KeyError, TypeError, ValueError, ShapeError) as error:
            raise DatasetLayoutError(
                f"{path} has no canonical poses ({error}). Fix: learn and save them first"
            ) from None

    @classmethod
    def _parse(cls, text: str) -> CanonicalPoses:
        whole = json.loads(text)
        if whole["joints"] != list(KEYPOINT_NAMES):
            raise ValueError(f"its keypoints are {whole['joints']}")
        poses, shares = (np.asarray(whole[name], np.float32) for name in ("poses", "shares"))
        return cls(poses, shares, str(whole["learned_from"]))


def _scales(p_free: NDArray[np.float64], c_free: NDArray[np.float64], w: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the s that minimizes Σ_j w_j |p_j − s c_j|², within ``SCALES``; 1 if all keypoints lie in one place."""
    along = np.einsum("bj,bjx,bkjx->bk", w, p_free, c_free)
    length = np.einsum("bj,bkjx,bkjx->bk", w, c_free, c_free)
    spread = np.einsum("bj,bjx,bjx->b", w, p_free, p_free)[:, None]
    has_scale = (length > 1e-9) & (spread > 1e-9)
    return np.where(has_scale, np.clip(along / np.where(has_scale, length, 1.0), *SCALES), 1.0)


def _distances(p: NDArray[np.float64], c: NDArray[np.float64], w: NDArray[np.float64]) -> NDArray[np.float64]:
    distances: NDArray[np.float64] = np.einsum("bj,bkjx->bk", w, (p - c) ** 2)
    return distances


def shipped_canonical_poses() -> CanonicalPoses:
    """Return the poses that come with the package, learned from synthetic people."""
    return CanonicalPoses._parse(
        files("passerby.data.keypoints").joinpath("canonical.json").read_text(encoding="utf-8")
    )


def learn_canonical_poses(
    keypoints: Keypoints, k: int = 16, *, seed: int = 0, least: float = LEAST_CONFIDENCE, learned_from: str = ""
) -> CanonicalPoses:
    """Return k-means centers of the poses whose keypoints are all confident; equal arguments give equal poses.

    Raises:
        ConfigError: if fewer than ``k`` different poses have all keypoints.
    """
    whole = keypoints.xy[(keypoints.confidence >= least).all(axis=1)].astype(np.float64)
    distinct = len(np.unique(whole, axis=0))
    if k < 1 or distinct < k:
        raise ConfigError(
            f"{k} canonical poses need as many different poses with all {len(KEYPOINT_NAMES)} keypoints, got "
            f"{distinct} among {len(keypoints.xy)}. Fix: give more images or a smaller k"
        )
    centers, counts = _k_means(whole.reshape(len(whole), -1), k, np.random.default_rng(seed))
    order = np.argsort(-counts, kind="stable")
    centers = centers[order].reshape(k, len(KEYPOINT_NAMES), 2)
    return CanonicalPoses(centers.astype(np.float32), (counts[order] / len(whole)).astype(np.float32), learned_from)


def _k_means(
    x: NDArray[np.float64], k: int, generator: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return centers ``(k, d)`` of rows ``(n, d)`` and their counts, by Lloyd's steps from a k-means++ start.

    A center that loses its last row moves to the row that lies farthest from its own center.
    """
    centers = _start(x, k, generator)
    nearest = np.full(len(x), -1)
    for _ in range(_ITERATIONS):
        distances = _to_centers(x, centers)
        previous, nearest = nearest, distances.argmin(axis=1)
        for lost in np.flatnonzero(np.bincount(nearest, minlength=k) == 0):
            farthest = int(np.where(np.bincount(nearest, minlength=k)[nearest] > 1, distances.min(axis=1), -1).argmax())
            nearest[farthest], distances[farthest] = lost, 0
        centers = np.stack([x[nearest == i].mean(axis=0) for i in range(k)])
        if np.array_equal(previous, nearest):
            break
    return centers, np.bincount(nearest, minlength=k)


def _start(x: NDArray[np.float64], k: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Choose rows by k-means++ (Arthur and Vassilvitskii, 2007): likelier with the squared distance to those before."""
    centers: NDArray[np.float64] = x[generator.integers(len(x))][None]
    while len(centers) < k:
        weight = _to_centers(x, centers).min(axis=1)
        centers = np.concatenate([centers, x[generator.choice(len(x), p=weight / weight.sum())][None]])
    return centers


def _to_centers(x: NDArray[np.float64], centers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return squared distances ``(n, k)``."""
    distances: NDArray[np.float64] = np.stack([((x - center) ** 2).sum(axis=1) for center in centers], axis=1)
    return distances
