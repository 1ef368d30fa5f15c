"""``passerby explain``: a sentence, numbers and a figure about two images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from tests.cli.conftest import Run

    from passerby.explain.matching.explanation import MatchExplanation


@pytest.fixture
def two(figures: Path) -> list[Path]:
    return sorted((figures / "bounding_box_test").glob("*.jpg"))[:2]


def test_a_sentence_numbers_and_a_figure(run: Run, trained: Path, two: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "why.png"
    done = run("explain", trained, *two, "-o", out)
    assert done.code == 0, done.err
    assert done.out.startswith("The distance is ")
    assert "alignment of stripes" in done.out
    assert "stripe 2" in done.out
    assert "why.png" in done.out
    with Image.open(out) as image:
        assert image.format == "PNG"


def test_a_name_is_not_a_formula_and_the_suffix_decides_the_format(
    run: Run, trained: Path, two: list[Path], tmp_path: Path
) -> None:
    odd = tmp_path / "cost$_{x$.jpg"
    odd.write_bytes(two[1].read_bytes())
    assert run("explain", trained, two[0], odd, "-o", tmp_path / "why.svg").code == 0
    assert (tmp_path / "why.svg").read_bytes().startswith(b"<?xml")
    assert "ends in .png, .pdf or .svg" in run("explain", tmp_path / "no run", *two, "-o", tmp_path / "why.jpg").err


def test_json_and_only_json(run: Run, trained: Path, figures: Path, two: list[Path]) -> None:
    named = f"{figures}::bounding_box_test/{two[0].name}"
    done = run("explain", trained, named, two[1], "--json")
    found = json.loads(done.out)
    assert found["a"]["pid"] is not None
    assert found["b"] == {"path": two[1].name, "pid": None, "camid": None}
    assert found["sentence"].startswith("The distance is ")
    steps = found["alignment"]["steps"]
    assert sum(step["cost"] for step in steps) == pytest.approx(found["alignment"]["distance"])
    again = json.loads(run("explain", trained, two[0], two[1], "--json").out)
    assert again["distance"] == found["distance"]


def test_faces_of_real_people_are_blurred(
    run: Run, trained: Path, two: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from passerby.figures import match as match_figure

    shown: list[NDArray[np.uint8]] = []
    draw = match_figure.match_figure

    def recorded(found: MatchExplanation, *, title: str) -> Figure:
        shown.append(np.asarray(found.images[0]))
        return draw(found, title=title)

    monkeypatch.setattr(match_figure, "match_figure", recorded)
    (tmp_path / "mine").mkdir()
    photo = tmp_path / "mine" / two[0].name
    photo.write_bytes(two[0].read_bytes())
    out = tmp_path / "why.png"
    for options in ([two[0], two[1]], [photo, two[1]], [photo, two[1], "--no-blur"], [two[0], two[1], "--blur"]):
        assert run("explain", trained, *options, "-o", out).code == 0
    synthetic, default, sharp, blurred = shown
    assert np.array_equal(synthetic, sharp)
    assert np.array_equal(default, blurred)
    assert not np.array_equal(blurred, sharp)


@pytest.mark.parametrize(
    ("options", "message"),
    [(["-o", "nowhere/why.png"], "no folder"), (["--keypoints", "network"], "sees no body parts")],
)
def test_invalid_arguments_are_errors(
    run: Run, trained: Path, two: list[Path], options: list[str], message: str
) -> None:
    done = run("explain", trained, *two, *options)
    assert (done.code, done.out) == (1, "")
    assert message in done.err


def test_a_missing_image_is_an_error(run: Run, trained: Path, two: list[Path], tmp_path: Path) -> None:
    assert "no image" in run("explain", trained, two[0], tmp_path / "missing.jpg").err
    (tmp_path / "cut.jpg").write_bytes(two[0].read_bytes()[:200])
    assert "cut.jpg" in run("explain", trained, two[0], tmp_path / "cut.jpg").err
