"""The command line run in this process, and the little data it works on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from passerby.cli import main

TINY = (
    "model.options.backbone=resnet18_half",
    "data.height=32",
    "data.width=16",
    "sampler.p=2",
    "sampler.k=2",
    "epochs=1",
)


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """``run("train", "aap_reid", …)``: exit code, stdout and stderr of one command."""
    monkeypatch.delenv("PASSERBY_DEBUG", raising=False)

    def command(*arguments: object) -> Outcome:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(a) for a in arguments])
        captured = capsys.readouterr()
        return Outcome(int(stop.value.code or 0), captured.out, captured.err)

    return command


@pytest.fixture(scope="session")
def figures(tmp_path_factory: pytest.TempPathFactory, draw_people: Callable[..., Path]) -> Path:
    """A synthetic dataset of 4 people for training, 4 for testing, and 2 cameras."""
    return draw_people(tmp_path_factory.mktemp("figures") / "data", people=8, cameras=2, images=3)


@pytest.fixture(scope="session")
def tiny() -> tuple[str, ...]:
    """Settings of a training that takes a second."""
    return tuple(a for s in TINY for a in ("--set", s))


@pytest.fixture(scope="session")
def trained(figures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder, trained for one tiny epoch."""
    from passerby.config import parse_override, with_overrides
    from passerby.recipes.registry import load_recipe
    from passerby.training.loop import train

    folder = tmp_path_factory.mktemp("runs") / "run"
    settings = dict(parse_override(s) for s in (*TINY, f"data.train={figures}"))
    train(with_overrides(load_recipe("aap_reid"), settings), folder, show_progress=False)
    return folder
