"""``passerby figures attention`` and ``passerby figures attributes``."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from passerby.cli import app
from passerby.models.registry import create_model
from passerby.training.checkpoint import save_model
from passerby.training.run import RunFolder


@pytest.fixture
def run_of(tmp_path: Path) -> Callable[..., Path]:
    """A run of an untrained model."""

    def saved(name: str, **options: Any) -> Path:
        options = {"backbone": "resnet18_half", **options} if name != "osnet_x0_25" else options
        folder = tmp_path / "run"
        folder.mkdir(exist_ok=True)
        save_model(RunFolder(folder), create_model(name, num_classes=3, **options), options=options, size=(64, 32))
        return folder

    return saved


def drawn(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["figures", *(str(each) for each in arguments)])


def test_attention_draws_what_fits_and_says_what_else_there_is(
    run_of: Callable[..., Path], figures: Path, tmp_path: Path
) -> None:
    run, file = run_of("dual_attention"), tmp_path / "self.png"
    result = drawn("attention", run, "--data", figures, "-o", file, "-n", 2, "--positions", "1,0")
    assert result.exit_code == 0, result.output
    assert "--kind channels" in result.output
    with Image.open(file) as image:
        rows_of_two = image.height
    name = next((figures / "query").glob("*.jpg")).name
    assert drawn("attention", run, "--data", figures, "-o", file, "--query", name).exit_code == 0
    with Image.open(file) as image:
        assert image.height < 0.75 * rows_of_two
    assert drawn("attention", run, "--data", figures, "-o", file, "--kind", "channels", "-n", 3).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--positions", "3"), "a position must be ROW,COLUMN"),
        (("--positions", "9,9"), "lies outside the map of 2 rows"),
        (("--kind", "channels", "--positions", "0,0"), "leave it out"),
        (("--kind", "inner"), "unknown kind of attention 'inner'"),
        (("--kind", "intra"), "no attention of kind intra"),
        (("--query", "none.jpg"), "unknown image 'none.jpg'"),
        (("--query", "a.jpg", "-n", "2"), "leave it out"),
    ],
)
def test_errors_are_one_line(
    run_of: Callable[..., Path], figures: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    result = drawn("attention", run_of("dual_attention"), "--data", figures, "-o", tmp_path / "x.png", *arguments)
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "x.png").exists()


def test_a_model_without_attention_says_so(run_of: Callable[..., Path], figures: Path, tmp_path: Path) -> None:
    run, rest = run_of("osnet_x0_25"), ("--data", figures, "-o", tmp_path / "x.png")
    assert "osnet_x0_25 has no attention to show" in drawn("attention", run, *rest).stderr
    assert "osnet_x0_25 predicts no attributes" in drawn("attributes", run, *rest).stderr


def test_attributes_of_drawn_people_are_judged(run_of: Callable[..., Path], figures: Path, tmp_path: Path) -> None:
    run, file = run_of("aanet"), tmp_path / "attributes.png"
    assert drawn("attributes", run, "--data", figures, "-o", file, "-n", 1).exit_code == 0

    def is_green(path: Path) -> bool:
        with Image.open(path) as image:
            return any(color == (0, 158, 115) for _, color in image.convert("RGB").getcolors(1 << 24) or ())

    assert is_green(file)
    bare = shutil.copytree(figures, tmp_path / "bare", ignore=shutil.ignore_patterns("attributes.csv"))
    assert drawn("attributes", run, "--data", bare, "-o", file, "-n", 1).exit_code == 0
    assert not is_green(file)
    wrong = drawn("attributes", run, "--data", figures, "-o", file, "--attribute-labels", tmp_path / "none.csv")
    assert wrong.exit_code == 1
    assert "none.csv" in wrong.stderr
