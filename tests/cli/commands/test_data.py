from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def test_sound_data_passes(run, figures: Path) -> None:
    done = run("data", "check", figures)
    assert done.code == 0
    assert "market1501" in done.out
    assert "No errors." in done.out
    rows = [line.split() for line in done.out.splitlines()]
    assert ["train", "1", "12", "4"] in rows
    assert ["train", "all", "24", "4"] in rows
    assert ["gallery", "all", "16", "4"] in rows


@pytest.fixture
def damaged(figures: Path, tmp_path: Path) -> Path:
    """A copy of the dataset with eight truncated images."""
    root = tmp_path / "damaged"
    shutil.copytree(figures, root)
    for file in sorted((root / "bounding_box_train").iterdir())[:8]:
        file.write_bytes(file.read_bytes()[:200])
    return root


def test_errors_name_some_files_and_count_the_rest(run, damaged: Path) -> None:
    done = run("data", "check", damaged)
    assert done.code == 1
    assert min((damaged / "bounding_box_train").iterdir()).name in done.out
    assert "and 3 more" in done.out


def test_all_names_every_file(run, damaged: Path) -> None:
    done = run("data", "check", "--all", damaged)
    assert done.code == 1
    assert "more (--all" not in done.out
    names = [f.name for f in sorted((damaged / "bounding_box_train").iterdir())[:8]]
    assert all(name in done.out for name in names)


def test_json_is_json(run, damaged: Path) -> None:
    done = run("data", "check", "--json", damaged)
    report = json.loads(done.out)
    assert done.code == 1
    assert report["ok"] is False
    assert {"split": "query", "camera": "all", "images": 8, "people": 4} in report["counts"]
    assert any(len(f["files"]) == 8 for f in report["findings"])


def test_heads_of_real_people_are_blurred_in_sheets(run, figures: Path, tmp_path: Path) -> None:
    real = tmp_path / "real"
    shutil.copytree(figures, real, ignore=shutil.ignore_patterns("settings.json"))
    sheets = {}
    for name, data, options in (
        ("synthetic", figures, ()),
        ("real", real, ()),
        ("sharp", real, ("--no-blur",)),
        ("blurred", figures, ("--blur",)),
    ):  # fmt: skip
        out = tmp_path / f"{name}.png"
        assert run("data", "sheet", data, "-o", out, "--people", 1, "--cameras", 2, *options).code == 0
        with Image.open(out) as sheet:
            sheets[name] = np.asarray(sheet)
    assert np.array_equal(sheets["synthetic"], sheets["sharp"])
    assert not np.array_equal(sheets["real"], sheets["sharp"])
    assert not np.array_equal(sheets["blurred"], sheets["sharp"])


def test_a_folder_of_crops_is_checked_for_broken_files(run, figures: Path, tmp_path: Path) -> None:
    crops = tmp_path / "crops"
    shutil.copytree(figures / "query", crops)
    (crops / "zero.jpg").touch()
    (crops / "page.jpg").write_bytes(b"<html>404</html>")
    (crops / "scan.tif").touch()
    done = run("data", "check", crops)
    assert done.code == 1
    assert done.out.startswith(f"images without labels at {crops}\n")
    assert all(f"\n  {name}\n" in done.out for name in ("page.jpg", "zero.jpg", "scan.tif"))
    assert "error: 2 images cannot be read" in done.out
    assert "warning: not read: 1 file of other formats (1 .tif;" in done.out


def test_folders_that_are_no_people_are_named(run, figures: Path, tmp_path: Path) -> None:
    for folder, name in (("query", "image_query"), ("bounding_box_test", "image_test")):
        shutil.copytree(figures / folder, tmp_path / "VeRi" / name)
    done = run("data", "check", tmp_path / "VeRi")
    assert done.code == 1
    assert "'image_query', 'image_test' (named like a split)" in done.out
    refused = run("train", "aligned_reid", "--data", tmp_path / "VeRi", "--run", tmp_path / "run")
    assert (refused.code, refused.out) == (1, "")
    assert "'image_query', 'image_test' (named like a split)" in refused.err
