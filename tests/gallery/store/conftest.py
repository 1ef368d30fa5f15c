"""Galleries on disk of random embeddings: no model is needed to store and to search."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from passerby.gallery.store.store import Store
from passerby.gallery.store.table import Facts
from passerby.inference.embeddings_file import Origin
from passerby.types import Embeddings

DIMENSIONS = 24
ORIGIN = Origin("0123456789abcdef", "osnet_x0_25", (64, 32), "")


def rows(count: int, *, seed: int = 0, dimensions: int = DIMENSIONS, **columns: Any) -> Embeddings:
    """Return random embeddings of images that are named by the seed and their number."""
    embedding = torch.randn(count, dimensions, generator=torch.Generator().manual_seed(seed))
    return Embeddings(embedding, tuple(f"{seed}/{row}.jpg" for row in range(count)), **columns)


def facts(embeddings: Embeddings, **known: Any) -> Facts:
    """Return facts of images whose content is their name."""
    return Facts(content=[hashlib.sha256(path.encode()).digest() for path in embeddings.paths], **known)


def filled(path: Path, *counts: int, origin: Origin = ORIGIN) -> Store:
    """Return a new gallery with one add for each count, seeds 0, 1, ….; cameras 0 to 3, and people 0 to 9."""
    store = Store.create(path, origin, DIMENSIONS)
    for seed, count in enumerate(counts):
        labels = torch.arange(count)
        added = rows(count, seed=seed, camids=labels % 4, pids=labels % 10)
        store.add(added, facts(added, place=f"/images/{seed}"))
    return store


@pytest.fixture(autouse=True)
def _unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Synchronize nothing: these tests make hundreds of galleries. Those of the order of calls watch them."""
    monkeypatch.setattr("os.fsync", lambda _: None)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Store]:
    """``make(5, 3)``: a gallery with eight rows, added in two calls."""
    return lambda *counts, **options: filled(tmp_path / "people.gallery", *counts, **options)


def files(store: Store) -> set[str]:
    """Return all files of a gallery, but the locks and the log."""
    found = {path.relative_to(store.path).as_posix() for path in store.path.rglob("*") if path.is_file()}
    return found - {"lock", "audit.lock", "audit.jsonl"}


def named(store: Store) -> set[str]:
    """Return the files that a gallery consists of."""
    notes = {f"notes/{name}" for name in store.manifest.note_names()}
    return {"manifest.json", *(f"shards/{name}" for name in store.manifest.names()), *notes}
