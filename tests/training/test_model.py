"""A config's model, and what its backbone starts from."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

from passerby.config import with_overrides
from passerby.models.registry import create_model
from passerby.recipes.registry import load_recipe
from passerby.training.loop import load_backbone_weights


def test_a_model_that_is_its_own_trunk_starts_from_its_base_without_attention(tmp_path: Path) -> None:
    options = {"width": 0.25, "intra": False, "fusion": "concat"}
    base = create_model("attention_driven", num_classes=7, **options)
    save_file(base.state_dict(), tmp_path / "base.safetensors")
    weights = str(tmp_path / "base.safetensors")
    config = with_overrides(load_recipe("attention_driven"), {"model.backbone_weights": weights})
    model = create_model("attention_driven", num_classes=2, width=0.25)
    report = load_backbone_weights(model, config)
    assert report is not None
    assert not report.missing
    assert all(".attention." in key for key in report.fresh)
    heads = [key for key in base.state_dict() if key.startswith("classifier")]
    assert {*report.matched} == {*base.state_dict()} - {*heads}
    assert torch.equal(model.state_dict()["stem.0.weight"], base.state_dict()["stem.0.weight"])
