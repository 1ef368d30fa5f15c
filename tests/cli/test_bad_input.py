"""Invalid input of real users: each is one error line, with nothing half-written and no traceback."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
import torch


def fails(outcome, *words: str) -> None:
    """Check for exit code 1 and one line on stderr that starts with the program's name and has the words."""
    assert outcome.code == 1, outcome
    assert outcome.err.startswith("passerby: "), outcome.err
    assert outcome.err.count("\n") == 1, outcome.err
    assert outcome.err.endswith("\n")
    missing = [word for word in words if word not in outcome.err]
    assert not missing, f"{missing} not in {outcome.err!r}"


def files_in(folder: Path) -> list[str]:
    return sorted(f.name for f in folder.iterdir())


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """An empty folder, in which a failed command must leave nothing."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def copy(figures: Path, tmp_path: Path) -> Path:
    """A copy of the synthetic people, to be damaged."""
    return Path(shutil.copytree(figures, tmp_path / "copy"))


def changed(settings: tuple[str, ...], *others: str) -> list[str]:
    """Return arguments with other settings, each key once: a setting that is given twice is an error."""
    values = dict(text.split("=", 1) for text in (*settings[1::2], *others))
    return [argument for key, value in values.items() for argument in ("--set", f"{key}={value}")]


def huge_png() -> bytes:
    """Return the header of an image of 100,000 × 100,000 pixels, without pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("command", ["train", "evaluate", "data check", "embed"])
def test_an_empty_folder(run, trained: Path, work: Path, tmp_path: Path, command: str) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    arguments = {
        "train": ["train", "aap_reid", "--data", empty, "--run", work / "run"],
        "evaluate": ["evaluate", trained, "--data", empty],
        "data check": ["data", "check", empty],
        "embed": ["embed", trained, empty, "-o", work / "people.parquet"],
    }[command]
    fails(run(*arguments), str(empty))
    assert files_in(work) == []


def test_a_missing_folder(run, work: Path) -> None:
    fails(run("train", "aap_reid", "--data", work / "nowhere", "--run", work / "run"), "nowhere", "does not exist")
    assert files_in(work) == []


def test_a_missing_split(run, trained: Path, copy: Path) -> None:
    shutil.rmtree(copy / "query")
    fails(run("evaluate", trained, "--data", f"market1501:{copy}"), "query")


def test_a_missing_training_split(run, copy: Path, work: Path) -> None:
    shutil.rmtree(copy / "bounding_box_train")
    fails(run("train", "aap_reid", "--data", f"market1501:{copy}", "--run", work / "run"), "train")
    assert files_in(work) == []


def test_one_identity(run, draw_people, work: Path, tmp_path: Path, tiny: tuple[str, ...]) -> None:
    alone = draw_people(tmp_path / "alone", people=2, cameras=2, images=2)
    fails(run("train", "aap_reid", "--data", alone, "--run", work / "run", *tiny), "one person", "Fix: ")
    assert files_in(work) == []


def test_one_camera(run, draw_people, trained: Path, work: Path, tmp_path: Path) -> None:
    still = draw_people(tmp_path / "still", people=4, cameras=1, images=2)
    fails(run("evaluate", trained, "--data", still, "--output", work / "result.json"), "camera")
    assert files_in(work) == []
    checked = run("data", "check", still)
    assert checked.code == 1
    assert "camera" in checked.out


def test_a_truncated_jpeg_in_training(run, copy: Path, work: Path, tiny: tuple[str, ...]) -> None:
    file = max((copy / "bounding_box_train").iterdir())
    file.write_bytes(file.read_bytes()[:300])
    fails(run("train", "aap_reid", "--data", copy, "--run", work / "run", *tiny), file.name, "not a whole image")
    assert files_in(work) == []


def test_a_truncated_jpeg_in_the_gallery(run, trained: Path, copy: Path, work: Path) -> None:
    file = max((copy / "bounding_box_test").iterdir())
    file.write_bytes(file.read_bytes()[:300])
    fails(run("embed", trained, copy, "-o", work / "people.parquet"), file.name, "not a whole image")
    fails(run("evaluate", trained, "--data", copy), file.name)
    assert files_in(work) == []


def test_an_image_of_ten_gigapixels(run, trained: Path, work: Path, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "huge.png").write_bytes(huge_png())
    fails(run("embed", trained, folder, "-o", work / "people.parquet"), "huge.png", "pixels", "not decoded")
    assert files_in(work) == []


def test_a_query_that_is_no_image(run, trained: Path, figures: Path, work: Path, tmp_path: Path) -> None:
    query = tmp_path / "query.jpg"
    query.write_text("I am a letter")
    figure = work / "hits.png"
    fails(run("search", trained, query, "--gallery", figures, "--output", figure), "query.jpg", "not an image")
    assert files_in(work) == []


@pytest.mark.parametrize("kind", ["text", "cut", "other", "absent"])
def test_a_wrong_checkpoint(run, trained: Path, work: Path, tmp_path: Path, kind: str) -> None:
    file = tmp_path / "weights.pth"
    if kind == "text":
        file.write_text("not weights")
    elif kind == "cut":
        file = tmp_path / "weights.safetensors"
        file.write_bytes((trained / "model.safetensors").read_bytes()[:100_000])
    elif kind == "other":
        torch.save({"classifier.weight": torch.zeros(3, 4), "something.else": torch.zeros(2)}, file)
    fails(run("import-weights", file, "--model", "osnet_x0_25", "-o", work / "run"), file.name)
    fails(run("import-weights", file, "-o", work / "run"), file.name)
    assert files_in(work) == []


def test_wrong_backbone_weights(run, figures: Path, work: Path, tmp_path: Path, tiny: tuple[str, ...]) -> None:
    file = tmp_path / "backbone.pth"
    torch.save({"something.else": torch.zeros(2)}, file)
    weights = f"model.backbone_weights={file}"
    fails(run("train", "aap_reid", "--data", figures, "--run", work / "run", *tiny, "--set", weights), "backbone.pth")
    assert files_in(work) == []


def test_a_run_whose_weights_are_of_another_model(run, trained: Path, figures: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(trained, tmp_path / "broken"))
    description = broken / "model.json"
    description.write_text(description.read_text().replace('"resnet18_half"', '"resnet26_half"'))
    fails(run("evaluate", broken, "--data", figures), "model.safetensors")


def test_an_unknown_recipe(run, figures: Path, work: Path) -> None:
    fails(
        run("train", "aap_ried", "--data", figures, "--run", work / "run"), "recipe 'aap_ried'", "Did you mean aap_reid"
    )
    assert files_in(work) == []


def test_an_unknown_setting(run, figures: Path, work: Path) -> None:
    spelling = ("--set", "optimizer.learning_rate=1", "--set", "optimiser.lr=1")
    fails(run("train", "aap_reid", "--data", figures, "--run", work / "run", *spelling[:2]), "optimizer.learning_rate")
    fails(
        run("train", "aap_reid", "--data", figures, "--run", work / "run", *spelling[2:]), "Did you mean optimizer.lr"
    )
    assert files_in(work) == []


def test_an_invalid_setting(run, figures: Path, work: Path) -> None:
    fails(run("train", "aap_reid", "--data", figures, "--run", work / "run", "--set", "epochs=0"), "epochs", "got 0")
    assert files_in(work) == []


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("model.name=aap_ried", "Did you mean aap_reid"),
        ("model.options.backbone=resnet19", "Did you mean resnet1"),
        ("model.options.bakbone=resnet18", "Did you mean backbone"),
    ],
)
def test_an_unknown_model_or_part(
    run, figures: Path, work: Path, tiny: tuple[str, ...], setting: str, words: str
) -> None:
    fails(run("train", "aap_reid", "--data", figures, "--run", work / "run", *changed(tiny, setting)), words)
    assert files_in(work) == []


def test_a_loss_that_is_nan(run, figures: Path, work: Path, tiny: tuple[str, ...]) -> None:
    folder = work / "run"
    explosive = changed(tiny, "optimizer.lr=1e30", "epochs=3")
    fails(run("train", "aap_reid", "--data", figures, "--run", folder, *explosive), "not finite", "failed-batch")
    assert {"config.json", "failed-batch.safetensors"} <= set(files_in(folder))
    assert not {"model.json", "model.safetensors", "metrics.json"} & set(files_in(folder))


def test_the_real_program_prints_one_line_too(work: Path) -> None:
    command = [sys.executable, "-m", "passerby", "train", "aap_ried", "--data", ".", "--run", str(work / "run")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("passerby: unknown recipe 'aap_ried'. Did you mean aap_reid")
    assert done.stderr.count("\n") == 1
    assert files_in(work) == []
