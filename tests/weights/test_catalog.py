"""The weights in the package: what a name gives, and that a damaged file is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import passerby
from passerby.errors import WeightsError
from passerby.weights import catalog
from passerby.weights.catalog import CATALOG, Shipped, shipped

REPOSITORY = Path(__file__).resolve().parents[2]
MOST = 12_000_000
"""The bytes that all weights in the package may have."""


def test_every_entry_is_complete_and_small() -> None:
    folders = [shipped(name) for name in CATALOG]
    files = [file for folder in folders if folder is not None for file in folder.iterdir()]
    assert {file.name for file in files} >= {"model.safetensors", "model.json"}
    assert sum(file.stat().st_size for file in files) < MOST
    assert {folder.name for folder in folders if folder} == {p.name for p in catalog._PLACE.iterdir()}


@pytest.mark.parametrize("name", CATALOG)
def test_every_entry_states_license_and_origin(name: str) -> None:
    entry, folder = CATALOG[name], catalog._PLACE / name
    assert re.fullmatch(r"Apache-2\.0( AND [\w.-]+)*", entry.license)
    (start,) = folder.glob("LICENSE*")  # that of the weights that the training started from
    assert "(MIT)" not in entry.credit or "Permission is hereby granted, free of charge" in start.read_text()
    described = json.loads((folder / "model.json").read_text())
    ((start_of, origin),) = described["weights"].items()
    assert (start_of, origin["source"] in CATALOG) in {("backbone", False), ("model", True)}
    if start_of == "model":
        assert origin["sha256"] == CATALOG[origin["source"]].sha256
    card = (REPOSITORY / "docs" / "street.md").read_text()
    assert all(words in card for words in (f"`{name}`", entry.license, "## Limits", "For whom `street` is worse"))
    height, width = described["size"]
    assert f"{height}×{width}" in entry.about
    assert f"{height}×{width}" in card


@pytest.mark.parametrize("name", CATALOG)
def test_a_name_loads_anywhere(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()  # a folder of images, say
    model = passerby.load(name, device="cpu")
    assert sum(model.schema.sizes) > 0
    first, again = (
        model.embed([torch.full((3, 40, 20), 90, dtype=torch.uint8).permute(1, 2, 0).numpy()]) for _ in "ab"
    )
    assert torch.equal(first.embedding, again.embedding)
    weights = load_file(catalog._PLACE / name / "model.safetensors")
    assert not [key for key in weights if key.startswith("classifier.")]


def test_a_run_folder_of_ones_own_goes_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "street").mkdir()
    (tmp_path / "street/model.json").write_text("{}")
    assert shipped("street") is None
    assert shipped("runs/street") is None


def test_a_damaged_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "_PLACE", tmp_path)
    monkeypatch.setitem(CATALOG, "mine", Shipped(sha256="0" * 64, about="", license="", credit=""))
    with pytest.raises(WeightsError, match=r"'mine' .* damaged \(SHA-256 nothing"):
        shipped("mine")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/model.safetensors").write_bytes(b"cut")
    with pytest.raises(WeightsError, match="install passerby again"):
        shipped("mine")
