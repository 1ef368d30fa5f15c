"""Figures without a command of their own: the command follows from the registration."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from passerby.cli.generated_figures import figure_command, generated_names
from passerby.figures import registry
from passerby.figures.registry import FIGURES

PLUGIN = '''
from collections.abc import Sequence
from typing import Annotated, Literal

from matplotlib.figure import Figure

from passerby.explain.evaluated import EvaluatedEmbeddings
from passerby.explain.images import ModelView
from passerby.figures.registry import figure


@figure("shades", title="Shades", needs="samples")
def shades(
    view: ModelView,
    *,
    title: str,
    columns: Annotated[int, "Number of columns."] = 2,
    shade: Annotated[Literal["light", "dark"], "Shade of the page."] = "light",
) -> Figure:
    """Draw the images on a page of some shade."""
    drawn = Figure(figsize=(4, 2), facecolor="white" if shade == "light" else "black")
    drawn.suptitle(f"{title}, {len(view)} images, {columns} columns")
    return drawn


@figure("sizes", title="Sizes", needs="embeddings", several=True)
def sizes(runs: Sequence[EvaluatedEmbeddings], *, title: str) -> Figure:
    """Draw the sizes of queries and galleries."""
    drawn = Figure(figsize=(4, 2))
    drawn.suptitle(f"{title}: " + ", ".join(f"{run.name} {len(run.query)} {len(run.gallery)}" for run in runs))
    return drawn
'''


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(FIGURES, "_entries", dict(FIGURES._load()))
    monkeypatch.setattr(registry, "_SUMMARIES", dict(registry._SUMMARIES))
    file = tmp_path / "shades_of_images.py"
    file.write_text(PLUGIN)
    yield file
    sys.modules.pop("passerby_plugin_shades_of_images", None)


def options(name: str) -> set[str]:
    return {option for parameter in figure_command(name).params for option in parameter.opts}


def test_a_figure_of_samples_is_a_command(
    run, plugin: Path, trained: Path, figures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[Any] = []
    monkeypatch.setattr("passerby.figures.save.save_figure", lambda figure, path: saved.append(figure))
    asked = ("--plugin", plugin, "figures", "shades", trained, "--data", figures, "-o", tmp_path / "shades.png")
    done = run(*asked, "-n", 3, "--shade", "dark")
    assert (done.code, done.err) == (0, "")
    [drawn] = saved
    assert drawn.get_suptitle().startswith(f"Shades: {trained.name}")
    assert drawn.get_suptitle().endswith(f"on {figures}, 3 images, 2 columns")
    assert drawn.get_facecolor() == (0, 0, 0, 1)
    assert run(*asked, "--shade", "grim").code == 2
    assert "has no effect" in run(*asked, "--query", "a.jpg", "-n", 2).err
    assert {"--columns", "--shade", "--query", "-n", "--seed", "--blur", "--device", "--keypoints"} <= options("shades")
    assert "--features" not in options("shades")


def test_a_figure_of_several_embeddings_is_a_command(
    run, plugin: Path, trained: Path, figures: Path, tmp_path: Path
) -> None:
    kept, file = tmp_path / "kept.parquet", tmp_path / "sizes.png"
    run("evaluate", trained, "--data", figures, "--save-features", kept)
    asked = ("--plugin", plugin, "figures", "sizes")
    done = run(*asked, "--features", kept, "--features", kept, "-o", file)
    assert (done.code, done.out, done.err) == (0, f"The figure is in {file}.\n", "")
    with Image.open(file) as image:
        assert image.format == "PNG"
    assert "--data has no effect" in run(*asked, "--features", kept, "--data", figures, "-o", file).err
    assert "nothing to compare" in run(*asked, "-o", file).err
    assert "ends in .png" in run(*asked, trained, "--data", figures, "-o", tmp_path / "sizes.jpg").err


def test_the_help_lists_generated_commands(run, plugin: Path) -> None:
    shown = run("--plugin", plugin, "figures", "--help").out
    assert "Draw the images on a page of some shade." in shown
    assert "ranked-list" in shown
    assert {"curves", "cameras", "shades", "sizes"} <= set(generated_names())
    assert "retrieval" not in generated_names()
    assert "self-attention" not in generated_names()
    helps = {parameter.name: getattr(parameter, "help", None) for parameter in figure_command("shades").params}
    assert helps["columns"] == "Number of columns (default 2)."
    assert "[OPTIONS] {RUN}" in run("--plugin", plugin, "figures", "shades", "-h").out


def test_the_help_of_figures_imports_neither_torch_nor_matplotlib() -> None:
    code = (
        "import sys\n"
        "from passerby.cli.app import main\n"
        "try:\n    main(['figures', '--help'])\n"
        "except SystemExit:\n    print(sorted({'torch', 'matplotlib'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "curves" in done.stdout
    assert done.stdout.strip().endswith("[]")


def test_an_unknown_figure_is_misuse(run, tmp_path: Path) -> None:
    done = run("figures", "cameros", "-o", tmp_path / "x.png")
    assert done.code == 2
    assert "cameros" in done.err
