"""Fixtures shared by all tests; shape annotations of the numeric layers are executed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jaxtyping import install_import_hook

# Before torch is imported, here and in what tests start: threads of several workers would only fight over the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

_hook = install_import_hook(
    ["passerby.losses", "passerby.retrieval", "passerby.metrics", "passerby.models"], "beartype.beartype"
)

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session", autouse=True)
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests keep no picture in anybody's home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PASSERBY_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def draw_people() -> Callable[..., Path]:
    """``draw_people(out, people=4)``: the smallest pedestrians into a new folder, a second for 30 pictures."""
    from passerby.data.pedestrians.export import write_pedestrians
    from passerby.data.pedestrians.settings import Settings

    def draw(out: Path, **settings: Any) -> Path:
        return write_pedestrians(out, Settings(**{"size": (32, 16), "preset": "easy", **settings}))

    return draw


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real data and weights, which is not part of the repository."""
    folder = Path(os.environ.get("PASSERBY_SHARED", REPOSITORY.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"real data is absent: no {folder.name}/data beside the repository (set PASSERBY_SHARED)")
    return folder
