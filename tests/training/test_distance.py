"""The test distance of a run: refused where the model lacks it, kept by the run, and followed by what reads the run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from passerby.cli.app import app
from passerby.config import with_overrides
from passerby.data.registry import load as load_dataset
from passerby.errors import ConfigError, ProtocolError
from passerby.evaluation.evaluate import evaluate
from passerby.explain.evaluated import EvaluatedEmbeddings
from passerby.inference.embeddings_file import read_embeddings
from passerby.inference.load import load
from passerby.recipes.registry import load_recipe
from passerby.recipes.reproduce import reproduce
from passerby.training.loop import train

SYNTHETIC = "pedestrians:people=8,cameras=2,images=2,size=64x32,preset=easy"
TINY = {
    "data.train": SYNTHETIC, "data.height": 64, "data.width": 32, "sampler.p": 2, "sampler.k": 2, "epochs": 1,
    "model.options.backbone": "resnet18_half",
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "aligned"
    train(with_overrides(load_recipe("aligned_reid"), TINY), folder, show_progress=False)
    return folder


def numbers(folder: Path) -> Any:
    return json.loads((folder / "metrics.json").read_text())


def test_a_run_is_evaluated_by_its_distance_and_keeps_it(run: Path) -> None:
    assert numbers(run)["protocol"]["distance"] == "global_local"
    model = load(run)
    assert model.distance == "global_local"
    dataset = load_dataset(SYNTHETIC)
    assert model.evaluate(dataset).mean_ap == pytest.approx(numbers(run)["mean_ap"])
    assert "distance global_local" in str(model.protocol_for(dataset, draws=3, seed=1))
    assert model.protocol.distance == "global", "a search compares embeddings"
    figures = EvaluatedEmbeddings.from_model(model, dataset, "x")
    assert figures.result.mean_ap == pytest.approx(numbers(run)["mean_ap"])


def test_the_three_distances_are_three_numbers(run: Path, tmp_path: Path) -> None:
    dataset = load_dataset(SYNTHETIC)
    found = set()
    for distance in ("global", "local", "global_local"):
        copy = shutil.copytree(run, tmp_path / distance)
        description = json.loads((copy / "model.json").read_text())
        description["evaluation"]["distance"] = distance
        (copy / "model.json").write_text(json.dumps(description))
        result = evaluate(load(copy), dataset)
        assert result.protocol.distance == distance
        found.add(round(result.mean_ap, 6))
    assert len(found) == 3


def test_a_run_without_a_distance_is_compared_by_its_embeddings(run: Path, tmp_path: Path) -> None:
    former = shutil.copytree(run, tmp_path / "former")
    for name in ("model.json", "config.json"):
        description = json.loads((former / name).read_text())
        del description["evaluation"]["distance"]
        (former / name).write_text(json.dumps(description))
    assert load(former).protocol_for(load_dataset(SYNTHETIC)).distance == "global"


def test_the_command_line_follows_the_run_and_its_stored_features(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "features.parquet"
    shown = {}
    for name, arguments in {
        "run": [str(run), "--data", SYNTHETIC, "--save-features", str(file)],
        "global": [str(run), "--data", SYNTHETIC, "--distance", "global"],
        "features": ["--features", str(file)],
    }.items():
        done = CliRunner().invoke(app, ["evaluate", *arguments, "--json"])
        assert done.exit_code == 0, done.output
        shown[name] = json.loads(done.stdout)
    assert shown["run"]["mean_ap"] == shown["features"]["mean_ap"] == pytest.approx(numbers(run)["mean_ap"])
    assert [shown[name]["protocol"]["distance"] for name in shown] == ["global_local", "global", "global_local"]
    assert EvaluatedEmbeddings.from_file(file).protocol.distance == "global_local"
    assert read_embeddings(file).protocol.distance == "global_local"


@pytest.mark.parametrize("distance", ["local", "global_local"])
@pytest.mark.parametrize("recipe", ["dual_attention", "strong_baseline", "aanet", "attention_driven"])
def test_a_distance_that_a_model_lacks_is_refused_before_any_work(recipe: str, distance: str, tmp_path: Path) -> None:
    changes = {"data.train": "/nowhere", "evaluation.distance": distance}
    with pytest.raises(ProtocolError, match=rf"{recipe} has no {distance} distance; it has global\. Fix: choose"):
        train(with_overrides(load_recipe(recipe), changes), tmp_path / "run", show_progress=False)
    assert not (tmp_path / "run").exists()


def test_a_table_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    settings = {"evaluation.distance": "local"}
    with pytest.raises(ProtocolError, match="dual_attention has no local distance"):
        reproduce("dual_attention", "table2", data=SYNTHETIC, settings=settings, output=tmp_path, show_progress=False)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_distance_is_a_wrong_setting() -> None:
    with pytest.raises(ConfigError, match=r"setting evaluation\.distance: .* 'globl'"):
        with_overrides(load_recipe("aap_reid"), {"evaluation.distance": "globl"})
