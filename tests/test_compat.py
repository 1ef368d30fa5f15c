"""Former names of settings, tensors and files are read as today's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from passerby import compat


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
