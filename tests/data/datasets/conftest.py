"""Miniature trees, as a directory, a zip or a tar: every reader must read all three alike."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from passerby.data.source import Source, open_source

Tree = Callable[[Sequence[str] | Mapping[str, str]], Source]


@pytest.fixture
def directory(tmp_path: Path) -> Tree:
    """``directory(names)`` or ``directory({name: text})``: a source with these files (readers open no image)."""

    def build(files: Sequence[str] | Mapping[str, str]) -> Source:
        root = tmp_path / "tree"
        root.mkdir()
        for name in files:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(files[name] if isinstance(files, Mapping) else "", encoding="utf-8")
        return open_source(root)

    return build


@pytest.fixture(params=["directory", "zip", "tar"])
def tree(request: pytest.FixtureRequest, directory: Tree, tmp_path: Path) -> Tree:
    """Like ``directory``, and packed."""

    def build(files: Sequence[str] | Mapping[str, str]) -> Source:
        source = directory(files)
        if request.param == "directory":
            return source
        return open_source(shutil.make_archive(str(tmp_path / "packed"), request.param, source.root))

    return build


@pytest.fixture
def real(shared: Path) -> Callable[[str], Path]:
    """``real("MSMT17_V1")``: the real dataset beside the repository, as a folder or a zip; skips if absent."""

    def find(name: str) -> Path:
        places = [shared / "data" / name, shared / "data" / f"{name}.zip"]
        for place in places:
            if place.exists():
                return place
        pytest.skip(f"{name} is absent: only its owners may distribute it, so its counts cannot be checked here")

    return find
