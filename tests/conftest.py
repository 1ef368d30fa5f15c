"""Fixtures shared by all tests; shape annotations of the numeric layers are executed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

_hook = install_import_hook(
    ["passerby.losses", "passerby.retrieval", "passerby.metrics", "passerby.models"], "beartype.beartype"
)

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real data and weights, which is not part of the repository."""
    folder = Path(os.environ.get("PASSERBY_SHARED", REPOSITORY.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"real data is absent: no {folder.name}/data beside the repository (set PASSERBY_SHARED)")
    return folder
