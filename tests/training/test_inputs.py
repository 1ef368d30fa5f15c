"""What a run reads is told by content."""

from __future__ import annotations

import os
from pathlib import Path

from passerby.config import with_overrides
from passerby.data.registry import load
from passerby.recipes.registry import load_recipe
from passerby.training.inputs import digests

SYNTHETIC = load("pedestrians:people=8,cameras=2,images=2")
FILES = ("data.attributes", "data.test_attributes", "parts.keypoints", "model.backbone_weights")


def of(**places: str) -> dict[str, str]:
    config = with_overrides(load_recipe("attention_driven"), {n.replace("__", "."): p for n, p in places.items()})
    return digests(config, SYNTHETIC, SYNTHETIC)


def test_data_and_files_have_digests(tmp_path: Path) -> None:
    for number, name in enumerate(FILES):
        (tmp_path / f"{number}").write_text(name)
    found = of(**{name.replace(".", "__"): str(tmp_path / f"{number}") for number, name in enumerate(FILES)})
    assert set(found) == {"data.train", "data.test", *FILES}
    assert len(set(found.values())) == 6
    assert set(digests(load_recipe("aap_reid"), SYNTHETIC, None)) == {"data.train"}


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
        assert set(of(parts__keypoints=place)) == {"data.train", "data.test"}
