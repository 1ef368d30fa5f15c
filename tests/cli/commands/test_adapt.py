"""``passerby adapt``: what it prints and writes, and its errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from passerby.cli.commands import adapt as command


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Crops of 20 people by 2 cameras, without labels but the cameras."""
    noise, folder = np.random.default_rng(0), tmp_path_factory.mktemp("crops") / "bounding_box_train"
    folder.mkdir()
    for person in range(1, 21):
        color = noise.integers(0, 256, (4, 1, 3))
        for shot in range(14):
            pixels = np.repeat(np.repeat(color, 8, axis=0), 16, axis=1) + noise.integers(-15, 15, (32, 16, 3))
            name = f"{person:04d}_c{shot % 2 + 1}s1_{shot:06d}_00.png"
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / name)
    return folder.parent


TINY = ("--set", "rounds=1", "--set", "batch.steps=2", "--set", "batch.p=4")


def test_a_run_is_adapted_and_its_clusters_are_drawn(
    run: Run, trained: Path, crops: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool | None] = []
    draw = command._draw_clusters
    monkeypatch.setattr(command, "_draw_clusters", lambda folder, *, blur: seen.append(blur) or draw(folder, blur=blur))
    mine = tmp_path / "mine"
    done = run("adapt", trained, "--data", f"market1501:{crops}", "--run", mine, "--blur", *TINY)
    assert done.code == 0, done.err
    result = json.loads((mine / "adapt.json").read_text())
    assert ("Adapted: " if result["adapted"] else "Not adapted: ") in done.out
    assert "280 crops, 2 cameras" in done.out
    assert seen == [True]
    with Image.open(mine / "clusters.jpg") as sheet:
        assert sheet.width > 16 * 4
    again = run("adapt", "--resume", mine)
    assert again.code == 0
    assert json.loads((mine / "adapt.json").read_text()) == result
    other = run("train", "--resume", mine)
    assert (other.code, f"is an adaptation. Fix: passerby adapt --resume {mine}" in other.err) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--data", "x"), "no model to adapt. Fix: name a run folder, RUN"),
        (("RUN",), "no crops to adapt to. Fix: add --data DATA"),
        (("RUN", "--data", "x", "--set", "quick=true", "--quick"), "quick is set twice"),
        (("RUN", "--data", "x", "--set", "epsilon=1"), "epsilon"),
        (("--resume", "RUN"), "is no adaptation. Fix: passerby train --resume"),
        (("--resume", "RUN", "--quick"), "a resumed run keeps its own settings"),
        (("RUN", "--data", "nowhere/at/all"), "nowhere/at/all"),
    ],
)
def test_errors_are_one_line(run: Run, trained: Path, arguments: tuple[str, ...], message: str) -> None:
    found = run("adapt", *(trained if argument == "RUN" else argument for argument in arguments))
    assert found.code == 1
    assert message in found.err
    assert len(found.err.splitlines()) == 1
