"""The weights that a training starts from: a backbone's, or those of a whole model, trained on other people."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from passerby.compat import run_file
from passerby.config import read_json
from passerby.errors import ConfigError
from passerby.models.base import ReidModel
from passerby.models.registry import create_model
from passerby.training.config import TrainConfig
from passerby.training.run import RunFolder
from passerby.weights.load import WeightsReport, load_backbone, load_model

FILES = {"backbone": "backbone_weights.json", "model": "initial_weights.json"}
"""The files of a run folder that tell which tensors were loaded, by what was loaded."""


def load_initial_weights(model: ReidModel, config: TrainConfig) -> tuple[str, WeightsReport] | None:
    """Load the checkpoint that the config names, where it names one; return its key in :data:`FILES` and the report."""
    if (report := load_backbone_weights(model, config)) is not None:
        return "backbone", report
    if not (source := config.model.weights):
        return None
    named = {"missing": config.model.allow_missing, "unexpected": config.model.allow_unexpected}
    return "model", load_model(model, source, ignore=identity_classifiers(model, config), **named)


def load_backbone_weights(model: ReidModel, config: TrainConfig) -> WeightsReport | None:
    """Load the checkpoint that the config names for the backbone, where it names one."""
    source = config.model.backbone_weights
    if not source:
        return None
    own = model.backbone_prefix is None  # the model is its own backbone: all but its heads
    backbone: nn.Module = model if model.backbone_prefix is None else getattr(model, model.backbone_prefix)
    kept = _initial_values(backbone, config.model.reinitialized)
    named = {"missing": config.model.allow_missing, "unexpected": config.model.allow_unexpected}
    if own:
        report = load_backbone(model, source, heads=model.heads, **named)
    else:
        report = load_backbone(backbone, source, **named)
    backbone.load_state_dict(kept, strict=False)
    matched = tuple(key for key in report.matched if key not in kept)
    return replace(report, matched=matched, fresh=tuple(sorted({*report.fresh, *kept})))


def _initial_values(backbone: nn.Module, prefixes: tuple[str, ...]) -> dict[str, Tensor]:
    """Return copies of the tensors whose keys begin with one of the prefixes, each of which must begin some."""
    state = backbone.state_dict()
    for prefix in prefixes:
        if not any(key.startswith(prefix) for key in state):
            raise ConfigError(
                f"setting model.reinitialized: no tensor of the backbone begins with {prefix!r}. Fix: name some of its "
                f"tensors, for example {next(iter(state))!r}"
            )
    return {key: tensor.clone() for key, tensor in state.items() if key.startswith(prefixes)}


def identity_classifiers(model: ReidModel, config: TrainConfig) -> tuple[str, ...]:
    """Return the prefixes of the tensors that identities decide: those that the embedding-only model lacks."""
    try:
        with torch.device("meta"):  # names without memory
            embeds = create_model(config.model.name, num_classes=None, **config.model.options)
    except ConfigError:  # a plugin's model without that form
        return (model.identities.rpartition(".")[0] + ".",)
    lacking = model.state_dict().keys() - embeds.state_dict().keys()
    return tuple(sorted({key.rpartition(".")[0] + "." for key in lacking}))


def origins(run: RunFolder) -> dict[str, Any]:
    """Return name and SHA-256 of the files that a run started from, by what was loaded; for its ``model.json``."""
    found = {}
    for part, name in FILES.items():
        file = run_file(run.path, name)
        report = read_json(file, fix="train again under another --run") if file.is_file() else {}
        if isinstance(report, dict) and report.get("sha256"):
            found[part] = {key: str(report[key]) for key in ("source", "sha256")}
    return found
