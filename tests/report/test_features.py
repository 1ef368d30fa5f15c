"""The report of precomputed embeddings: numbers of ``passerby evaluate --features``, and no section that needs more."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from passerby.errors import ConfigError, DatasetLayoutError
from passerby.inference.embeddings_file import Origin, write_query_gallery
from passerby.report import figure, read_features, write_features_report
from passerby.report.inputs.comparison import paired
from passerby.report.inputs.evaluation import FeaturesEvaluation
from passerby.report.sections.environment import evaluation_command
from passerby.types import Embeddings

FORMER = Path(__file__).resolve().parents[1] / "former"
SHOWN = ["metrics", "protocol", "retrieval", "embedding-map", "subgroups", "calibration", "environment", "missing"]


def shown(page: str, run: str) -> dict[str, float]:
    """Return the numbers in the markup of a page, by key."""
    found = (dict(re.findall(r'([\w-]+)="([^"]*)"', tag)) for tag in re.findall(r"<data [^>]+>", page))
    return {each["data-key"]: float(each["value"]) for each in found if each["data-run"] == run}


def crowd(seed: int, side: str, *, cameras: int = 2) -> Embeddings:
    random = torch.Generator().manual_seed(seed)
    pids = torch.arange(4).repeat_interleave(4)
    camids = (torch.arange(16) % cameras) + 1
    centers = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    embedding = centers[pids] + torch.randn(16, 8, generator=random)
    return Embeddings(embedding, tuple(f"{side}/{row}.jpg" for row in range(16)), pids, camids)


def origin(model: str) -> Origin:
    return Origin(fingerprint="0123456789abcdef", model=model, size=(64, 32), root="/data/market")


def written(file: Path, seed: int, model: str | None = None) -> Path:
    made = None if model is None else origin(model)
    write_query_gallery(file, crowd(seed, "query"), crowd(seed + 1, "gallery"), made)
    return file


@pytest.fixture
def numbers(capsys: pytest.CaptureFixture[str]) -> Callable[[list[str]], dict[str, Any]]:
    """Return a function that runs a command and reads the JSON that it prints."""

    def run(words: list[str]) -> dict[str, Any]:
        from passerby.cli import main

        capsys.readouterr()
        with pytest.raises(SystemExit):
            main(words)
        return json.loads(capsys.readouterr().out)

    return run


@pytest.mark.usefixtures("unrendered")
@pytest.mark.parametrize("name", ["features.npz", "features.parquet"])
def test_numbers_of_a_former_file_are_those_of_evaluate(name: str, tmp_path: Path, numbers: Any) -> None:
    file = FORMER / name
    write_features_report([file], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    options = ["--open-set", "--slices", "cameras", "--json"]
    told, plain = (numbers(["evaluate", "--features", str(file), *some]) for some in (options, ["--json"]))
    found = shown(page, "features")
    for key in ("1", "5", "10", "20"):
        assert found[f"cmc.{key}"] == told["cmc"][key] == plain["cmc"][key]
    for key in ("mean_ap", "minp", "queries", "gallery"):
        assert found[key] == told[key] == plain[key]
    assert found["open_set.equal_error_rate"] == told["details"]["open_set"]["equal_error_rate"]
    assert told["slices"]
    for each in told["slices"]:
        key = f"slices.{each['dimension']}/{each['group']}/{each['value']}"
        assert found[f"{key}.mean_ap"] == each["mean_ap"]
        assert found[f"{key}.rank1"] == each["rank1"]


@pytest.mark.usefixtures("unrendered")
def test_only_sections_that_embeddings_suffice_for(tmp_path: Path) -> None:
    (run,) = write_features_report([FORMER / "features.npz"], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert re.findall(r'<li><a href="#([^"]+)">', page) == SHOWN
    assert page.count("<figure>") >= 6  # CMC, precision, ROC, distances, two maps, subgroups
    for absent in ("Not calibrated", "passerby calibrate", "not finished", "imported", "blurred", "--resume"):
        assert absent not in page
    assert "precomputed embeddings, whose model is not recorded" in page
    assert "neither images nor a model" in page
    assert not run.has("model")
    assert not run.has("folder")


@pytest.mark.usefixtures("unrendered")
def test_the_printed_command_gives_the_numbers_of_the_report(tmp_path: Path, numbers: Any) -> None:
    (run,) = read_features([written(tmp_path / "some embeddings.parquet", 1, "aap_reid")])
    assert run.evaluation is not None
    told = numbers(shlex.split(evaluation_command(run, run.evaluation))[1:])
    assert {key: told[key] for key in ("cmc", "mean_ap", "minp")} == {
        key: run.numbers[key] for key in ("cmc", "mean_ap", "minp")
    }


@pytest.mark.usefixtures("unrendered")
def test_files_of_the_same_images_are_compared(tmp_path: Path) -> None:
    files = [written(tmp_path / f"{name}.parquet", seed, name) for seed, name in ((1, "aanet"), (5, "baseline"))]
    runs = write_features_report(files, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert paired(runs)
    assert [run.evaluation.spec for run in runs if run.evaluation] == ["/data/market"] * 2
    assert "by bootstrap over people (paired)" in page
    assert "precomputed embeddings of the model aanet" in page
    assert shown(page, "baseline")["difference.mean_ap"] == pytest.approx(
        runs[1].numbers["mean_ap"] - runs[0].numbers["mean_ap"]
    )


def test_other_images_are_not_compared(tmp_path: Path) -> None:
    first = written(tmp_path / "a.parquet", 1, "aanet")
    other = tmp_path / "b.parquet"
    write_query_gallery(other, crowd(1, "query"), crowd(2, "gallery", cameras=3), origin("aanet"))
    runs = read_features([first, other])
    assert not paired(runs)
    assert [run.evaluation.spec for run in runs if run.evaluation] == ["/data/market", str(other)]


def test_rows_without_names_are_of_unknown_images(tmp_path: Path) -> None:
    for name in "ab":
        query, gallery = crowd(1, "query"), crowd(2, "gallery")
        arrays = {
            f"{side}_{column}": values.numpy()
            for side, some in (("query", query), ("gallery", gallery))
            for column, values in (("f", some.embedding), ("pid", some.pids), ("cam", some.camids))
            if values is not None
        }
        np.savez(tmp_path / f"{name}.npz", **arrays)
    assert not paired(read_features([tmp_path / "a.npz", tmp_path / "b.npz"]))


def test_labels_differ(tmp_path: Path) -> None:
    shutil.copy(FORMER / "features.npz", tmp_path / "x.npz")
    shutil.copy(FORMER / "features.parquet", tmp_path / "x.parquet")
    assert [run.label for run in read_features([tmp_path / "x.npz", tmp_path / "x.parquet"])] == ["x.npz", "x.parquet"]
    with pytest.raises(ConfigError, match=r"are the same file\. Fix: give each file once"):
        read_features([tmp_path / "x.npz", tmp_path / "x.npz"])


def test_a_file_without_both_sides_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetLayoutError, match="has no rows of split 'query'"):
        write_features_report([FORMER / "gallery.parquet"], tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_names_can_do_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = """<script>alert(1)<&"'\\$x^{$ <img src=x onerror=alert(1)>"""
    file = written(tmp_path / f"{name}.parquet", 1, "</b><script>alert(2)")
    monkeypatch.setattr(figure, "DPI", 40)
    (run,) = write_features_report([file], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert isinstance(run.evaluation, FeaturesEvaluation)
    assert run.label == name
    assert "&lt;script&gt;alert(1)" in page
    assert "&lt;script&gt;alert(2)" in page
    assert "<script" not in page
    assert "<img src=x" not in page
