"""Which rows of before count as trained with the settings that are asked for now."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from passerby.config import with_overrides
from passerby.errors import ConfigError
from passerby.recipes.progress import progress
from passerby.recipes.registry import load_recipe
from passerby.training.config import TrainConfig
from passerby.training.run import RunFolder

FORMER = {"model.options.normalized_attention": False, "model.options.same_weight": False}


def row_of_before(folder: Path, config: TrainConfig) -> RunFolder:
    """Create a run whose config does not name its head region, as those of before that setting."""
    run = RunFolder(folder)
    run.create(config)
    tree: dict[str, Any] = json.loads(run.config.read_text())
    del tree["defaults"], tree["parts"]["head"]
    run.config.write_text(json.dumps(tree))
    return run


@pytest.mark.parametrize(
    ("recipe", "settings"),
    [("strong_baseline", {}), ("attention_driven", {"parts.by": "strips", **FORMER})],
    ids=["images", "strips"],
)
def test_a_row_that_crops_nothing_by_pose_is_the_same_with_other_regions(
    tmp_path: Path, recipe: str, settings: dict[str, Any]
) -> None:
    config = with_overrides(load_recipe(recipe), settings)
    run = row_of_before(tmp_path / "row", config)
    assert progress(run, config, inputs=lambda _: {}, queries=1) == "begun"


def test_a_row_of_before_was_cropped_with_the_former_regions(tmp_path: Path) -> None:
    config = with_overrides(load_recipe("attention_driven"), FORMER)
    run = row_of_before(tmp_path / "row", config)
    with pytest.raises(ConfigError, match=r"other settings or data \(parts\.head: got face, expected neck\)"):
        progress(run, config, inputs=lambda _: {}, queries=1)
    former = with_overrides(config, {"parts.head": "face"})
    assert progress(run, former, inputs=lambda _: {}, queries=1) == "begun"
