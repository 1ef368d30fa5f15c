"""The weights that a training starts from: a backbone's, or those of a whole model, trained on other people.

A run folder says which options and normalization its network has, and so do the names and shapes of a file of another
toolkit. Tensors do not tell all of them (the stem of a ResNet), so ``passerby train`` takes them from there, as an
import does; a training whose settings are others says so.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from passerby.compat import run_file
from passerby.config import read_json, with_overrides
from passerby.errors import ConfigError, WeightsError
from passerby.inference.description import read_description
from passerby.models.base import ReidModel
from passerby.models.registry import MODELS, create_model, option_value
from passerby.training.config import TrainConfig
from passerby.training.run import RunFolder
from passerby.weights.find import MODEL_FILE, find_file
from passerby.weights.foreign.recognize import recognize, unwrapped
from passerby.weights.foreign.recognized import Recognized
from passerby.weights.load import WeightsReport, load_backbone, load_model
from passerby.weights.read import read_checkpoint

FILES = {"backbone": "backbone_weights.json", "model": "initial_weights.json"}
"""The files of a run folder that tell which tensors were loaded, by what was loaded."""
PADDED = "padded"
"""The stem of a ResNet without the option."""


def with_told_options(config: TrainConfig, *, normalization_is_chosen: bool = False) -> tuple[TrainConfig, str]:
    """Return the config with the options that its starting weights tell and that it does not set, and these in words.

    Raises:
        ConfigError: if the weights were trained on images of another normalization, and none is chosen for this
            training.
    """
    source = config.model.weights
    told = _told(source, config.model.name) if source else None
    if told is None:
        return config, ""
    options, normalization = told
    if normalization != config.data.normalization and not normalization_is_chosen:
        raise ConfigError(
            f"'{source}' was trained on images normalized by {normalization}, got data.normalization="
            f"{config.data.normalization}. Fix: --set data.normalization={normalization}, or set it as it is to keep it"
        )
    taken = {name: value for name, value in options.items() if name not in config.model.options}
    taken = {name: value for name, value in taken.items() if value != _effective(config, name)}
    named = ", ".join(f"{n}={v if isinstance(v, str) else json.dumps(v)}" for n, v in taken.items())
    changed = with_overrides(config, {"model.options": {**taken, **config.model.options}})
    return changed, f"Options of the model as in '{source}': {named}." if named else ""


def _told(source: str, model: str) -> tuple[dict[str, Any], str] | None:
    """Return the options and the normalization of a source of weights; ``None`` where it does not tell ``model``'s."""
    file, part = find_file(source)
    if not part and (file.parent / "model.json").is_file() and file.name == MODEL_FILE:
        described = read_description(file.parent)
        return (described.options, described.normalization) if described.model == model else None
    found = _recognized(source)
    return (dict(found.options), found.normalization) if found is not None and found.model == model else None


def _recognized(source: str) -> Recognized | None:
    """Return the model of another toolkit that a file is of; ``None`` for others, and for those that are not read."""
    try:
        return recognize(unwrapped(read_checkpoint(source).state), source)
    except WeightsError:  # a backbone alone, for example; what is wrong with the file is said where it is loaded
        return None


def load_initial_weights(model: ReidModel, config: TrainConfig) -> tuple[str, WeightsReport] | None:
    """Load the checkpoint that the config names, where it names one; return its key in :data:`FILES` and the report."""
    if (report := load_backbone_weights(model, config)) is not None:
        return "backbone", report
    if not (source := config.model.weights):
        return None
    named = {"missing": config.model.allow_missing, "unexpected": config.model.allow_unexpected}
    return "model", load_model(model, source, ignore=identity_classifiers(model, config), **named)


def differences(config: TrainConfig) -> tuple[str, ...]:
    """Return, in words, which settings the starting weights were trained with that are others here."""
    if config.model.weights:
        told = _told(config.model.weights, config.model.name)
        options, there = told or ({}, config.data.normalization)
        pairs = {name: (value, _effective(config, name)) for name, value in options.items()}
        pairs["normalization"] = (there, config.data.normalization)
    else:
        found = _recognized(config.model.backbone_weights) if config.model.backbone_weights else None
        stem = _effective(config, "stem") or PADDED
        pairs = {"stem": (found.options.get("stem", PADDED) if found else stem, stem)}
    return tuple(f"trained with {name}={there}, here {here}" for name, (there, here) in pairs.items() if there != here)


def _effective(config: TrainConfig, option: str) -> Any:
    value = option_value(MODELS[config.model.name], config.model.options, option)
    return list(value) if isinstance(value, tuple) else value


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
