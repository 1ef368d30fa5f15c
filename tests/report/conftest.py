"""The smallest possible runs, on synthetic pedestrians."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from passerby.config import with_overrides
from passerby.recipes.registry import load_recipe
from passerby.training.loop import train

COARSE = 40
"""The dots per inch with which figures take a fifth of the time."""
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
    """Return synthetic data: 4 people to train on, 4 to search, 2 cameras."""
    return draw_people(tmp_path_factory.mktemp("report") / "data", people=8, cameras=2, images=3)


@pytest.fixture(scope="session")
def trained(people: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that trains a recipe for one epoch, once: ``trained("aanet", seed=1)`` is its run folder."""
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
    """Return a run whose model predicts attributes and takes part crops."""
    return trained("aanet", **{"sampler.p": 4, "sampler.k": 1})


@pytest.fixture
def unrendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make figures but do not render them, which takes most of a report's time."""
    from passerby.report import figure

    monkeypatch.setattr(figure, "encode_figure", lambda _: ("image/png", b""))


@pytest.fixture(scope="session")
def page(one: Path, described: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the report of two runs with different models."""
    from passerby.report import figure, write_report

    file = tmp_path_factory.mktemp("pages") / "report.html"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figure, "DPI", COARSE)
        write_report([described, one], file)
    return file
