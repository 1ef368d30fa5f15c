"""The ablation of the attention-driven paper: every row of its Table 6 runs, on what it says it sees."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from passerby.losses.branches import BranchLossConfig
from passerby.recipes.reproduce import reproduce
from passerby.recipes.tables import load_table
from passerby.training.config import read_config

SYNTHETIC = "pedestrians:people=8,cameras=2,images=2,size=64x32,preset=easy"
SMALL = {"model.options.width": 0.25, "data.height": 64, "data.width": 32, "sampler.p": 4}
SEEN = {
    "baseline": ("strips", False, "concat"),
    "aligned": ("pose", False, "concat"),
    "intra": ("pose", True, "concat"),
    "inter": ("pose", False, "inter"),
    "both": ("pose", True, "inter"),
    "both_best": ("pose", True, "inter"),
}
"""How images are cut, whether branches have attention, how they are joined."""


@pytest.mark.parametrize(("row", "seen"), SEEN.items())
def test_rows_differ_in_what_the_paper_says(row: str, seen: tuple[str, bool, str]) -> None:
    config = load_table("attention_driven", "table6").config(row, "market1501")
    options = {"intra": True, "fusion": "inter", **config.model.options}
    assert (config.parts.by, options["intra"], options["fusion"]) == seen
    assert config.parts.align
    assert config.parts.overlap == (3 / 48 if row == "both_best" else 1 / 10)
    loss = config.loss
    assert isinstance(loss, BranchLossConfig)
    fused = {"both_best": 0.1}.get(row, 0.5), 1.0
    assert (loss.intra, loss.inter) == ((1.0, 0.0) if options["fusion"] == "concat" else fused)


def test_all_rows_run(tmp_path: Path) -> None:
    report = reproduce(
        "attention_driven", "table6", data=SYNTHETIC, epochs=1, settings=SMALL, output=tmp_path, show_progress=False
    )
    assert {line.name: line.state for line in report.rows} == dict.fromkeys(SEEN, "measured")
    for line in report.rows:
        assert line.run is not None
        seen = json.loads((line.run / "model.json").read_text())["parts"]["by"]
        assert seen == SEEN[line.name][0] == read_config(line.run / "config.json").parts.by


def test_branches_are_read_from_one_run(tmp_path: Path) -> None:
    said: list[str] = []
    report = reproduce(
        "attention_driven", "table7", data=SYNTHETIC, rows=["head_without", "parts_without"], epochs=1, settings=SMALL,
        output=tmp_path, show_progress=False, log=said.append,
    )  # fmt: skip
    assert said == [
        "head_without: needs all_without: training",
        "parts_without: reading the branch parts of all_without",
    ]
    folder = tmp_path / "attention_driven-table7"
    assert [place.name for place in folder.iterdir() if place.is_dir()] == ["all_without"]
    measured = {line.name: line for line in report.rows if line.state == "measured"}
    assert set(measured) == {"head_without", "parts_without", "all_without"}
    for name in ("head", "parts"):
        kept = json.loads((folder / "all_without" / f"branch-{name}.json").read_text())
        assert kept["protocol"]["branch"] == name
        assert measured[f"{name}_without"].cells[3].ours == 100 * kept["mean_ap"]
    assert json.loads((folder / "all_without" / "metrics.json").read_text())["protocol"]["branch"] is None
