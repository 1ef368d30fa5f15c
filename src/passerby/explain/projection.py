"""Embeddings in two dimensions, for maps: a look at neighborhoods, never a number to report.

======  ===============================================================================================================
pca     the two directions of most variance (Pearson, 1901), exact, by singular values
tsne    t-SNE (van der Maaten and Hinton, JMLR 2008; Barnes-Hut, JMLR 2014): near stays near, the rest means little;
        scikit-learn's, which pytorch-metric-learning brings along
umap    McInnes et al., 2018; where the package umap-learn is installed, which passerby does not ask for
======  ===============================================================================================================
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Literal, NamedTuple, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from passerby.errors import ConfigError, UnknownNameError

Method = Literal["pca", "tsne", "umap"]
PERPLEXITY = 30.0
"""Of t-SNE: about how many neighbors a point has; a third of the points where there are fewer."""

_NEAR = "who lies near whom is kept; how far apart groups lie, and how large they are, means little"


class Projection(NamedTuple):
    """Places on a map."""

    points: Float[Tensor, "n 2"]
    axes: tuple[str, str]
    """What stands on them; the first says so where they mean nothing."""
    how: str
    """The method and its settings, in words."""


def project(
    features: Float[Tensor, "n d"], method: Method = "pca", *, seed: int = 0, perplexity: float | None = None
) -> Projection:
    """Lay embeddings out on a plane.

    Args:
        seed: of t-SNE and UMAP.
        perplexity: of t-SNE.

    Raises:
        UnknownNameError: if there is no such method.
        ConfigError: if there are fewer than four embeddings, the package of a method is not installed, or the
            perplexity is not between 1 and their number.
    """
    if method not in get_args(Method):
        raise UnknownNameError("projection", method, get_args(Method))
    if len(features) < 4:
        raise ConfigError(f"a map needs at least 4 pictures, got {len(features)}; take more people")
    if perplexity is not None and method != "tsne":
        raise ConfigError(f"perplexity is a setting of t-SNE, {method} has none: leave it out, or ask for tsne")
    features = features.detach().cpu().double()
    if method == "pca":
        return pca(features)
    return _tsne(features, seed, perplexity) if method == "tsne" else _umap(features, seed)


def pca(features: Float[Tensor, "n d"]) -> Projection:
    """Each x − x̄ along the directions of the two largest singular values, whose largest weights are positive."""
    centerd = features - features.mean(dim=0)
    left, values, right = torch.linalg.svd(centerd, full_matrices=False)
    points = torch.zeros(len(features), 2, dtype=features.dtype)
    names = []
    shares = values.square() / values.square().sum().clamp_min(torch.finfo(features.dtype).tiny)
    for k, name in enumerate(("first", "second")):
        if k < len(values):
            sign = right[k][right[k].abs().argmax()].sign()
            points[:, k] = left[:, k] * values[k] * sign
        share = shares[k].item() if k < len(values) else 0.0
        names.append(f"{name} component, {100 * share:.1f} % of the variance")
    return Projection(points, (names[0], names[1]), "PCA")


def _tsne(features: Float[Tensor, "n d"], seed: int, perplexity: float | None) -> Projection:
    n = len(features)
    wanted = min(PERPLEXITY, (n - 1) / 3) if perplexity is None else perplexity
    if not 1 <= wanted < n:
        raise ConfigError(f"the perplexity must be at least 1 and below the {n} pictures, got {wanted:g}")
    manifold = _package("sklearn.manifold", "scikit-learn", "t-SNE")
    method = manifold.TSNE(n_components=2, perplexity=wanted, init="pca", random_state=seed)
    points = torch.from_numpy(method.fit_transform(features.numpy())).double()
    return Projection(points, (_NEAR, ""), f"t-SNE, perplexity {wanted:.3g}, seed {seed}")


def _umap(features: Float[Tensor, "n d"], seed: int) -> Projection:
    umap = _package("umap", "umap-learn", "UMAP")
    neighbors = min(15, len(features) - 1)
    method = umap.UMAP(n_components=2, n_neighbors=neighbors, random_state=seed, n_jobs=1)
    points = torch.as_tensor(method.fit_transform(features.numpy())).double()
    return Projection(points, (_NEAR, ""), f"UMAP, {neighbors} neighbors, seed {seed}")


def _package(module: str, package: str, what: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"{what} needs the package {package}, which cannot be imported ({error}): pip install {package}, or ask "
            "for pca"
        ) from None
