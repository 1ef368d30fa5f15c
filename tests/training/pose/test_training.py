"""Training of the pose network: it learns, repeats itself, resumes exactly, and says what is wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from passerby.config import read_as, with_overrides
from passerby.data.keypoints.dataset import PoseSet, read_pose_set
from passerby.data.registry import load
from passerby.errors import ConfigError, DatasetLayoutError, TrainingError, WeightsError
from passerby.models.keypoints.estimator import NetworkPoseEstimator, load_pose_network
from passerby.recipes.pose import pose
from passerby.training.pose.config import PoseConfig, PoseLossConfig
from passerby.training.pose.training import build_network, measure_pck, pose_loss, train_pose
from passerby.training.run import RunFolder

TINY = {
    "data.height": 40,
    "data.width": 20,
    "network.height": 32,
    "network.width": 16,
    "network.channels": 4,
    "batch": 4,
    "epochs": 2,
}


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory, draw_people: Callable[..., Path]) -> Path:
    return draw_people(tmp_path_factory.mktemp("people") / "data", people=6, cameras=2, images=2, size=(40, 20))


def config(people: Path, **changes: Any) -> PoseConfig:
    """Dots of settings' names are written ``__``."""
    named = {name.replace("__", "."): value for name, value in changes.items()}
    return with_overrides(pose(), {**TINY, "data.train": str(people), **named})


def losses(run: Path) -> list[float]:
    return [entry["loss"] for entry in RunFolder(run).log()]


def test_a_run_leaves_what_it_says(people: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = train_pose(config(people), run, show_progress=False)
    assert result == json.loads((run / "metrics.json").read_text())
    assert result is not None
    assert result["box"]["pictures"] == 12
    assert len(losses(run)) == 2 * 3
    assert read_as(PoseConfig, run / "config.json") == config(people)
    about = json.loads((run / "model.json").read_text())
    assert (about["model"], about["images"], about["people"]["people"]) == ("pose", 12, 6)
    assert str(people) not in json.dumps(about)
    network = load_pose_network(run)
    assert network.size == (32, 16)
    data = load(people)
    measured = measure_pck(
        NetworkPoseEstimator(network), read_pose_set(data.source, (*data.query, *data.gallery), (40, 20))
    )
    assert measured == result


def test_the_same_seed_gives_the_same_losses(people: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        before = torch.get_rng_state()
        train_pose(config(people, seed=seed), tmp_path / name, show_progress=False)
        assert torch.equal(torch.get_rng_state(), before)
    assert losses(tmp_path / "a") == losses(tmp_path / "b")
    assert losses(tmp_path / "a") != losses(tmp_path / "c")
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in "ab"]
    assert weights[0] == weights[1]


def test_a_resumed_run_repeats_the_uninterrupted_one(people: Path, tmp_path: Path, monkeypatch: Any) -> None:
    train_pose(config(people), tmp_path / "whole", show_progress=False)
    cut = tmp_path / "cut"

    class InterruptionError(Exception):
        pass

    from passerby.training.engine import Engine

    original = Engine._step

    def interrupted(self: Any, batch: Any, progress: float, step: int, *, update: bool) -> Any:
        if step == 5:  # in the second epoch
            raise InterruptionError
        return original(self, batch, progress, step, update=update)

    monkeypatch.setattr(Engine, "_step", interrupted)
    with pytest.raises(InterruptionError):
        train_pose(config(people), cut, show_progress=False)
    monkeypatch.undo()
    assert not (cut / "model.json").exists()
    train_pose(None, cut, resume=True, show_progress=False)
    assert losses(cut) == losses(tmp_path / "whole")
    assert (cut / "model.safetensors").read_bytes() == (tmp_path / "whole" / "model.safetensors").read_bytes()


def test_a_run_of_version_0_1_resumes_exactly(people: Path, tmp_path: Path) -> None:
    """Its optimizer's state does not hold the base rate, and its config has a former name."""

    def interrupt(folder: RunFolder) -> None:
        raise KeyboardInterrupt

    whole, old = tmp_path / "whole", tmp_path / "old"
    train_pose(config(people), whole, show_progress=False)
    with pytest.raises(KeyboardInterrupt):
        train_pose(config(people), old, show_progress=False, on_checkpoint=interrupt)
    tree = json.loads((old / "config.json").read_text())
    tree["data"]["everybody"] = tree["data"].pop("all_splits")
    (old / "config.json").write_text(json.dumps(tree))
    file = old / "checkpoints" / "epoch-0001" / "state.pt"
    state = torch.load(file, weights_only=True)
    assert state["optimizer"]["param_groups"][0].pop("base_lr") == config(people).optimizer.lr
    torch.save(state, file)
    train_pose(None, old, resume=True, show_progress=False)
    assert losses(old) == losses(whole)
    assert (old / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_a_former_name_overrides_the_setting_of_today_with_a_warning() -> None:
    with pytest.warns(FutureWarning, match=r"data\.everybody.* is now called .*data\.all_splits"):
        assert with_overrides(pose(), {"data.everybody": True}).data.all_splits


def test_it_memorizes_eight_images(people: Path) -> None:
    """A network of 8 channels, 150 steps of a plain loop, no augmentation: a bug in labels or readout shows here."""
    data = load(people)
    eight = read_pose_set(data.source, data.split("train")[:8], (32, 16))
    network = build_network(config(people, network__channels=8)).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
    images = (eight.images.float() - 128) / 64
    for _ in range(150):
        optimizer.zero_grad()
        pose_loss(
            network, images, eight.keypoints, eight.confidence, PoseLossConfig(sigma=0.5, hidden=1.0)
        ).total.backward()
        optimizer.step()
    with torch.no_grad():
        scores = network(images)
    x, y = (s.argmax(-1) for s in scores[:2])
    found = torch.stack([(x + 0.5) / 32, (y + 0.5) / 64], dim=-1)
    assert _pck(found, eight) >= 0.9


def _pck(found: torch.Tensor, people: PoseSet) -> float:
    apart = (found - people.keypoints) * torch.tensor([0.5, 1.0])
    return float((apart.norm(dim=-1) <= 0.05)[people.confidence > 0].float().mean())


def test_hidden_keypoints_weigh_less(people: Path) -> None:
    network = build_network(config(people)).eval()
    network.readout.x.bias.data = torch.arange(32.0)
    images, keypoints = torch.zeros(2, 3, 32, 16), torch.full((2, 18, 2), 0.25)
    keypoints[:, 9:] = 0.75
    seen, hidden = torch.ones(2, 18), torch.ones(2, 18)
    hidden[:, 9:] = 0.5

    def place(confidence: torch.Tensor, weight: float) -> float:
        return pose_loss(network, images, keypoints, confidence, PoseLossConfig(hidden=weight)).parts["place"].item()

    assert place(hidden, 1.0) == pytest.approx(place(seen, 0.3))
    assert place(hidden, 0.5) != pytest.approx(place(seen, 0.5))
    outside = torch.where(hidden == 0.5, 0.0, 1.0)
    assert place(hidden, 0.0) == pytest.approx(place(outside, 0.5))


def test_a_perfect_estimator_measures_1(people: Path) -> None:
    data = load(people)
    known = read_pose_set(data.source, data.query, (40, 20))

    class Oracle:
        def __call__(self, names: Any, images: torch.Tensor) -> Any:
            from passerby.data.keypoints.estimator import Keypoints

            return Keypoints(known.keypoints.numpy(), known.confidence.numpy())

    result = measure_pck(Oracle(), known)
    assert (result["box"]["pck_5"], result["joints"]["pck_5"]) == (1.0, 1.0)
    assert result["box"]["joints"] == int((known.confidence > 0).sum())
    assert result["box_seen"]["joints"] == int((known.confidence == 1).sum())


def test_without_test_people_nothing_is_measured(people: Path, tmp_path: Path) -> None:
    from passerby.synthetic.export import write_pedestrians
    from passerby.synthetic.settings import Settings

    settings = Settings(people=4, cameras=2, images=1, size=(40, 20), preset="easy")
    only = write_pedestrians(tmp_path / "only", settings, train_only=True)
    assert train_pose(config(only, epochs=1), tmp_path / "run", show_progress=False) is None
    assert not (tmp_path / "run" / "metrics.json").exists()
    other = config(only, epochs=1, data__test=str(people))
    assert train_pose(other, tmp_path / "other", show_progress=False) is not None


def test_where_no_keypoint_is_annotated_nothing_is_measured(people: Path, tmp_path: Path) -> None:
    blank = shutil.copytree(people, tmp_path / "blank")
    known = json.loads((blank / "keypoints.json").read_text())
    (blank / "keypoints.json").write_text(json.dumps(known | {"annotations": []}))
    changed = config(people, data__test=str(blank), epochs=1)
    assert train_pose(changed, tmp_path / "run", show_progress=False) is None
    assert not (tmp_path / "run" / "metrics.json").exists()


def photographs(people: Path, to: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Copy the people as annotated photographs: no settings say that they are synthetic."""
    folder = shutil.copytree(people, to)
    (folder / "settings.json").unlink()
    known = json.loads((folder / "keypoints.json").read_text())
    change(known)
    (folder / "keypoints.json").write_text(json.dumps(known))
    return folder


def test_unlabeled_keypoints_have_no_gradient(people: Path) -> None:
    network = build_network(config(people)).train()
    images = torch.randn(4, 3, 32, 16, generator=torch.Generator().manual_seed(0))
    keypoints, confidence = torch.full((4, 18, 2), 0.5), torch.ones(4, 18)
    confidence[:, 9:] = -1
    pose_loss(network, images, keypoints, confidence, PoseLossConfig()).total.backward()
    gradient = network.inside.bias.grad  # one number per keypoint
    assert gradient is not None
    assert gradient[:9].all()
    assert not gradient[9:].any()


def test_a_run_on_annotated_photographs(people: Path, tmp_path: Path) -> None:
    def one_keypoint_per_person(known: dict[str, Any]) -> None:
        for person in known["annotations"]:
            first = next(i for i in range(2, 54, 3) if person["keypoints"][i])
            person["keypoints"] = [v if first - 2 <= i <= first else 0 for i, v in enumerate(person["keypoints"])]
        known["annotations"] = known["annotations"][1:]

    folder = photographs(people, tmp_path / "photographs", one_keypoint_per_person)
    result = train_pose(config(folder, epochs=1), tmp_path / "run", show_progress=False)
    assert result is not None
    assert json.loads((tmp_path / "run" / "model.json").read_text())["images"] == 11
    assert (result["box"]["joints"], result["box"]["pictures"]) == (12, 12)
    assert (result["joints"]["joints"], result["joints"]["pck_5"]) == (0, None)
    assert "NaN" not in (tmp_path / "run" / "metrics.json").read_text()


def test_photographs_without_annotations_are_too_few(people: Path, tmp_path: Path) -> None:
    folder = photographs(people, tmp_path / "blank", lambda known: known.update(annotations=[]))
    with pytest.raises(DatasetLayoutError, match="has 0 training images with keypoints"):
        train_pose(config(folder), tmp_path / "run", show_progress=False)
    assert not (tmp_path / "run").exists()


def test_all_splits_may_be_trained_on(people: Path, tmp_path: Path) -> None:
    other = "pedestrians:people=4,cameras=2,images=1,size=40x20,preset=easy,seed=1"
    both = config(people, epochs=1, data__all_splits=True, data__test=other)
    assert train_pose(both, tmp_path / "run", show_progress=False) is not None
    assert json.loads((tmp_path / "run" / "model.json").read_text())["images"] == 24


def test_where_all_splits_are_trained_on_others_are_measured(people: Path, tmp_path: Path) -> None:
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", people)
    for test in (None, people, f"market1501:{people}/../{people.name}", packed, "pedestrians:people=2,preset=hard"):
        same = config(people, data__all_splits=True, data__test=test and str(test))
        with pytest.raises(ConfigError, match=r"no other people to measure on.*--test-data"):
            train_pose(same, tmp_path / "run", show_progress=False)
    assert not (tmp_path / "run").exists()


def test_people_may_be_drawn_on_demand(tmp_path: Path) -> None:
    synthetic = "pedestrians:people=4,cameras=2,images=1,size=40x20,preset=easy"
    result = train_pose(config(Path("x"), data__train=synthetic, epochs=1), tmp_path / "run", show_progress=False)
    assert result is not None
    assert json.loads((tmp_path / "run" / "model.json").read_text())["people"]["preset"] == "easy"


# errors


def test_an_existing_folder_is_kept(people: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="exists"):
        train_pose(config(people), tmp_path, show_progress=False)


def test_a_config_is_needed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs a config"):
        train_pose(None, tmp_path / "run")


def test_a_run_that_died_before_its_first_checkpoint_begins_again(people: Path, tmp_path: Path) -> None:
    RunFolder(tmp_path / "run").create(config(people))
    train_pose(None, tmp_path / "run", resume=True, show_progress=False)
    assert (tmp_path / "run" / "model.json").is_file()


def test_a_run_goes_on_only_with_its_own_data(people: Path, tmp_path: Path) -> None:
    data = shutil.copytree(people, tmp_path / "data")
    train_pose(config(data), tmp_path / "run", show_progress=False)
    next((data / "bounding_box_train").glob("*.jpg")).unlink()
    with pytest.raises(ConfigError, match=r"data\.train \(digest \w{12}, now \w{12}\)"):
        train_pose(None, tmp_path / "run", resume=True, show_progress=False)


def test_a_damaged_checkpoint_is_rejected(people: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train_pose(config(people, epochs=1), run, show_progress=False)
    (run / "checkpoints" / "epoch-0001" / "state.pt").write_bytes(b"half a file")
    with pytest.raises(WeightsError, match="cannot be resumed"):
        train_pose(None, run, resume=True, show_progress=False)


def test_a_loss_that_is_not_finite_stops(people: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"not finite at step \d"):
        train_pose(config(people, optimizer__lr=1e30, epochs=5), tmp_path / "run", show_progress=False)


def test_images_without_keypoints_are_rejected(people: Path, tmp_path: Path, draw_people: Callable[..., Path]) -> None:
    folder = draw_people(tmp_path / "data", people=2, cameras=1, images=1)
    (folder / "keypoints.json").unlink()
    with pytest.raises(DatasetLayoutError, match=r"keypoints\.json"):
        train_pose(config(folder), tmp_path / "run", show_progress=False)
    assert not (tmp_path / "run").exists()


def test_one_image_is_too_few(tmp_path: Path) -> None:
    synthetic = "pedestrians:people=2,cameras=1,images=1,size=40x20"
    with pytest.raises(DatasetLayoutError, match="has 1 training images with keypoints"):
        train_pose(config(Path("x"), data__train=synthetic), tmp_path / "run", show_progress=False)


def test_network_sizes_are_checked_before_anything_is_read(people: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="multiples of 16"):
        train_pose(config(people, network__height=40), tmp_path / "run", show_progress=False)
    assert not (tmp_path / "run").exists()


def test_the_order_of_images_changes_with_the_epoch(people: Path, tmp_path: Path, monkeypatch: Any) -> None:
    from passerby.training.pose.training import PoseTraining

    seen: list[list[int]] = []
    augmented = PoseTraining._augmented

    def noted(self: Any, rows: torch.Tensor, *rest: Any) -> Any:
        seen.append(rows.tolist())
        return augmented(self, rows, *rest)

    monkeypatch.setattr(PoseTraining, "_augmented", noted)
    train_pose(config(people), tmp_path / "run", show_progress=False)
    assert sorted(np.concatenate(seen[:3]).tolist()) == sorted(np.concatenate(seen[3:]).tolist()) == list(range(12))
    assert seen[:3] != seen[3:]
