"""``passerby data synthesize``, ``passerby data sheet``, and generated people wherever a dataset is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from passerby.data.registry import load

SMALL = ("--people", "4", "--cameras", "2", "--images", "2", "--size", "32x16", "--workers", "1")


def small(choice: tuple[str, ...]) -> list[str]:
    """Return the small settings with others in place of those of the same name."""
    pairs = zip(SMALL[::2], SMALL[1::2], strict=True)
    return [word for name, value in pairs if name not in choice for word in (name, value)] + list(choice)


GENERATED = "pedestrians:people=4,cameras=2,images=2,size=32x16"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSERBY_CACHE", str(tmp_path / "cache"))


def test_a_dataset_is_written(run, tmp_path: Path) -> None:
    out = tmp_path / "made"
    done = run("data", "synthesize", out, *SMALL, "--seed", "3", "--preset", "hard", "--masks")
    assert done.code == 0
    assert done.out == (
        f"{out} holds train 8 images of 2 people, query 4 images of 2 people, gallery 4 images of 2 people.\n"
    )
    folders = {"bounding_box_train", "query", "bounding_box_test", "masks"}
    assert {p.name for p in out.iterdir()} == folders | {"attributes.csv", "keypoints.json", "settings.json"}
    settings = json.loads((out / "settings.json").read_text())
    assert (settings["seed"], settings["preset"], settings["size"]) == (3, "hard", [32, 16])


def test_every_option_reaches_the_world(run, tmp_path: Path) -> None:
    choices = ("--outfits", "2", "--difficulty", "background=0.5", "--difficulty", "twins=0")
    assert run("data", "synthesize", tmp_path / "made", *SMALL, *choices).code == 0
    settings = json.loads((tmp_path / "made" / "settings.json").read_text())
    assert settings["two_outfits"] is True
    assert settings["changes"] == {"background": 0.5, "twins": 0.0}


def test_the_former_names_are_read_with_a_warning(run, tmp_path: Path) -> None:
    done = run("data", "synthesize", tmp_path / "made", *SMALL, "--knob", "colour=0.5", "--knob=twins=0")
    assert done.code == 0
    assert done.err.count("--knob is now --difficulty") == 1
    new = run("data", "synthesize", tmp_path / "new", *SMALL, "--difficulty", "color=0.5", "--difficulty", "twins=0")
    assert "is now" not in new.err
    former, today = ({p.name: p.read_bytes() for p in (tmp_path / n).rglob("*.*")} for n in ("made", "new"))
    assert former == today
    assert json.loads(today["settings.json"])["changes"] == {"colour": 0.5, "twins": 0.0}


def test_cameras_of_their_own(run, tmp_path: Path) -> None:
    four = small(("--cameras", "4"))
    assert run("data", "synthesize", tmp_path / "made", *four, "--separate-cameras").code == 0
    dataset = load(tmp_path / "made")
    assert not {s.camid for s in dataset.train} & {s.camid for s in dataset.query}


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (("--size", "large"), ("256x128", "'large'")),
        (("--difficulty", "backgruond=1"), ("backgruond", "background")),
        (("--difficulty", "background"), ("NAME=VALUE",)),
        (("--difficulty", "background=-1"), ("0 or more",)),
        (("--people", "0"), ("people must be at least 1",)),
        (("--separate-cameras",), ("at least 4",)),
    ],
)
def test_impossible_options_are_an_error(run, tmp_path: Path, choice: tuple[str, ...], words: tuple[str, ...]) -> None:
    done = run("data", "synthesize", tmp_path / "made", *small(choice))
    assert done.code == 1
    assert all(word in done.err for word in words)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_kept(run, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    done = run("data", "synthesize", tmp_path, *SMALL)
    assert done.code == 1
    assert "exists" in done.err
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_sheet_is_written(run, tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    done = run("data", "sheet", GENERATED, "-o", out, "--show-keypoints", "--people", "3", "--cameras", "1")
    assert done.out == f"The contact sheet is in {out}.\n"
    with Image.open(out) as sheet:
        assert sheet.width > sheet.height
    again = run("data", "sheet", GENERATED, "-o", out)
    assert again.code == 1
    assert "--overwrite" in again.err


def test_a_sheet_of_another_format_is_an_error_before_work(run, tmp_path: Path) -> None:
    done = run("data", "sheet", GENERATED, "-o", tmp_path / "sheet.gif")
    assert done.code == 1
    assert ".png or .jpg" in done.err
    assert not (tmp_path / "cache").exists()


def test_generated_people_are_a_dataset_like_any_other(run, trained: Path, tmp_path: Path) -> None:
    assert run("data", "check", GENERATED).code == 0
    evaluated = run("evaluate", trained, "--data", GENERATED, "--json")
    assert json.loads(evaluated.out)["queries"] == 4
    assert run("embed", trained, GENERATED, "-o", tmp_path / "people.parquet").code == 0
    query = min(s.path for s in load(GENERATED).query)
    found = run("search", trained, f"{GENERATED}::{query}", "--gallery", tmp_path / "people.parquet", "--json")
    answer = json.loads(found.out)
    assert answer["query"]["pid"] == 3
    assert len(answer["hits"]) == 4


def test_the_training_half_alone(run, tmp_path: Path) -> None:
    whole, half = tmp_path / "whole", tmp_path / "half"
    assert run("data", "synthesize", whole, *SMALL).code == 0
    assert run("data", "synthesize", half, *SMALL, "--train-only").code == 0
    train = {file.name: file.read_bytes() for file in (whole / "bounding_box_train").iterdir()}
    assert {file.name: file.read_bytes() for file in (half / "bounding_box_train").iterdir()} == train
    assert not [*half.glob("query/*"), *half.glob("bounding_box_test/*")]
