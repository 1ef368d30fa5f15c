"""Configs: frozen, strict, the same after a round trip, overridden by dotted path."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from passerby.compat import DEFAULTS, FormerNameWarning
from passerby.config import given_once, parse_override, parse_overrides, with_overrides
from passerby.errors import ConfigError, UnknownNameError
from passerby.recipes.pose import pose
from passerby.recipes.registry import RECIPES, load_recipe
from passerby.training.config import read_config


@pytest.mark.parametrize("name", list(RECIPES))
def test_every_recipe_reloads_identically(name: str, tmp_path: Path) -> None:
    config = load_recipe(name)
    assert config.recipe == name
    written = {"defaults": DEFAULTS, **config.model_dump(mode="json")}
    (tmp_path / "config.json").write_text(json.dumps(written))
    assert read_config(tmp_path / "config.json") == config


def test_overrides_reach_every_depth() -> None:
    config = with_overrides(load_recipe("aap_reid"), {"optimizer.lr": 1e-3, "epochs": 3, "model.options.band": False})
    assert (config.optimizer.lr, config.epochs, config.model.options) == (1e-3, 3, {"band": False})


@pytest.mark.parametrize(
    ("key", "suggestion"), [("optimiser.lr", "optimizer.lr"), ("optimizer.lrr", "optimizer.lr"), ("epoch", "epochs")]
)
def test_an_unknown_key_is_rejected_with_the_nearest(key: str, suggestion: str) -> None:
    with pytest.raises(UnknownNameError, match=f"unknown setting '{key}'.*{suggestion}"):
        with_overrides(load_recipe("aap_reid"), {key: 1})


def test_a_value_that_does_not_fit_is_rejected() -> None:
    with pytest.raises(ConfigError, match=r"setting augment\.flip: .*less than or equal to 1.*got 2"):
        with_overrides(load_recipe("aap_reid"), {"augment.flip": 2})


def test_configs_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_recipe("aap_reid").epochs = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "value"), [("a=1e-4", 1e-4), ("a=[1, 2]", [1, 2]), ("a=sgd", "sgd"), ("a=", ""), ("a=x=y", "x=y")]
)
def test_an_override_is_json_or_else_a_string(text: str, value: object) -> None:
    assert parse_override(text) == ("a", value)


def test_an_override_without_equals_is_rejected() -> None:
    with pytest.raises(ConfigError, match="key=value"):
        parse_override("optimizer.lr")


def test_a_folder_without_a_config_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a run folder"):
        read_config(tmp_path / "config.json")


def test_unknown_recipe_suggests() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean aap_reid"):
        load_recipe("aap_ried")


# former names

FORMER = {
    "model.trunk_weights": ("model.backbone_weights", "R50.pth"),
    "model.options.trunk": ("model.options.backbone", "resnet18"),
    "optimizer.trunk_lr_factor": ("optimizer.backbone_lr_factor", 0.5),
    "evaluation.normalise": ("evaluation.normalize", True),
    "evaluation.flip": ("evaluation.flip_tta", True),
    "parts.poses": ("parts.keypoints", "network"),
}


@pytest.mark.parametrize("former", FORMER)
def test_a_former_name_overrides_the_setting_of_today_with_a_warning(former: str) -> None:
    key, value = FORMER[former]
    recipe = load_recipe("attention_driven")
    expected = with_overrides(recipe, {key: value})
    assert expected != recipe
    with pytest.warns(FutureWarning, match=rf"{former}.* is now called .*{key}"):
        assert with_overrides(recipe, {former: value}) == expected


def test_a_name_of_today_that_was_a_former_one_elsewhere_is_no_former_name() -> None:
    assert with_overrides(load_recipe("aap_reid"), {"augment.flip": 0.25}).augment.flip == 0.25


def test_a_config_with_former_names_is_read_as_one_of_today(tmp_path: Path) -> None:
    config = with_overrides(load_recipe("attention_driven"), dict(FORMER.values()))
    tree = config.model_dump(mode="json")
    for former, (key, _) in FORMER.items():
        *sections, leaf = key.split(".")
        node = tree
        for section in sections:
            node = node[section]
        node[former.rpartition(".")[2]] = node.pop(leaf)
    (tmp_path / "config.json").write_text(json.dumps({"defaults": DEFAULTS, **tree}))
    assert "trunk_weights" in (tmp_path / "config.json").read_text()
    assert read_config(tmp_path / "config.json") == config


def test_a_setting_is_set_once() -> None:
    assert parse_overrides(["a=1", "b=x"]) == {"a": 1, "b": "x"}
    with pytest.raises(ConfigError, match=r"a is set twice, to 1 and to 1\. Fix: set it once"):
        parse_overrides(["a=1", "a=1"])
    with pytest.raises(ConfigError, match="a is set twice"):
        given_once([("a", 1), ("b", 2), ("a", 3)])
    both = {"optimizer.trunk_lr_factor": 0.1, "optimizer.backbone_lr_factor": 0.2}
    with pytest.warns(FormerNameWarning), pytest.raises(ConfigError, match="backbone_lr_factor is set twice"):
        with_overrides(load_recipe("aap_reid"), both)


TOO_MUCH = {
    "data.height": 10**6,
    "sampler.p": 10**9,
    "epochs": 10**12,
    "seed": 10**30,
    "data.threads": 10**6,
    "augment.pad": 10**6,
    "accumulate": 10**12,
    "evaluation.draws": 10**6,
    "optimizer.lr": float("inf"),
    "schedule.milestones": [float("nan")],
}


@pytest.mark.parametrize(("key", "value"), TOO_MUCH.items(), ids=TOO_MUCH)
def test_settings_beyond_any_machine_are_one_line(key: str, value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        with_overrides(load_recipe("aap_reid"), {key: value})
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


def test_a_batch_has_a_bound_as_a_whole() -> None:
    large = {"data.height": 4096, "data.width": 4096, "sampler.p": 128, "sampler.k": 2}
    with_overrides(load_recipe("aap_reid"), large)
    with pytest.raises(ConfigError, match=r"batch of sampler.p × sampler.k.*4,362,076,160 pixels"):
        with_overrides(load_recipe("aap_reid"), {**large, "sampler.p": 130})


def test_pose_settings_have_bounds_too() -> None:
    for key, value in {"data.height": 10**6, "network.channels": 10**9, "batch": 10**9, "epochs": 10**12}.items():
        with pytest.raises(ConfigError):
            with_overrides(pose(), {key: value})


DAMAGED_CONFIGS = {
    "nested": "[" * 100_000,
    "nested objects": '{"a":' * 900 + "1" + "}" * 900,
    "a list": "[]",
    "text": "hello",
    "bytes": b"\xff\xfe",
    "a long number": '{"epochs": ' + "9" * 5000 + "}",
    "a long text": '{"recipe": 3, "epochs": "' + "x" * 100_000 + '"}',
    "wrong types": '{"recipe": [1], "model": "x"}',
    "no name": '{"recipe": "x"}',
}


@pytest.mark.parametrize("content", DAMAGED_CONFIGS.values(), ids=DAMAGED_CONFIGS)
def test_a_damaged_config_is_one_short_line(content: str | bytes, tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError) as caught:
        read_config(file)
    assert len(str(caught.value)) < 500 + len(str(file))
    assert "\n" not in str(caught.value)


def test_a_setting_nested_too_deep_is_text() -> None:
    assert parse_override("a=" + "[" * 100_000) == ("a", "[" * 100_000)
