from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from passerby.errors import ConfigError, UnknownNameError
from passerby.explain.projection import pca, project


def groups(seed: int = 0, *, apart: float = 20.0) -> Tensor:
    """Three of 20 points each."""
    draw = torch.Generator().manual_seed(seed)
    centers = apart * torch.eye(3, 10).repeat_interleave(20, dim=0)
    return centers + torch.randn(60, 10, generator=draw)


def test_pca_is_the_eigenvectors_of_the_covariance() -> None:
    x = torch.randn(40, 6, generator=torch.Generator().manual_seed(0)).double() * torch.arange(1, 7)
    found = pca(x)
    centered = x - x.mean(dim=0)
    values, vectors = torch.linalg.eigh(centered.T @ centered)
    expected = centered @ vectors[:, [-1, -2]]
    assert torch.allclose(found.points.abs(), expected.abs(), atol=1e-9)
    shares = [100 * values[k].item() / values.sum().item() for k in (-1, -2)]
    assert found.axes == tuple(
        f"{name} component, {share:.1f} % of the variance"
        for name, share in zip(("first", "second"), shares, strict=True)
    )
    assert torch.allclose(pca(-x).points.abs(), found.points.abs())
    assert torch.equal(project(x, "pca", seed=5).points, found.points)


def test_a_line_has_one_component() -> None:
    line = torch.arange(5.0)[:, None]
    found = pca(line.double())
    assert torch.allclose(found.points, torch.tensor([[x - 2.0, 0] for x in range(5)]).double())
    assert found.axes[1].startswith("second component, 0.0 %")


def test_neighbors_stay_neighbors_in_tsne() -> None:
    x = groups()
    found = project(x, "tsne", perplexity=8)
    distances = torch.cdist(found.points, found.points).fill_diagonal_(torch.inf)
    own = torch.arange(60) // 20
    assert torch.equal(own[distances.argmin(dim=1)], own)
    within = distances[own[:, None] == own[None]]
    assert within[within.isfinite()].max() < distances[own[:, None] != own[None]].min()
    assert found.how == "t-SNE, perplexity 8, seed 0"
    assert "little" in found.axes[0]
    assert torch.equal(project(x, "tsne", perplexity=8).points, found.points)


def test_few_points_have_a_lower_perplexity() -> None:
    assert project(groups()[:7], "tsne", seed=2).how == "t-SNE, perplexity 2, seed 2"


def test_umap_is_asked_for_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}

    class Umap:
        def __init__(self, **settings: object) -> None:
            asked.update(settings)

        def fit_transform(self, x: object) -> object:
            return x[:, :2]  # type: ignore[index]

    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=Umap))  # type: ignore[arg-type]
    x = groups()
    found = project(x, "umap", seed=3)
    assert torch.equal(found.points, x[:, :2].double())
    assert (asked["random_state"], asked["n_neighbors"]) == (3, 15)
    monkeypatch.setitem(sys.modules, "umap", None)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"UMAP needs the package umap-learn.*pip install umap-learn"):
        project(x, "umap")
    monkeypatch.setitem(sys.modules, "sklearn.manifold", None)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="t-SNE needs the package scikit-learn"):
        project(x, "tsne")


def test_what_cannot_be_projected_is_an_error() -> None:
    x = groups()
    with pytest.raises(UnknownNameError, match=r"unknown projection 'tsna'\. Did you mean tsne\?"):
        project(x, "tsna")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="at least 4 images, got 3"):
        project(x[:3])
    with pytest.raises(ConfigError, match="not of pca"):
        project(x, "pca", perplexity=3)
    with pytest.raises(ConfigError, match=r"below the number of images \(60\), got 60"):
        project(x, "tsne", perplexity=60)
