from __future__ import annotations

import json
from pathlib import Path

from PIL import Image


def test_subgroups_of_a_run(run, trained: Path, figures: Path, tmp_path: Path) -> None:
    asked = ("evaluate", trained, "--data", figures, "--slices", "cameras,attributes,visibility")
    figure = tmp_path / "subgroups.png"
    done = run(*asked, "--slices-figure", figure)
    assert (done.code, done.err) == (0, "")
    assert "camera 1 → 2" in done.out
    assert "gender: female" in done.out
    assert "visible keypoints: " in done.out
    assert "* fewer than 10 queries." in done.out
    with Image.open(figure) as image:
        assert image.format == "PNG"
    plain = json.loads(run("evaluate", trained, "--data", figures, "--json").out)
    numbers = json.loads(run(*asked, "--json", "--output", tmp_path / "result.json").out)
    assert numbers == json.loads((tmp_path / "result.json").read_text())
    slices = numbers.pop("slices")
    assert numbers == plain  # subgroups change nothing else
    genders = [each for each in slices if each["group"] == "gender"]
    assert sum(each["queries"] for each in genders) == numbers["queries"] == 8
    assert [(s["group"], s["value"]) for s in slices if s["dimension"] == "cameras"] == [("1", "2"), ("2", "1")]


def test_cameras_of_features(run, trained: Path, figures: Path, tmp_path: Path) -> None:
    saved = tmp_path / "features.parquet"
    asked = ("--slices", "cameras", "--json")
    of_run = run("evaluate", trained, "--data", figures, "--save-features", saved, *asked)
    of_file = run("evaluate", "--features", saved, *asked)
    assert json.loads(of_file.out) == json.loads(of_run.out)
    done = run("evaluate", "--features", saved, "--slices", "cameras,visibility")
    assert done.code == 1
    assert "--slices visibility: --features have no such labels, only cameras" in done.err
    assert "has no results per query" in run("evaluate", "--features", saved, *asked, "--draws", 2).err


def test_attribute_labels_of_a_file_for_a_model_without_attributes(
    run, trained: Path, figures: Path, tmp_path: Path
) -> None:
    table = tmp_path / "mine.csv"
    # the empty column age tells that the table has Market-1501's schema
    table.write_text("pid,hat,age\n" + "".join(f"{pid},{'yes' if pid == 5 else 'no'},\n" for pid in range(1, 9)))
    asked = ("evaluate", trained, "--data", figures, "--attribute-labels", table)
    slices = json.loads(run(*asked, "--slices", "attributes", "--json").out)["slices"]
    assert [(s["group"], s["value"], s["queries"], s["people"]) for s in slices] == [
        ("hat", "no", 6, 3),
        ("hat", "yes", 2, 1),
    ]
    assert "predicts no attributes" in run(*asked, "--slices", "cameras").err


def test_invalid_subgroups_are_errors_before_any_image_is_embedded(run, trained: Path, figures: Path) -> None:
    asked = ("evaluate", trained, "--data", figures)
    assert "unknown dimension of subgroups 'camera'. Did you mean cameras?" in run(*asked, "--slices", "camera").err
    assert "add --slices cameras" in run(*asked, "--slices-figure", "s.png").err
    assert "has no results per query" in run(*asked, "--slices", "cameras", "--draws", 2).err
