"""What a run reads is told by content."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from passerby.config import with_overrides
from passerby.data.registry import load
from passerby.errors import ConfigError
from passerby.recipes.registry import load_recipe
from passerby.training.inputs import LABELS, check_same_inputs, comparable, digests
from passerby.training.run import RunFolder

SYNTHETIC = load("pedestrians:people=8,cameras=2,images=2")
DATA = ("data.train", "data.test", LABELS)
FILES = ("data.attributes", "data.test_attributes", "parts.keypoints", "model.backbone_weights")


def of(**places: str) -> dict[str, str]:
    config = with_overrides(load_recipe("attention_driven"), {n.replace("__", "."): p for n, p in places.items()})
    return digests(config, SYNTHETIC, SYNTHETIC)


def test_data_and_files_have_digests(tmp_path: Path) -> None:
    for number, name in enumerate(FILES):
        (tmp_path / f"{number}").write_text(name)
    found = of(**{name.replace(".", "__"): str(tmp_path / f"{number}") for number, name in enumerate(FILES)})
    assert set(found) == {*DATA, *FILES}
    assert len(set(found.values())) == 7
    assert set(digests(load_recipe("aap_reid"), SYNTHETIC, None)) == {"data.train", LABELS}


def test_a_file_is_told_by_what_it_holds(tmp_path: Path) -> None:
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    for file in (one, other):
        file.write_text("{}")
    was = of(parts__keypoints=str(one))
    assert of(parts__keypoints=str(other)) == was
    one.write_text("[]")
    os.utime(one, ns=(1, 1))
    assert of(parts__keypoints=str(one)) != was


def test_words_folders_and_what_is_not_there_say_themselves(tmp_path: Path) -> None:
    for place in ("network", str(tmp_path), "hf:owner/name", "~nobody/at/home", "x" * 5000):
        assert set(of(parts__keypoints=place)) == {*DATA}


def test_labels_have_a_digest_of_their_own() -> None:
    people = SYNTHETIC.train
    renamed = replace(SYNTHETIC, train=tuple(replace(s, pid=9 if s.pid == people[0].pid else s.pid) for s in people))
    was, now = (digests(load_recipe("aap_reid"), dataset, None)[LABELS] for dataset in (SYNTHETIC, renamed))
    assert was != now


def test_a_run_folder_stands_for_its_weights(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_text("weights")
    found = of(model__weights=str(tmp_path))
    assert found["model.weights"] == of(model__weights=str(tmp_path / "model.safetensors"))["model.weights"]
    assert "model.weights" not in of(model__weights="hf:owner/name")


def run_of(folder: Path, had: object) -> RunFolder:
    (folder / "inputs.json").write_text(json.dumps(had))
    return RunFolder(folder)


def test_a_run_goes_on_with_what_it_began_with(tmp_path: Path) -> None:
    had = {"data.train": "a" * 32, "data.attributes": "b" * 32, "model.backbone_weights": "c" * 32}
    run = run_of(tmp_path, had)
    check_same_inputs(run, had)
    check_same_inputs(run, {**had, LABELS: "d"})  # a run of before has no digest of labels
    check_same_inputs(run, {k: v for k, v in had.items() if k != "model.backbone_weights"})  # read at the start only
    check_same_inputs(RunFolder(tmp_path / "without"), had)
    with pytest.raises(
        ConfigError, match=r"data.train \(digest aaaaaaaaaaaa, now xxxxxxxxxxxx\); model.backbone_w.*Fix:"
    ):
        check_same_inputs(run, {**had, "data.train": "x" * 32, "model.backbone_weights": "y"})
    with pytest.raises(ConfigError, match=r"data.attributes \(digest bbbbbbbbbbbb, now none\)"):
        check_same_inputs(run, {k: v for k, v in had.items() if k != "data.attributes"})
    assert comparable(had, {**had, LABELS: "d"}) == had
    assert comparable({**had, LABELS: "e"}, {LABELS: "d"}) == {LABELS: "d"}


@pytest.mark.parametrize("had", [[1], {"data.train": 3}, "x"])
def test_damaged_digests_are_one_line(tmp_path: Path, had: object) -> None:
    with pytest.raises(ConfigError, match=r"inputs\.json is damaged"):
        check_same_inputs(run_of(tmp_path, had), {})
