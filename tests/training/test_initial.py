"""The options that starting weights tell: those of a run folder, and those of a file of another toolkit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from passerby.config import with_overrides
from passerby.errors import ConfigError, WeightsError
from passerby.models.registry import create_model
from passerby.recipes.registry import load_recipe
from passerby.training.config import TrainConfig
from passerby.training.initial import differences, load_initial_weights, with_told_options

RENAMED = {"neck.": "heads.bottleneck.0.", "classifier.": "heads."}


def started(weights: Path | str, **settings: object) -> TrainConfig:
    given = {key.replace("__", "."): value for key, value in settings.items()}
    return with_overrides(load_recipe("strong_baseline"), {"model.weights": str(weights), **given})


@pytest.fixture
def fast_reid(tmp_path: Path) -> Path:
    """A file with the names and shapes of fast-reid's ResNet-18 with a BN neck."""
    ours = create_model("strong_baseline", num_classes=3, backbone="resnet18").state_dict()
    state = {}
    for name, value in ours.items():
        former = next((former for former in RENAMED if name.startswith(former)), "")
        state[RENAMED.get(former, "") + name.removeprefix(former)] = value
    torch.save({"model": state}, tmp_path / "fast.pth")
    return tmp_path / "fast.pth"


def test_a_file_of_another_toolkit_tells_its_stem(fast_reid: Path) -> None:
    config, told = with_told_options(started(fast_reid))
    assert config.model.options == {"backbone": "resnet18", "stem": "unpadded"}
    assert told == f"Options of the model as in '{fast_reid}': backbone=resnet18, stem=unpadded."
    model = create_model("strong_baseline", num_classes=9, **config.model.options)
    assert model.backbone.maxpool.padding == 0  # type: ignore[union-attr]
    loaded = load_initial_weights(model, config)
    assert loaded is not None
    assert loaded[1].missing == ()


def test_what_is_set_is_kept(fast_reid: Path) -> None:
    config, told = with_told_options(started(fast_reid, model__options={"stem": "padded"}))
    assert config.model.options == {"backbone": "resnet18", "stem": "padded"}
    assert "stem" not in told


def test_a_file_for_another_model_tells_nothing(fast_reid: Path) -> None:
    config = with_overrides(load_recipe("aap_reid"), {"model.weights": str(fast_reid)})
    assert with_told_options(config) == (config, "")


def test_a_run_tells_its_options(tmp_path: Path) -> None:
    description = {
        "model": "strong_baseline",
        "options": {"backbone": "resnet18", "pooling": "gem"},
        "num_classes": 3,
        "size": [256, 128],
    }
    (tmp_path / "model.json").write_text(json.dumps(description))
    (tmp_path / "model.safetensors").write_bytes(b"")
    config, told = with_told_options(started(tmp_path))
    assert config.model.options == description["options"]
    assert told.endswith("backbone=resnet18, pooling=gem.")
    (tmp_path / "model.json").write_text(json.dumps({**description, "normalization": "half"}))
    with pytest.raises(
        ConfigError, match=r"normalized by half, got .*imagenet\. Fix: --set data\.normalization=half, or"
    ):
        with_told_options(started(tmp_path))
    assert with_told_options(started(tmp_path), normalization_is_chosen=True)[0].data.normalization == "imagenet"
    assert with_told_options(started(tmp_path, data__normalization="half"))[0].model.options["pooling"] == "gem"


def test_the_weights_in_the_package_tell_their_options() -> None:
    config, _ = with_told_options(started("street"))
    assert config.model.options["schema"] == "market1501"


def test_a_file_that_is_not_there_is_refused_before_the_data_are_read(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no checkpoint at"):
        with_told_options(started(tmp_path / "absent.pth"))


def test_backbone_weights_of_another_stem_are_said(fast_reid: Path) -> None:
    settings = {"model.backbone_weights": str(fast_reid), "model.options.backbone": "resnet18"}
    config = with_overrides(load_recipe("strong_baseline"), settings)
    assert differences(config) == ("trained with stem=unpadded, here padded",)
    assert differences(with_overrides(config, {"model.options.stem": "unpadded"})) == ()
    assert differences(load_recipe("strong_baseline")) == ()


def test_what_differs_is_said_where_it_is_wanted(fast_reid: Path) -> None:
    config = started(fast_reid, model__options={"stem": "linear"}, data__normalization="half")
    there = "trained with backbone=resnet18, here resnet50", "trained with stem=unpadded, here linear"
    assert differences(config) == (*there, "trained with normalization=imagenet, here half")
    assert differences(with_told_options(started(fast_reid))[0]) == ()
