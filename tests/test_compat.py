"""Former names of settings, tensors and files are read as today's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from passerby import compat
from passerby.errors import ConfigError
from passerby.inference.load import load
from passerby.models.registry import create_model
from passerby.recipes.registry import load_recipe
from passerby.training.checkpoint import save_model
from passerby.training.config import AugmentConfig, read_config, validated
from passerby.training.run import RunFolder


@pytest.mark.parametrize(
    ("former", "current"),
    [
        ({"model": {"trunk_weights": None, "options": {"trunk": "resnet50"}}},
         {"model": {"backbone_weights": None, "options": {"backbone": "resnet50"}}}),
        ({"optimizer": {"trunk_lr_factor": 0.1}}, {"optimizer": {"backbone_lr_factor": 0.1}}),
        ({"parts": {"poses": "own"}}, {"parts": {"keypoints": "own"}}),
        ({"evaluation": {"flip": True, "normalise": None}, "augment": {"flip": 0.5}},
         {"evaluation": {"flip_tta": True, "normalize": None}, "augment": {"flip": 0.5}}),
        ({"protocol": {"flip": True, "rerank": {"squared_twice": True}}},
         {"protocol": {"flip_tta": True, "rerank": {"torchreid_compat": True}}}),
        ({"parts.poses": "9c1d", "model.trunk_weights": "3f2a", "data.train": "77"},
         {"parts.keypoints": "9c1d", "model.backbone_weights": "3f2a", "data.train": "77"}),
        ([{"settings": ["trunk"]}, 3, "poses"], [{"settings": ["trunk"]}, 3, "poses"]),
    ],
)  # fmt: skip
def test_former_keys_are_renamed_at_any_depth_and_values_are_not(former: Any, current: Any) -> None:
    assert compat.current_settings(former) == current
    assert compat.current_settings(current) == current


def test_a_section_out_of_its_tree_is_named() -> None:
    assert compat.current_settings({"flip": True}) == {"flip": True}
    assert compat.current_settings({"flip": True}, within="protocol") == {"flip_tta": True}
    assert compat.current_settings({"flip": True, "joints": None}, within="embeddings") == {
        "flip_tta": True,
        "keypoints": None,
    }


@pytest.mark.parametrize(
    ("former", "current"),
    [
        ("parts.poses", "parts.keypoints"),
        ("evaluation.flip", "evaluation.flip_tta"),
        ("model.options.trunk", "model.options.backbone"),
    ],
)
def test_a_former_key_of_set_warns(former: str, current: str) -> None:
    with pytest.warns(FutureWarning, match=f"{former} is now called {current}"):
        assert compat.current_key(former) == current


def test_todays_keys_do_not_warn() -> None:
    assert compat.current_key("augment.flip") == "augment.flip"


def test_tensor_names_go_both_ways() -> None:
    state = {"backbone.conv1.weight": 1, "classifier.weight": 2, "other.trunk.weight": 3}
    former = {compat.former_tensor_name(name): value for name, value in state.items()}
    assert sorted(former) == ["classifier.weight", "other.trunk.weight", "trunk.conv1.weight"]
    assert compat.current_state(former, state) == state


def test_a_renamed_file_is_found_under_either_name(tmp_path: Path) -> None:
    now, then = tmp_path / "backbone_weights.json", tmp_path / "trunk_weights.json"
    assert compat.run_file(tmp_path, now.name) == now
    then.touch()
    assert compat.run_file(tmp_path, now.name) == then
    now.touch()
    assert compat.run_file(tmp_path, now.name) == now
    assert compat.run_file(tmp_path, "config.json") == tmp_path / "config.json"


def test_difficulties_go_both_ways() -> None:
    assert [compat.former_difficulty(compat.current_difficulty(name)) for name in ("colour", "light")] == [
        "colour",
        "light",
    ]


def test_a_plugin_keeps_its_own_names() -> None:
    assert compat.known_option("images", {"pictures": 1}) == "pictures"
    assert compat.current_settings({"loss": {"normalise": True}}) == {"loss": {"normalise": True}}
    assert compat.current_state({"trunk.weight": 1}, ["trunk.weight", "backbone.weight"]) == {"trunk.weight": 1}


def test_options_that_older_files_leave_open_have_their_former_defaults() -> None:
    old = {"model": {"name": "dual_attention", "options": {"se": True}}, "epochs": 3}
    assert compat.former_defaults(old)["model"]["options"] == {"se": True, "scaled": False}
    named = {"model": "aap_reid", "options": {"triplet_after_dropout": True}}
    assert compat.former_defaults(named) == named
    assert compat.former_defaults({"model": "osnet_x0_25"}) == {"model": "osnet_x0_25"}


@pytest.mark.parametrize("version", [99, "x", 1, 0, True, 2.0, [2]])
def test_defaults_of_a_version_that_is_not_known_are_refused(version: object) -> None:
    with pytest.raises(ConfigError, match=r"the defaults are of version .*expected at most 2. Fix:"):
        compat.former_defaults({"model": "osnet_x0_25", "defaults": version})


def test_losses_keep_their_former_defaults() -> None:
    old = {"model": {"name": "aanet", "options": {}}, "loss": {"name": "multitask", "tasks": ["global"]}}
    found = compat.former_defaults(old)
    assert found["loss"] == {"name": "multitask", "tasks": ["global"], "max_weight": None}
    assert found["model"]["options"] == {"top": "third"}
    for other in ({"name": "reid", "margin": 0.3}, {"name": ["x"]}, {}, 7):
        assert compat.former_defaults({**old, "loss": other})["loss"] == other
    pose = {"recipe": "pose", "augment": {"flip": 0.5}, "loss": {"sigma": 1.5}}
    assert compat.former_defaults(pose) == pose


def test_parts_are_cropped_as_they_were() -> None:
    former = {"by": "pose", "align": False, "head": "face"}
    for model in ("attention_driven", {"name": "attention_driven", "options": {}}):
        assert compat.former_defaults({"model": model, "parts": {"by": "pose"}})["parts"] == former
        named = {"model": model, "parts": {"align": True, "head": "neck"}}
        assert compat.former_defaults(named)["parts"] == named["parts"]


def test_augmentation_keeps_its_former_defaults() -> None:
    old = compat.former_defaults({"model": {"name": "aap_reid"}, "augment": {"erase": 0.5}})
    assert old["augment"] == {"erase": 0.5, "erase_fill": "mean", "erase_aspect": "log"}
    assert validated({"recipe": "x", **old}).augment.erase_fill == "mean"
    assert AugmentConfig().erase_fill == "random"


def test_damaged_sections_are_left_to_validation() -> None:
    for damaged in ({"model": "dual_attention", "options": 7}, {"model": {"name": ["x"]}}, {"model": 3}, {}):
        found = compat.former_defaults(damaged)
        assert {key: found[key] for key in damaged} == damaged


def test_a_run_of_now_gets_the_defaults_of_now(tmp_path: Path) -> None:
    network = create_model("dual_attention", num_classes=2, backbone="resnet18_half")
    options = {"backbone": "resnet18_half"}
    save_model(RunFolder(tmp_path), network, options=options, size=(64, 32))
    assert load(tmp_path).network.self_attention.scale < 1
    about = tmp_path / "model.json"
    written = json.loads(about.read_text())
    about.write_text(json.dumps({k: v for k, v in written.items() if k != "defaults"}))
    assert load(tmp_path).network.self_attention.scale == 1, "a run without the mark is from before"


def test_a_config_records_its_defaults(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.create(load_recipe("dual_attention"))
    assert json.loads(run.config.read_text())["defaults"] == compat.DEFAULTS
    assert read_config(run.config).model.options == {}
    run.config.write_text(json.dumps({k: v for k, v in json.loads(run.config.read_text()).items() if k != "defaults"}))
    assert read_config(run.config).model.options == {"scaled": False}
