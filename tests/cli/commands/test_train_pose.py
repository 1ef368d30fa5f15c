from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

SMALL = ("data.height=32", "data.width=16", "network.height=32", "network.width=16", "network.channels=2", "epochs=1")
SETTINGS = tuple(a for s in SMALL for a in ("--set", s))


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory, draw_people: Callable[..., Path]) -> Path:
    return draw_people(tmp_path_factory.mktemp("keypoints") / "data", people=4, cameras=2, images=1)


def test_a_pose_network_is_trained_and_measured(run, people: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    done = run("train", "pose", "--data", people, "--run", folder, *SETTINGS)
    assert (done.code, done.err) == (0, "")
    assert "PCK at 5 %" in done.out
    assert done.out.splitlines()[-1].startswith(f"The run is in {folder}")
    assert (folder / "losses.png").is_file()
    again = run("train", "--resume", folder)
    assert (again.code, again.err) == (0, "")
    assert "PCK at 5 %" in again.out


def test_options_become_the_config(run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls = []
    monkeypatch.setattr("passerby.training.pose.training.train_pose", lambda *a, **rest: calls.append((*a, rest)))
    done = run("train", "pose", "--data", "a", "--test-data", "b", "--run", tmp_path, "--set", "optimizer.lr=1e-4")
    assert done.code == 0
    assert "Not measured" in done.out
    ((config, folder, rest),) = calls
    assert (config.data.train, config.data.test, config.optimizer.lr) == ("a", "b", 1e-4)
    assert (folder, rest["resume"]) == (tmp_path, False)
    run("train", "pose", "--data", "a")
    assert calls[1][1].name.startswith("pose-")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "no training data. Fix: add --data"),
        (["--data", "a", "--set", "sampler.p=2"], "unknown setting"),
        (["--data", "a", "--set", "batch=0"], "setting batch"),
        (["--resume", "somewhere"], "keeps its own settings"),
    ],
)
def test_invalid_arguments_are_errors(run, arguments: list[str], words: str) -> None:
    done = run("train", "pose", *arguments)
    assert done.code == 1
    assert words in done.err
