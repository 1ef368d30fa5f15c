"""Variants of recipes, RECIPE@VARIANT: what they change, where they are listed, and that they train."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from passerby.cli.app import app
from passerby.config import with_overrides
from passerby.errors import ConfigError, UnknownNameError
from passerby.models.registry import create_model
from passerby.recipes import registry
from passerby.recipes.conditions import differences
from passerby.recipes.registry import RECIPES, load_recipe, variant
from passerby.recipes.tables import load_table
from passerby.training.initial import load_backbone_weights
from passerby.training.loop import build_model, train
from passerby.training.unstated import base_recipe, unstated
from passerby.types import ModelOutput

TINY = {
    "data.train": "pedestrians:people=8,cameras=2,images=2,size=64x32,preset=easy", "data.height": 64,
    "data.width": 32, "sampler.p": 2, "sampler.k": 2, "epochs": 1, "model.options.backbone": "resnet18_half",
}  # fmt: skip


def test_the_authors_variant_changes_what_their_code_does() -> None:
    changed = differences(load_recipe("aap_reid"), load_recipe("aap_reid@authors"))
    assert changed == {
        "recipe": ("aap_reid", "aap_reid@authors"),
        "model.options.attention_position": (None, "pre_bn"),
        "model.options.band_at_test": (None, False),
        "model.reinitialized": ([], ["layer4.0.downsample."]),
        "augment.enlarge": (0.0, 0.5),
        "augment.erase": (0.5, 0.0),
        "loss.smoothing": (0.0, 0.1),
    }


def test_a_variant_of_ones_own_is_a_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "RECIPES", type(RECIPES)("recipe", "passerby.recipes"))
    registry.RECIPES._entries.update({name: RECIPES[name] for name in RECIPES})
    registry.RECIPES._complete = True

    @variant("aligned_reid", "short")
    def short() -> dict[str, int]:
        """Return a shorter one."""
        return {"epochs": 3}

    config = registry.load_recipe("aligned_reid@short")
    assert (config.recipe, config.epochs, config.model.name) == ("aligned_reid@short", 3, "aligned_reid")
    assert base_recipe("aligned_reid@short") == "aligned_reid"
    with pytest.raises(UnknownNameError, match="Did you mean aap_reid@authors"):
        load_recipe("aap_reid@author")


def test_variants_are_listed_with_the_recipes() -> None:
    done = CliRunner().invoke(app, ["train", "--list"])
    assert done.exit_code == 0, done.output
    names = [line.partition(":")[0] for line in done.stdout.splitlines()]
    assert names == [*RECIPES, "pose"]
    assert "aap_reid@authors" in names


def test_a_table_can_be_run_under_a_variant() -> None:
    table = load_table("aap_reid@authors", "table1")
    assert table.paper.endswith("variant aap_reid@authors")
    assert table.config("aap_reid").recipe == "aap_reid@authors"
    assert table.config("baseline").model.options["last_stride"] == 2
    assert table.config("baseline").loss.smoothing == 0.1  # type: ignore[union-attr]
    with pytest.raises(UnknownNameError, match="recipe"):
        load_table("aap_reid@author", "table1")


def test_the_authors_variant_trains(tmp_path: Path) -> None:
    train(with_overrides(load_recipe("aap_reid@authors"), TINY), tmp_path / "run", show_progress=False)
    assert json.loads((tmp_path / "run" / "model.json").read_text())["options"]["band_at_test"] is False


def test_reinitialized_tensors_keep_their_random_values(tmp_path: Path) -> None:
    config = with_overrides(load_recipe("aap_reid@authors"), {**TINY, "model.options.backbone": "resnet18_half"})
    donor = create_model("aligned_reid", backbone="resnet18_half")
    for parameter in donor.parameters():
        torch.nn.init.constant_(parameter, 0.25)
    file = tmp_path / "w.safetensors"
    save_file({k: v.contiguous() for k, v in donor.backbone.state_dict().items()}, file)
    config = with_overrides(config, {"model.backbone_weights": str(file)})
    model = build_model(config, num_classes=4)
    before = {key: value.clone() for key, value in model.backbone.state_dict().items()}
    report = load_backbone_weights(model, config)
    assert report is not None
    for key, value in model.backbone.state_dict().items():
        kept = key.startswith("layer4.0.downsample.") or ".attention." in key
        assert torch.equal(value, before[key]) == kept or key.endswith(("num_batches_tracked", "_mean", "_var")), key
        assert (key in report.fresh) == kept or key.endswith("num_batches_tracked")
        assert not (kept and key in report.matched)
    wrong = with_overrides(config, {"model.reinitialized": ["layer5."]})
    with pytest.raises(ConfigError, match=r"no tensor of the backbone begins with 'layer5\.'\. Fix: name some"):
        load_backbone_weights(build_model(wrong, num_classes=4), wrong)


def test_what_a_variant_leaves_open_is_its_bases_and_its_own() -> None:
    base, own = unstated("aap_reid"), unstated("aap_reid@authors")
    assert set(base) < set(own)
    assert "IMAGENET1K_V2" in own["model.backbone_weights"]
    assert unstated("of_a_plugin") == {}


def test_the_baseline_row_names_every_difference_from_the_baselines_recipe() -> None:
    row = load_table("aap_reid", "table1")
    changed = differences(row.config("baseline"), load_recipe("aligned_reid"))
    for key, (here, there) in changed.items():
        if key == "recipe" or key.startswith("model."):
            continue
        there, here = (
            ", ".join(f"{v:g}" for v in value) if isinstance(value, list) else f"{value:g}" for value in (there, here)
        )
        assert f"{key} {there} (here {here})" in row.rows["baseline"].note, key


def test_the_baseline_row_is_the_baselines_model() -> None:
    """Row and recipe are two models by name; one state fits both, and both give the same output."""
    row = load_table("aap_reid", "table1").config("baseline")
    a = build_model(with_overrides(row, {"model.options.backbone": "resnet18_half"}), num_classes=3).eval()
    b = create_model("aligned_reid", num_classes=3, backbone="resnet18_half").eval()
    b.load_state_dict(a.state_dict())
    images = torch.randn(2, 3, 64, 32)
    x: ModelOutput = a(images)
    y: ModelOutput = b(images)
    assert torch.equal(x.embedding, y.embedding)
    assert x.local is not None
    assert y.local is not None
    assert torch.equal(x.local, y.local)


@pytest.mark.parametrize("table", ["table1", "table3"])
def test_every_trained_row_of_aap_reid_is_tested_by_both_branches(table: str) -> None:
    found = load_table("aap_reid", table)
    assert {found.config(row).evaluation.distance for row in found.rows if not found.reason(row)} == {"global_local"}
