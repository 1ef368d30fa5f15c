from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from passerby.cli.recipe_names import declared_recipes
from passerby.compat import DEFAULTS
from passerby.recipes.registry import RECIPES
from passerby.training.config import TrainConfig


class Recorder:
    """A substitute of the training loop that records its arguments."""

    def __call__(self, config: TrainConfig | None, run: Path, *, resume: bool = False, **_: Any) -> None:
        self.config, self.run, self.resume = config, run, resume


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setattr("passerby.training.loop.train", recorder)
    return recorder


def test_a_run_is_trained_and_evaluated(run, figures: Path, tiny: tuple[str, ...], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    done = run("train", "aap_reid", "--data", figures, "--run", folder, *tiny)
    assert (done.code, done.err) == (0, "")
    assert "rank-1" in done.out
    assert "Protocol: market1501-single-query" in done.out
    assert done.out.splitlines()[-1].startswith(f"The run is in {folder}")
    numbers = json.loads((folder / "metrics.json").read_text())
    assert f"{100 * numbers['mean_ap']:.2f}" in done.out
    with Image.open(folder / "losses.png") as curves:
        assert curves.size == (880, 495)


def test_options_become_the_config(run, loop: Recorder, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    settings = (
        "--set",
        "optimizer.lr=1e-5",
        "--set=model.options.backbone=resnet18",
        "--set",
        "schedule.milestones=[3, 4]",
    )
    assert run("train", "aap_reid", "--data", "a", "--test-data", "b", "--run", folder, *settings).code == 0
    assert loop.config is not None
    assert (loop.config.data.train, loop.config.data.test) == ("a", "b")
    assert loop.config.optimizer.lr == 1e-5
    assert loop.config.model.options == {"backbone": "resnet18"}
    assert loop.config.schedule.milestones == (3, 4)
    assert (loop.run, loop.resume) == (folder, False)


def test_a_former_setting_name_is_read_with_a_warning(run, loop: Recorder, tmp_path: Path) -> None:
    done = run("train", "aap_reid", "--data", "a", "--run", tmp_path, "--set", "model.trunk_weights=R50.pth")
    warned = [line for line in done.err.splitlines() if "trunk_weights" in line]
    assert warned == [
        "passerby: the setting model.trunk_weights is now called model.backbone_weights; the former name will not be "
        "accepted much longer"
    ]
    assert loop.config is not None
    assert loop.config.model.backbone_weights == "R50.pth"


def test_the_default_folder_has_recipe_and_time(run, loop: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    run("train", "strong_baseline", "--data", "a")
    assert loop.run.parent == Path("runs")
    recipe, day, time = loop.run.name.rsplit("-", 2)
    assert (recipe, len(day), len(time)) == ("strong_baseline", 8, 6)


def test_several_processes_need_a_folder(run, loop: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    done = run("train", "aap_reid", "--data", "a")
    assert done.code == 1
    assert "add --run FOLDER" in done.err


def test_resume_reads_the_run(run, loop: Recorder, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"recipe": "aap_reid"}')
    assert run("train", "--resume", tmp_path).code == 0
    assert (loop.config, loop.run, loop.resume) == (None, tmp_path, True)


@pytest.mark.parametrize("more", [["aap_reid"], ["--data", "a"], ["--set", "epochs=3"], ["--run", "b"]])
def test_resume_goes_alone(run, loop: Recorder, tmp_path: Path, more: list[str]) -> None:
    done = run("train", "--resume", tmp_path, *more)
    assert done.code == 1
    assert "keeps its own settings" in done.err
    assert not hasattr(loop, "run")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "a"], "no recipe to train"),
        (["aap_reid"], "no training data. Fix: add --data"),
        (["aap_reid", "--set", "lr"], "key=value"),
    ],
)
def test_missing_arguments_are_errors(run, loop: Recorder, arguments: list[str], words: str) -> None:
    done = run("train", *arguments)
    assert done.code == 1
    assert words in done.err


def test_an_existing_folder_is_kept(run, figures: Path, tiny: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    done = run("train", "aap_reid", "--data", figures, "--run", tmp_path, *tiny)
    assert done.code == 1
    assert "exists" in done.err
    assert [f.name for f in tmp_path.iterdir()] == ["precious"]


def test_init_is_the_setting_of_initial_weights(run, loop: Recorder, tmp_path: Path) -> None:
    start = tmp_path / "7"
    start.mkdir()
    (start / "model.safetensors").touch()
    described: dict[str, Any] = {
        "model": "aap_reid",
        "options": {"backbone": "resnet18"},
        "num_classes": 3,
        "size": [256, 128],
    }
    described["defaults"] = DEFAULTS
    (start / "model.json").write_text(json.dumps(described))
    done = run("train", "aap_reid", "--data", "a", "--init", start, "--run", tmp_path / "run")
    assert done.code == 0
    assert loop.config is not None
    assert loop.config.model.weights == str(start)
    assert loop.config.model.options["backbone"] == "resnet18"
    assert f"as in '{start}': backbone=resnet18." in done.out.replace("\n", " ")
    absent = run("train", "aap_reid", "--data", "a", "--init", tmp_path / "8", "--run", tmp_path / "run")
    assert "no checkpoint at" in absent.err
    assert "leave --init out" in run("train", "pose", "--data", "a", "--init", "runs/7").err


def test_the_schedule_scales_with_the_epochs_and_says_so(run, loop: Recorder, tmp_path: Path) -> None:
    done = run("train", "strong_baseline", "--data", "a", "--run", tmp_path / "run", "--set", "epochs=12")
    assert "schedule of 120 epochs is scaled to 12: milestones 4, 7, warm-up 1." in done.out
    assert loop.config is not None
    assert (loop.config.epochs, loop.config.schedule.milestones) == (12, (4, 7))
    assert loop.config.schedule.warmup_epochs == 1
    done = run(
        *("train", "strong_baseline", "--data", "a", "--run", tmp_path / "run"),
        *("--set", "epochs=12", "--set", "schedule.warmup_epochs=2"),
    )
    assert "scaled" not in done.out
    assert (loop.config.schedule.milestones, loop.config.schedule.warmup_epochs) == ((40, 70), 2)


def test_an_interrupted_run_says_how_it_is_continued(run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupted(_: object, folder: Path, **__: object) -> None:
        (folder / "checkpoints" / "epoch-0000").mkdir(parents=True)
        raise KeyboardInterrupt

    monkeypatch.setattr("passerby.training.loop.train", interrupted)
    done = run("train", "aap_reid", "--data", "a", "--run", tmp_path / "my run")
    assert done.code == 130
    assert f"passerby train --resume '{tmp_path / 'my run'}'" in done.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "nosuchrecipe", "--data", "x"], "unknown recipe 'nosuchrecipe'"),
        (["train", "aap_reid"], "no training data"),
        (["train", "--resume", "nosuch"], "is not a run folder"),
        (["train", "aap_reid", "--data", "x", "--set", "epochs"], "key=value"),
        (["import-weights", "nofile.pth", "-o", "run"], "no checkpoint at"),
    ],
)
def test_errors_of_the_start_need_no_torch(arguments: list[str], words: str, tmp_path: Path) -> None:
    program = (
        "import sys; from passerby.cli import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit as stop: print(stop.code, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.split() == ["1", "False"]
    assert words in done.stderr


def test_the_names_that_are_known_at_once_are_those_of_the_registry() -> None:
    own = [name for name in RECIPES if "tests" not in (RECIPES[name].__module__ or "")]
    assert [*declared_recipes()] == own
