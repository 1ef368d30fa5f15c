"""The former names of settings, tensors and attributes, which files of earlier versions still use.

Files are written with today's names only. Code that reads a file passes its content through this module, so that no
other module contains a former name.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

from passerby.errors import ConfigError

V = TypeVar("V")

_SETTINGS = {
    "trunk": "backbone",
    "trunk_weights": "backbone_weights",
    "trunk_lr_factor": "backbone_lr_factor",
    "normalise": "normalize",
    "everybody": "all_splits",
    "squared_twice": "torchreid_compat",
    "pictures": "images",
}
"""The former keys of JSON files (``config.json``, ``model.json``, results) and of ``--set``, in any section."""
_IN_SECTIONS = {
    ("evaluation", "flip"): "flip_tta",
    ("protocol", "flip"): "flip_tta",
    ("embeddings", "flip"): "flip_tta",
    ("embeddings", "joints"): "keypoints",
    ("parts", "poses"): "keypoints",
}
"""The former keys that were renamed in one section only: ``augment.flip``, for example, keeps its name."""
_OTHERS = frozenset({"loss"})
"""The sections whose keys belong to the loss, which may be a plugin's; passerby's own never changed."""
_TENSORS = ("trunk.", "backbone.")
"""The prefix of the backbone's tensors in a model's state: former, today's."""
_WORDS = (("colour", "color"), ("grey", "gray"))
"""The spellings in names of attribute groups and values: former, today's."""
_DIFFICULTIES = {"color": "colour"}
"""The difficulties of synthetic data: today's name, and the one that ``settings.json`` and its hashes keep."""
FORMER_VALUES = {"labelled": "labeled"}
"""The former spellings of values of settings, with today's."""
_FILES = {"backbone_weights.json": "trunk_weights.json"}
"""The renamed files of a run folder: today's name, former."""
DEFAULTS = 2
"""The version of the defaults, which run folders record: what a file does not name, it got from these."""
_FORMER_OPTIONS: dict[str, dict[str, Any]] = {
    "aanet": {"top": "third"},
    "aap_reid": {"triplet_after_dropout": False},
    "attention_driven": {"normalized_attention": False, "same_weight": False},
    "dual_attention": {"scaled": False},
}
"""The former defaults of models' options, by model."""
FORMER_SETTINGS: dict[str, dict[str, Any]] = {
    "augment": {"erase_fill": "mean", "erase_aspect": "log"},
    "parts": {"align": False, "head": "face"},
}
"""The former defaults of settings, and the values that new settings stand for in older files, by section."""
_FORMER_LOSSES: dict[str, dict[str, Any]] = {"multitask": {"max_weight": None}}
"""The former defaults of losses' settings, by loss."""
_OPTIONS_OF = {
    "--figure": ("search",),
    "--attributes": ("evaluate", "attributes"),
    "--pictures": ("ranked-list",),
    "--joints": ("sheet",),
}
"""The only commands, by their last word, that had a former option, where the name means something else in others."""
FORMER_OPTIONS = {
    "--out": "--output",
    "--figure": "--output",
    "--poses": "--keypoints",
    "--flip": "--flip-tta",
    "--no-flip": "--no-flip-tta",
    "--squared-twice": "--torchreid-compat",
    "--knob": "--difficulty",
    "--joints": "--show-keypoints",
    "--attributes": "--attribute-labels",
    "--pictures": "--images",
    "--colour": "--color",
    "--normalise": "--normalize",
    "--no-normalise": "--no-normalize",
}
"""The present names of former options, which are accepted with a warning until the next release."""


def former_options(command: str | None) -> dict[str, str]:
    """Return the former options of a command, given by its last word, with their present names.

    >>> former_options("report").get("--figure"), former_options("search").get("--figure")
    (None, '--output')
    """
    return {old: new for old, new in FORMER_OPTIONS.items() if command in _OPTIONS_OF.get(old, (command,))}


class FormerNameWarning(FutureWarning):
    """The warning of a setting that is given by its former name; the command line prints it as one plain line."""


def current_settings(tree: V, *, within: str = "") -> V:
    """Return a JSON tree with every former key replaced by today's name, at any depth.

    Args:
        within: the section that the tree is, where it was taken out of a larger one: ``protocol``, for example.

    >>> current_settings({"model": {"trunk_weights": None}})
    {'model': {'backbone_weights': None}}
    >>> current_settings({"evaluation": {"flip": True}, "augment": {"flip": 0.5}})
    {'evaluation': {'flip_tta': True}, 'augment': {'flip': 0.5}}
    """
    found: Any = tree
    if within in _OTHERS:
        return tree
    if isinstance(tree, dict):
        renamed = {_renamed(key, within): value for key, value in tree.items()}
        found = {key: current_settings(value, within=key.rpartition(".")[2]) for key, value in renamed.items()}
    elif isinstance(tree, list):
        found = [current_settings(item, within=within) for item in tree]
    return cast("V", found)


def former_defaults(tree: dict[str, Any]) -> dict[str, Any]:
    """Return the content of ``config.json`` or ``model.json`` without its ``defaults``, and with what it leaves open.

    A file that does not record which defaults it was written under is from before some of them changed: the options and
    settings that it does not name get the former ones.

    Raises:
        ConfigError: if it was written under later defaults than this version knows.

    >>> former_defaults({"model": "dual_attention", "options": {"se": False}})
    {'model': 'dual_attention', 'options': {'scaled': False, 'se': False}}
    >>> former_defaults({"model": "dual_attention", "options": {"se": False}, "defaults": 2})
    {'model': 'dual_attention', 'options': {'se': False}}
    """
    tree = dict(tree)
    if (defaults := tree.pop("defaults", None)) is not None:
        if type(defaults) is not int or not 1 < defaults <= DEFAULTS:
            raise ConfigError(
                f"config.json or model.json: the defaults are of version {str(defaults)[:20]!r}, expected at most "
                f"{DEFAULTS}. Fix: read the file with the version of passerby that wrote it, or upgrade passerby"
            )
        return tree
    model = tree.get("model")
    sections = {name: values for name, values in FORMER_SETTINGS.items() if name in tree}
    if isinstance(model, dict):  # config.json
        completed = _complete(tree, {**sections, "loss": _former_loss(tree.get("loss"))})
        return completed | {"model": _complete_options(model, model.get("name"))}
    if model is None:  # a pose network's config.json, whose sections have settings of their own
        return tree
    return _complete(_complete_options(tree, model), sections)


def _complete_options(tree: dict[str, Any], model: Any) -> dict[str, Any]:
    known = isinstance(model, str) and model in _FORMER_OPTIONS
    return _complete(tree, {"options": _FORMER_OPTIONS[model]}) if known else tree


def _former_loss(loss: Any) -> dict[str, Any]:
    name = loss.get("name") if isinstance(loss, dict) else None
    return _FORMER_LOSSES.get(name, {}) if isinstance(name, str) else {}


def _complete(tree: dict[str, Any], sections: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return a tree whose sections have these values where they have none; what is no section stays as it is."""
    found = {name: tree.get(name, {}) for name, values in sections.items() if values}
    return tree | {
        name: {**sections[name], **section} if isinstance(section, dict) else section for name, section in found.items()
    }


def _renamed(key: str, within: str = "") -> str:
    """Return a dotted key in today's words; each part's section is the part before it."""
    parts = str(key).split(".")
    sections = [within, *parts]
    return ".".join(
        _IN_SECTIONS.get((section, part), _SETTINGS.get(part, part))
        for section, part in zip(sections, parts, strict=False)
    )


def known_option(name: str, known: Collection[str]) -> str:
    """Return an option under the name that its model knows, which for a plugin's model may be a former one.

    >>> known_option("images", ["pictures"]), known_option("trunk", ["backbone"]), known_option("depth", ["backbone"])
    ('pictures', 'backbone', 'depth')
    """
    if name in known:
        return name
    others = [today for former, today in _SETTINGS.items() if former == name]
    others += [former for former, today in _SETTINGS.items() if today == name]
    return next((other for other in others if other in known), name)


def current_key(key: str) -> str:
    """Return a dotted settings key with today's names, and warn where one was a former name.

    >>> current_key("optimizer.lr")
    'optimizer.lr'
    """
    renamed = _renamed(key)
    if renamed != key:
        warnings.warn(f"the setting {key} is now called {renamed}", FormerNameWarning, stacklevel=3)
    return renamed


def current_state(state: Mapping[str, V], known: Collection[str]) -> dict[str, V]:
    """Return a model's state with former key prefixes replaced, unless the model itself has keys of that prefix.

    Args:
        known: the keys of the model's own state.

    >>> current_state({"trunk.conv1.weight": 1, "classifier.weight": 2}, ["backbone.conv1.weight"])
    {'backbone.conv1.weight': 1, 'classifier.weight': 2}
    >>> current_state({"trunk.weight": 1}, ["trunk.weight"])
    {'trunk.weight': 1}
    """
    former, prefix = _TENSORS
    if any(key.startswith(former) for key in known):
        return dict(state)
    return {prefix + key[len(former) :] if key.startswith(former) else key: value for key, value in state.items()}


def former_tensor_name(key: str) -> str:
    """Return the name a tensor had in version 0.1: fingerprints hash it, so that they stay what galleries recorded.

    >>> former_tensor_name("backbone.conv1.weight")
    'trunk.conv1.weight'
    """
    former, prefix = _TENSORS
    return former + key[len(prefix) :] if key.startswith(prefix) else key


def run_file(folder: Path, name: str) -> Path:
    """Return the path of a run folder's file, under its former name where only that exists."""
    former = folder / _FILES.get(name, name)
    return former if former.is_file() and not (folder / name).is_file() else folder / name


def current_attribute(name: str) -> str:
    """Return the name of an attribute group or column in today's spelling.

    >>> current_attribute("upper_colour")
    'upper_color'
    """
    for former, word in _WORDS:
        name = name.replace(former, word)
    return name


def current_difficulty(name: str) -> str:
    """Return today's name of a difficulty of synthetic data.

    >>> current_difficulty("colour"), current_difficulty("light")
    ('color', 'light')
    """
    return next((today for today, former in _DIFFICULTIES.items() if former == name), name)


def former_difficulty(name: str) -> str:
    """Return the name that a difficulty has in ``settings.json``, whose hash names cache folders and digests.

    >>> former_difficulty("color"), former_difficulty("light")
    ('colour', 'light')
    """
    return _DIFFICULTIES.get(name, name)
