"""Configs: frozen, strict, the same after a round trip, overridden by dotted path."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from passerby.config import parse_override, with_overrides
from passerby.errors import ConfigError, UnknownNameError
from passerby.recipes.registry import RECIPES, load_recipe
from passerby.training.config import read_config


@pytest.mark.parametrize("name", list(RECIPES))
def test_every_recipe_reloads_identically(name: str, tmp_path: Path) -> None:
    config = load_recipe(name)
    assert config.recipe == name
    (tmp_path / "config.json").write_text(config.model_dump_json())
    assert read_config(tmp_path / "config.json") == config


def test_overrides_reach_every_depth() -> None:
    config = with_overrides(load_recipe("aap_reid"), {"optimizer.lr": 1e-3, "epochs": 3, "model.options.band": False})
    assert (config.optimizer.lr, config.epochs, config.model.options) == (1e-3, 3, {"band": False})


@pytest.mark.parametrize(
    ("key", "suggestion"), [("optimiser.lr", "optimizer.lr"), ("optimizer.lrr", "optimizer.lr"), ("epoch", "epochs")]
)
def test_an_unknown_key_is_refused_with_the_nearest(key: str, suggestion: str) -> None:
    with pytest.raises(UnknownNameError, match=f"unknown setting '{key}'.*{suggestion}"):
        with_overrides(load_recipe("aap_reid"), {key: 1})


def test_a_value_that_does_not_fit_is_refused() -> None:
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


def test_an_override_without_equals_is_refused() -> None:
    with pytest.raises(ConfigError, match="key=value"):
        parse_override("optimizer.lr")


def test_a_folder_without_a_config_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a run folder"):
        read_config(tmp_path / "config.json")


def test_unknown_recipe_suggests() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean aap_reid"):
        load_recipe("aap_ried")
