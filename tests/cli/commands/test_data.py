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
