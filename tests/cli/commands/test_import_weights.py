"""``passerby import-weights``: a foreign checkpoint becomes a run folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import passerby
from passerby.models.registry import create_model


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "osnet.pth"
    torch.save(create_model("osnet_x0_25", num_classes=4).state_dict(), path)
    return path


def test_it_says_what_the_file_is(run, file: Path, tmp_path: Path) -> None:
    done = run("import-weights", file, "-o", tmp_path / "run")
    assert done.code == 0
    assert done.out.startswith(
        "torchreid's osnet_x0_25; 567 of 567 tensors matched; a classifier of 4 people; images of"
    )
    about = json.loads((tmp_path / "run" / "model.json").read_text())
    assert (about["model"], about["weights"]["imported"]["toolkit"]) == ("osnet_x0_25", "torchreid")


def test_the_former_arguments_are_accepted_with_a_warning(run, file: Path, tmp_path: Path) -> None:
    done = run("import-weights", "osnet_x0_25", file, tmp_path / "run")
    assert done.code == 0
    assert "the arguments are now: import-weights" in done.err
    assert (tmp_path / "run" / "model.json").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "needs a folder to write to. Fix: give --output RUN"),
        (["two.pth", "-o", "run"], "takes one FILE, got "),
        (["-o", "run", "--model", "osnet_x1_0"], "names and shapes are those of osnet_x0_25"),
        (["-o", "run", "--size", "12"], "expected HEIGHTxWIDTH"),
    ],
)
def test_what_cannot_be_imported(run, file: Path, tmp_path: Path, words: list[str], message: str) -> None:
    done = run("import-weights", file, *(tmp_path / word if word == "run" else word for word in words))
    assert (done.code, (tmp_path / "run").exists()) == (1, False)
    assert message in " ".join(done.err.split())


def test_a_checkpoint_stands_for_a_run(run, file: Path, figures: Path, tmp_path: Path) -> None:
    done = run("embed", file, figures, "-o", tmp_path / "people.parquet")
    assert (done.code, (tmp_path / "people.parquet").is_file()) == (0, True)


def test_weights_in_the_package_become_a_run_of_ones_own(run, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    assert run("import-weights", "street", "-o", mine).code == 0
    assert passerby.load(mine, device="cpu").fingerprint == passerby.load("street", device="cpu").fingerprint
    again = run("import-weights", "street", "-o", mine)
    assert (again.code, "exists. Fix: choose a new folder" in again.err) == (1, True)
    other = run("import-weights", "street", "-o", tmp_path / "other", "--size", "256x128")
    assert (other.code, "complete as it is" in other.err) == (1, True)
    assert not (tmp_path / "other").exists()
