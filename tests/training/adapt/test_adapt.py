"""The adaptation on a miniature world: what it writes, exact resume, what it never reads, and small data."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from passerby.config import with_overrides
from passerby.errors import ConfigError, DatasetLayoutError
from passerby.inference.load import load
from passerby.models.registry import create_model
from passerby.training.adapt.config import AdaptConfig
from passerby.training.adapt.rounds import clustered
from passerby.training.adapt.training import adapt
from passerby.training.checkpoint import save_model
from passerby.training.engine import Engine
from passerby.training.run import RunFolder
from passerby.types import Batch

PEOPLE, CAMERAS, SHOTS = 24, 3, 4


def draw(root: Path, people: int, *, cameras: int = CAMERAS, shots: int = SHOTS, order: int = 1) -> Path:
    """Draw crops of four colors per person into a Market layout; ``order`` permutes the labels in the names."""
    noise = np.random.default_rng(0)
    folder = root / "bounding_box_train"
    folder.mkdir(parents=True)
    for person in range(people):
        color = noise.integers(0, 256, (4, 1, 3))
        for camera in range(1, cameras + 1):
            for shot in range(shots):
                pixels = np.repeat(np.repeat(color, 8, axis=0), 16, axis=1) + noise.integers(-15, 15, (32, 16, 3))
                pixels = pixels * (0.7 + 0.2 * camera)
                name = f"{person * order % people + 1:04d}_c{camera}s1_{shot:06d}_00.png"
                Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / name)
    return root


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("world") / "w", PEOPLE)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with random weights."""
    run = tmp_path_factory.mktemp("start") / "run"
    run.mkdir()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = create_model("strong_baseline", num_classes=3, backbone="resnet18_half")
    save_model(RunFolder(run), model, options={"backbone": "resnet18_half"}, size=(32, 16))
    return run


def tiny(start: Path, world: Path, **changes: object) -> AdaptConfig:
    settings = {
        "start": str(start),
        "data.place": f"market1501:{world}",
        "rounds": 2,
        "batch.p": 4,
        "batch.k": 2,
        "batch.steps": 3,
        "clusters.k1": 10,
        "patience": 5,
        "same": 1.0,
        **changes,
    }
    return with_overrides(AdaptConfig(), settings)


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model.safetensors")


def lines(run: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (run / "rounds.jsonl").read_text().splitlines()]


def equal(one: Path, other: Path) -> bool:
    a, b = weights(one), weights(other)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def finished(world: Path, start: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "whole"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("passerby.training.adapt.training.measure_quality", _rising())
        adapt(tiny(start, world), run, show_progress=False)
    return run


def _rising() -> Callable[..., float]:
    seen = iter(range(1, 1000))
    return lambda *_: next(seen) / 1000


def test_a_run_folder_is_complete_and_its_model_loads(finished: Path, start: Path) -> None:
    names = {path.name for path in finished.iterdir()}
    assert names == {
        *("adapt.json", "checkpoints", "clusters.csv", "config.json", "environment.json", "inputs.json"),
        *("metrics.jsonl", "model.json", "model.safetensors", "rounds.jsonl", "tensorboard"),
    }
    rounds = lines(finished)
    assert [entry["name"] for entry in rounds] == ["start", "statistics", "round 1", "round 2"]
    for entry in rounds:
        assert entry["images"] == PEOPLE * CAMERAS * SHOTS
        assert entry["clusters"] > 4
        assert 0 < entry["largest"] + entry["outliers"] <= entry["images"]
    assert [entry["agreement"] is None for entry in rounds] == [True, False, False, False]
    assert [entry["loss"] is None for entry in rounds] == [True, True, False, False]
    steps = [json.loads(line)["loss"] for line in (finished / "metrics.jsonl").read_text().splitlines()]
    assert rounds[2]["loss"] == pytest.approx(sum(steps[:3]) / 3)
    result = json.loads((finished / "adapt.json").read_text())
    assert (result["adapted"], result["kept"]) == (True, "round 2")
    model, before = load(finished), load(start)
    assert model.size == before.size
    assert model.fingerprint != before.fingerprint


def test_the_clusters_are_written_with_their_crops(finished: Path, world: Path) -> None:
    dataset = clustered(finished, f"market1501:{world}", count=5)
    labels = [sample.pid for sample in dataset.gallery]
    assert len(set(labels)) == 5
    assert all(sample.camid in (1, 2, 3) for sample in dataset.gallery)
    assert all(dataset.source.read(sample.path) for sample in dataset.gallery[:3])


@pytest.mark.parametrize("die_at", [1.4, 0.4])
def test_a_killed_run_goes_on_to_the_same_bits(
    world: Path, start: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, die_at: float
) -> None:
    original = Engine._step

    def dies(self: Engine[Batch, object], batch: Batch, progress: float, step: int, *, update: bool) -> object:
        if progress > die_at:
            raise KeyboardInterrupt
        return original(self, batch, progress, step, update=update)

    run = tmp_path / "killed"
    monkeypatch.setattr("passerby.training.adapt.training.measure_quality", _rising())
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "_step", dies)
        with pytest.raises(KeyboardInterrupt):
            adapt(tiny(start, world), run, show_progress=False)
    seen = iter((1, 2, 3, 4) if die_at < 1 else (3, 4))
    monkeypatch.setattr("passerby.training.adapt.training.measure_quality", lambda *_: next(seen) / 1000)
    adapt(None, run, resume=True, show_progress=False)
    assert equal(run, finished)
    assert lines(run) == lines(finished)
    assert (run / "clusters.csv").read_text() == (finished / "clusters.csv").read_text()


def test_identities_never_reach_the_training(
    start: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same images under permuted person IDs: other names, another order of files, the same bits."""
    permuted = draw(tmp_path / "permuted", PEOPLE, order=7)
    monkeypatch.setattr("passerby.training.adapt.training.measure_quality", _rising())
    run = tmp_path / "run"
    adapt(tiny(start, permuted), run, show_progress=False)
    assert equal(run, finished)
    assert lines(run) == lines(finished)


def test_cameras_may_be_unknown(start: Path, world: Path, tmp_path: Path) -> None:
    crops = tmp_path / "crops"
    crops.mkdir()
    for number, file in enumerate(sorted((world / "bounding_box_train").iterdir())):
        shutil.copy(file, crops / f"{number}.png")
    result = adapt(tiny(start, crops, **{"data.place": str(crops), "rounds": 1}), tmp_path / "run", show_progress=False)
    assert result.rounds[-1].name == "round 1"
    assert "cameras" not in json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[0])


def test_what_makes_nothing_better_is_not_kept(
    start: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    falling = iter(range(999, 0, -1))
    monkeypatch.setattr("passerby.training.adapt.training.measure_quality", lambda *_: next(falling) / 1000)
    result = adapt(tiny(start, world, patience=2), tmp_path / "run", show_progress=False)
    assert (result.adapted, result.kept) == (False, "start")
    assert result.reason == "No better quality in 2 rounds."
    assert [entry.name for entry in result.rounds] == ["start", "statistics", "round 1"]
    assert load(tmp_path / "run").fingerprint == load(start).fingerprint


def test_quick_changes_statistics_alone(
    start: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("passerby.training.adapt.training.measure_quality", _rising())
    result = adapt(tiny(start, world, quick=True), tmp_path / "run", show_progress=False)
    assert result.kept == "statistics"
    before, after = weights(start), weights(tmp_path / "run")
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert {name.rpartition(".")[2] for name in changed} == {"running_mean", "running_var", "num_batches_tracked"}


def test_clusters_that_no_longer_change_end_the_run(start: Path, world: Path, tmp_path: Path) -> None:
    result = adapt(tiny(start, world, same=0.0, rounds=5), tmp_path / "run", show_progress=False)
    assert result.rounds[-1].name == "round 1"
    assert result.reason.startswith("The clusters no longer change")


@pytest.mark.parametrize(
    ("people", "cameras", "shots", "expected"),
    [
        pytest.param(4, 4, 4, "has 64 crops, expected at least 256 .* Fix: add crops", id="64 crops"),
        pytest.param(
            24, 1, 12, "all 288 crops .* are of camera 1: .* Fix: add crops of other cameras", id="one camera"
        ),
    ],
)
def test_small_data_are_refused_with_the_reason(
    start: Path, tmp_path: Path, people: int, cameras: int, shots: int, expected: str
) -> None:
    world = draw(tmp_path / "small", people, cameras=cameras, shots=shots)
    with pytest.raises(DatasetLayoutError, match=expected):
        adapt(tiny(start, world), tmp_path / "run", show_progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("people", "changes", "expected"),
    [
        pytest.param(1, {}, "are in one cluster|clusters were found", id="one person"),
        pytest.param(
            24, {"clusters.min_samples": 200}, "No clusters were found: no 200 crops .* Fix", id="no clusters"
        ),
        pytest.param(24, {"batch.p": 60}, "expected at least batch.p=60", id="few clusters"),
    ],
)
def test_clusters_that_teach_nothing_leave_the_start_unchanged(
    start: Path, tmp_path: Path, people: int, changes: dict[str, object], expected: str
) -> None:
    world = draw(tmp_path / "world", people, cameras=3, shots=288 // (3 * people))
    config = tiny(start, world, **{"statistics.use": False, **changes})
    result = adapt(config, tmp_path / "run", show_progress=False)
    assert not result.adapted
    assert re.search(expected, result.reason)
    assert load(tmp_path / "run").fingerprint == load(start).fingerprint
    assert not (tmp_path / "run" / "metrics.jsonl").read_text()


def test_files_are_refused_as_a_start(world: Path, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"x")
    with pytest.raises(ConfigError, match=r"is an ONNX file, whose weights cannot be trained, .* Fix: give the run"):
        adapt(tiny(tmp_path / "model.onnx", world), tmp_path / "run", show_progress=False)


def test_cameras_of_some_crops_only_are_refused(start: Path, world: Path, tmp_path: Path) -> None:
    csv = world / "dataset.csv"
    names = sorted((world / "bounding_box_train").iterdir())
    rows = [
        f"bounding_box_train/{file.name},{number % 3},{'' if number else 1},train" for number, file in enumerate(names)
    ]
    csv.write_text("\n".join(["path,pid,camid,split", *rows]) + "\n")
    with pytest.raises(DatasetLayoutError, match="cameras are known for 1 of 288 crops"):
        adapt(tiny(start, world, **{"data.place": f"csv:{world}"}), tmp_path / "run", show_progress=False)
    csv.unlink()


def test_models_of_body_parts_adapt(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("passerby.training.adapt.training.measure_quality", _rising())
    options = {"width": 0.125}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = create_model("attention_driven", num_classes=2, **options)
    (tmp_path / "start").mkdir()
    save_model(RunFolder(tmp_path / "start"), model, options=options, size=(64, 32), parts={"by": "strips"})
    config = tiny(
        tmp_path / "start", world, **{"rounds": 1, "batch.steps": 1, "statistics.use": False, "data.cache": False}
    )
    result = adapt(config, tmp_path / "run", show_progress=False)
    assert result.kept == "round 1"
    assert load(tmp_path / "run").parts["by"] == "strips"
    before, after = weights(tmp_path / "start"), weights(tmp_path / "run")
    assert any(not torch.equal(before[name], after[name]) for name in before if name.endswith(".weight"))


def test_predicted_attributes_are_kept_by_the_loss(world: Path, tmp_path: Path) -> None:
    options = {"backbone": "resnet18_half"}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = create_model("aanet", num_classes=2, **options)
    (tmp_path / "start").mkdir()
    save_model(RunFolder(tmp_path / "start"), model, options=options, size=(64, 32))
    config = tiny(tmp_path / "start", world, **{"rounds": 1, "batch.steps": 1, "statistics.use": False})
    adapt(config, tmp_path / "run", show_progress=False)
    entry = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[0])
    assert entry["attributes"] > 0
    assert entry["loss"] == pytest.approx(entry["clusters"] + entry["cameras"] + entry["attributes"], rel=1e-5)
