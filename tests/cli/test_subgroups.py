from __future__ import annotations

import json
from pathlib import Path

from PIL import Image


def test_slices_of_a_run(run, trained: Path, figures: Path, tmp_path: Path) -> None:
    asked = ("evaluate", trained, "--data", figures, "--slices", "cameras,attributes,visibility")
    picture = tmp_path / "slices.png"
    done = run(*asked, "--slices-figure", picture)
    assert (done.code, done.err) == (0, "")
    assert "camera 1 → 2" in done.out
    assert "gender: female" in done.out
    assert "visible joints: " in done.out
    assert "* fewer than 10 queries." in done.out
    with Image.open(picture) as drawn:
        assert drawn.format == "PNG"
    plain = json.loads(run("evaluate", trained, "--data", figures, "--json").out)
    numbers = json.loads(run(*asked, "--json", "--output", tmp_path / "result.json").out)
    assert numbers == json.loads((tmp_path / "result.json").read_text())
    slices = numbers.pop("slices")
    assert numbers == plain  # slicing changes nothing else
    genders = [some for some in slices if some["group"] == "gender"]
    assert sum(some["queries"] for some in genders) == numbers["queries"] == 8
    assert [(s["group"], s["value"]) for s in slices if s["dimension"] == "cameras"] == [("1", "2"), ("2", "1")]


def test_cameras_of_features(run, trained: Path, figures: Path, tmp_path: Path) -> None:
    kept = tmp_path / "features.npz"
    asked = ("--slices", "cameras", "--json")
    of_run = run("evaluate", trained, "--data", figures, "--save-features", kept, *asked)
    of_file = run("evaluate", "--features", kept, *asked)
    assert json.loads(of_file.out) == json.loads(of_run.out)
    done = run("evaluate", "--features", kept, "--slices", "cameras,visibility")
    assert done.code == 1
    assert "--features say nothing of visibility: ask for --slices cameras" in done.err
    assert "nothing of each query" in run("evaluate", "--features", kept, *asked, "--draws", 2).err


def test_attributes_of_elsewhere_for_a_model_that_predicts_none(
    run, trained: Path, figures: Path, tmp_path: Path
) -> None:
    table = tmp_path / "mine.csv"
    # the age, though nobody knows it, says that the table is of Market-1501's schema
    table.write_text("pid,hat,age\n" + "".join(f"{pid},{'yes' if pid == 5 else 'no'},\n" for pid in range(1, 9)))
    asked = ("evaluate", trained, "--data", figures, "--attributes", table)
    slices = json.loads(run(*asked, "--slices", "attributes", "--json").out)["slices"]
    assert [(s["group"], s["value"], s["queries"], s["people"]) for s in slices] == [
        ("hat", "no", 6, 3),
        ("hat", "yes", 2, 1),
    ]
    assert "predicts no attributes" in run(*asked, "--slices", "cameras").err


def test_what_cannot_be_sliced_is_said_before_anything_is_embedded(run, trained: Path, figures: Path) -> None:
    asked = ("evaluate", trained, "--data", figures)
    assert "unknown dimension of slices 'camera'. Did you mean cameras?" in run(*asked, "--slices", "camera").err
    assert "add --slices cameras" in run(*asked, "--slices-figure", "s.png").err
    assert "nothing of each query" in run(*asked, "--slices", "cameras", "--draws", 2).err
