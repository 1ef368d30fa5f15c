"""Files that version 0.1 wrote before its names changed still open, and give the numbers it gave.

``files.tar.xz`` holds six synthetic people and, trained on them, a finished and a killed run (tensors called
``trunk.…``), ``gallery.parquet`` and ``features.*`` its embeddings in the three layouts of that time, and
``expected.json`` what that version printed for all of them.
"""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import torch

import passerby
from passerby.cli import main

HERE = Path(__file__).parent
EXPECTED: dict[str, Any] = json.loads((HERE / "expected.json").read_text(encoding="utf-8"))
NUMBERS = ("cmc", "mean_ap", "minp", "intervals", "queries", "queries_dropped", "gallery", "details")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything unpacked."""
    folder = tmp_path_factory.mktemp("former") / "files"
    shutil.copytree(HERE, folder, ignore=shutil.ignore_patterns("*.py", "*.xz", "__pycache__"))
    with tarfile.open(HERE / "files.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def renders_alike(place: Path, tmp_path_factory: pytest.TempPathFactory) -> bool:
    """Whether synthetic images come out here as where the files were made.

    NumPy's functions round in other ways on other processors, which changes single pixels and with them later losses.
    """
    again = tmp_path_factory.mktemp("rendered") / "people"
    settings = [
        "--people",
        "6",
        "--cameras",
        "2",
        "--images",
        "3",
        "--size",
        "64x32",
        "--seed",
        "0",
        "--preset",
        "easy",
    ]
    with redirect_stdout(io.StringIO()), pytest.raises(SystemExit) as stop:  # a test reads what its command prints
        main(["data", "synthesize", str(again), *settings])
    assert not stop.value.code
    images = sorted(file.relative_to(again) for file in again.rglob("*.jpg"))
    assert len(images) == 36
    return all((again / image).read_bytes() == (place / "people" / image).read_bytes() for image in images)


@pytest.fixture
def command(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., dict[str, Any]]:
    """Run one command in the unpacked folder and return the JSON it prints."""

    def run(*arguments: str) -> dict[str, Any]:
        monkeypatch.chdir(place)
        with pytest.raises(SystemExit) as stop:
            main(list(arguments))
        printed = capsys.readouterr()
        assert not stop.value.code, printed.err
        found: dict[str, Any] = json.loads(printed.out)
        return found

    return run


def test_a_run_gives_the_same_embeddings_and_fingerprint(place: Path) -> None:
    model, data = passerby.load(place / "run", device="cpu"), passerby.data.load(place / "people")
    found = model.embed_samples(data.source, [*data.train, *data.query, *data.gallery])
    assert model.fingerprint == EXPECTED["fingerprint"]
    assert list(found.paths) == list(EXPECTED["embeddings"])
    for path, row in zip(found.paths, found.embedding.double(), strict=True):
        wanted = EXPECTED["embeddings"][path]
        assert torch.allclose(row[:4], torch.tensor(wanted["first_4"], dtype=torch.float64), rtol=1e-4, atol=1e-5)
        assert row.norm().item() == pytest.approx(wanted["norm"], rel=1e-5)
        assert row.sum().item() == pytest.approx(wanted["sum"], rel=1e-5)


@pytest.mark.parametrize("name", EXPECTED["evaluate"])
def test_evaluations_give_the_same_numbers(
    name: str, command: Callable[..., dict[str, Any]], request: pytest.FixtureRequest
) -> None:
    wanted = EXPECTED["evaluate"][name]
    if name == "run_own_data" and not request.getfixturevalue("renders_alike"):
        pytest.skip("this processor renders single pixels of the synthetic images in another way")
    found = command("evaluate", *wanted["arguments"], "--json")
    assert {key: found.get(key) for key in NUMBERS} == approx({key: wanted["result"].get(key) for key in NUMBERS})


@pytest.mark.parametrize("name", EXPECTED["search"])
def test_searches_find_the_same(name: str, command: Callable[..., dict[str, Any]]) -> None:
    wanted = EXPECTED["search"][name]
    found = command("search", *wanted["arguments"], "--json")
    assert found["hits"] == [approx(_with_todays_verdict(hit)) for hit in wanted["result"]["hits"]]


def test_a_killed_run_resumes_to_the_same_losses(place: Path, tmp_path: Path, renders_alike: bool) -> None:
    run, wanted = tmp_path / "run", EXPECTED["resumed"]
    shutil.copytree(place / "run_unfinished", run)
    with pytest.raises(SystemExit) as stop:
        main(["train", "--resume", str(run)])
    assert not stop.value.code
    log = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    found = [{key: line[key] for key in wanted["log"][0]} for line in log]
    if not renders_alike:
        assert found[:3] == [approx(line) for line in wanted["log"][:3]]
        assert [line["loss"] for line in found] == pytest.approx([line["loss"] for line in wanted["log"]], rel=0.1)
        return
    assert found == [approx(line) for line in wanted["log"]]
    metrics = json.loads((run / "metrics.json").read_text())
    assert {key: metrics.get(key) for key in NUMBERS} == approx({key: wanted["metrics"].get(key) for key in NUMBERS})


def _with_todays_verdict(hit: dict[str, Any]) -> dict[str, Any]:
    today = {"same": "possible", "different": "no evidence"}
    return hit | ({"verdict": today.get(hit["verdict"], hit["verdict"])} if "verdict" in hit else {})


def approx(value: Any) -> Any:
    """Compare numbers with a tolerance, at any depth."""
    if isinstance(value, dict):
        return {key: approx(item) for key, item in value.items()}
    if isinstance(value, list):
        return [approx(item) for item in value]
    return pytest.approx(value, rel=1e-4, abs=1e-6) if isinstance(value, float) else value
