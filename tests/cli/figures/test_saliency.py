"""``passerby figures saliency``."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

if TYPE_CHECKING:
    from tests.cli.conftest import Run


def size_of(file: Path) -> tuple[int, int]:
    with Image.open(file) as image:
        assert image.format == "PNG"
        return image.size


def test_maps_of_runs_stand_below_each_other(run: Run, trained: Path, figures: Path, tmp_path: Path) -> None:
    file, asked = tmp_path / "s.png", ("--data", figures, "-o", tmp_path / "s.png", "-n", 1)
    done = run("figures", "saliency", trained, *asked)
    assert (done.code, done.out) == (0, f"The figure is in {file}.\n"), done.err
    alone = size_of(file)
    assert run("figures", "saliency", trained, trained, *asked, "--layer", "layer3").code == 0
    assert size_of(file)[1] > 1.3 * alone[1]


def test_unlabeled_images_can_be_explained(run: Run, trained: Path, figures: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for number, file in enumerate(sorted((figures / "query").glob("*.jpg"))[:3]):
        shutil.copy(file, tmp_path / "mine" / f"photo {number}.jpg")
    asked = (trained, "--data", tmp_path / "mine", "-n", 1)
    for what in ("saliency", "attention"):
        done = run("figures", what, *asked, "-o", tmp_path / f"{what}.png")
        assert done.code == 0, done.err
        assert size_of(tmp_path / f"{what}.png")[0] > 100


@pytest.mark.parametrize("method", ["elementwise", "gradcam", "cam"])
def test_identities(run: Run, trained: Path, figures: Path, tmp_path: Path, method: str) -> None:
    file, name = tmp_path / "s.png", next((figures / "query").glob("*.jpg")).name
    asked = ("--by", "identity", "--method", method, "--query", name, "--data", figures, "-o", file)
    assert run("figures", "saliency", trained, *asked).code == 0
    assert size_of(file)[0] > 100


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--method", "cam"), "add --by identity"),
        (("--method", "cam", "--by", "identity", "--layer", "layer3"), "--layer has no effect"),
        (("--layer", "layer9"), "unknown layer of aap_reid 'layer9'. Did you mean layer"),
        (("--query", "a.jpg", "-n", 2), "has no effect"),
        (("--query", "none.jpg"), "unknown image 'none.jpg'"),
    ],
)
def test_errors_are_one_line(
    run: Run, trained: Path, figures: Path, tmp_path: Path, options: tuple[object, ...], message: str
) -> None:
    done = run("figures", "saliency", trained, "--data", figures, "-o", tmp_path / "s.png", *options)
    assert done.code == 1
    assert message in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "s.png").exists()
