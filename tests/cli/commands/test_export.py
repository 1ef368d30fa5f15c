from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from passerby.models.registry import create_model
from passerby.training.checkpoint import save_model
from passerby.training.run import RunFolder

for _package in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(_package, reason="passerby[onnx] is not installed")


@pytest.fixture
def people(tmp_path: Path, draw_people: Callable[..., Path]) -> Path:
    return draw_people(tmp_path / "people", people=4, cameras=2, images=2)


def test_a_run_is_exported_embedded_evaluated_and_searched(
    run: Callable[..., object], tmp_path: Path, people: Path
) -> None:
    folder, file = tmp_path / "run", tmp_path / "model.onnx"
    options = {"backbone": "resnet18_half"}
    folder.mkdir()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = create_model("strong_baseline", num_classes=2, **options)
        save_model(RunFolder(folder), network, options=options, size=(32, 16))
    code, out, err = run("export", folder, "-o", file, "--data", people)
    assert code == 0, err
    assert "strong_baseline" in out
    assert "Least cosine with the run's embeddings: 1.0000000" in out or "0.99999" in out
    code, _, err = run("export", folder, "-o", file)
    assert (code, "--overwrite" in err) == (1, True)
    numbers = [run("evaluate", model, "--data", people, "--json") for model in (folder, file)]
    assert numbers[0][:2] == numbers[1][:2]
    assert numbers[0][0] == 0
    assert run("embed", folder, people, "-o", tmp_path / "g.parquet", "--split", "gallery")[0] == 0
    query = next((people / "query").iterdir())
    found = [run("search", model, query, "--gallery", tmp_path / "g.parquet", "-k", "2") for model in (folder, file)]
    assert found[0] == found[1], "a gallery of the run serves its ONNX file"
    for words in (("explain", file, query, query), ("calibrate", file, "--data", people)):
        code, _, err = run(*words)
        assert code == 1
        assert len(err.strip().splitlines()) == 1, err
        assert "Fix: " in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--int8", "--precision", "float16"), "--int8 and --precision float16 exclude each other. Fix: "),
        (("--calibration-data", "x"), "--calibration-data is for int8, and the precision is float32. Fix: "),
    ],
)
def test_options_that_contradict_each_other(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    code, _, err = run("export", "street", "-o", tmp_path / "model.onnx", *words)
    assert code == 1
    assert message in err


def test_the_shipped_weights_in_int8(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path, draw_people: Callable[..., Path]
) -> None:
    many = draw_people(tmp_path / "many", people=12, cameras=3, images=3)
    file = tmp_path / "model.onnx"
    code, out, err = run("export", "street", "-o", file, "--int8", "--data", many)
    assert code == 0, err
    assert "convolutions are in int8, calibrated on" in out
    assert "times the CPU time of float32" in out
    query = next((many / "query").iterdir())
    assert run("embed", "street", many, "-o", tmp_path / "g.parquet", "--split", "gallery")[0] == 0
    code, _, err = run("search", file, query, "--gallery", tmp_path / "g.parquet")
    assert code == 1, "a gallery of the run is not one of its int8 file"
    assert "Fix: embed the gallery again" in err or "fingerprint" in err
