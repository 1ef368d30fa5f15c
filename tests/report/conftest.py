"""The smallest runs there can be, on people who do not exist."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from passerby.config import with_overrides
from passerby.recipes.registry import load_recipe
from passerby.training.loop import train

COARSE = 40
"""Dots of an inch: figures take a fifth of the time."""
TINY: dict[str, Any] = {
    "data.height": 32,
    "data.width": 16,
    "sampler.p": 2,
    "sampler.k": 2,
    "model.options.backbone": "resnet18_half",
    "epochs": 1,
    "checkpoint_every": 1,
}


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory, draw_people: Callable[..., Path]) -> Path:
    """4 drawn people to train on, 4 to search among, 2 cameras."""
    return draw_people(tmp_path_factory.mktemp("report") / "data", people=8, cameras=2, images=3)


@pytest.fixture(scope="session")
def trained(people: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """``trained("aanet", seed=1)``: a run folder after one epoch, made once."""
    made: dict[str, Path] = {}
    place = tmp_path_factory.mktemp("runs")

    def run(recipe: str, **settings: Any) -> Path:
        name = "-".join([recipe, *(f"{key}{value}" for key, value in settings.items())])
        if name not in made:
            config = with_overrides(load_recipe(recipe), {**TINY, "data.train": str(people), **settings})
            train(config, place / name, show_progress=False)
            made[name] = place / name
        return made[name]

    return run


@pytest.fixture(scope="session")
def one(trained: Callable[..., Path]) -> Path:
    return trained("aap_reid")


@pytest.fixture(scope="session")
def described(trained: Callable[..., Path]) -> Path:
    """Of a model that predicts attributes and sees parts."""
    return trained("aanet", **{"sampler.p": 4, "sampler.k": 1})


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are made, but not rendered, which is what takes a report's time."""
    from passerby.report import figure as picture

    monkeypatch.setattr(picture, "encoded", lambda figure: ("image/png", b""))


@pytest.fixture(scope="session")
def page(one: Path, described: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of two unlike runs."""
    from passerby.report import figure as picture
    from passerby.report import write_report

    file = tmp_path_factory.mktemp("pages") / "report.html"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(picture, "DPI", COARSE)
        write_report([described, one], file)
    return file
