"""AANet's Table 4, run end to end on synthetic pedestrians: accuracy by attribute, beside the paper's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from passerby.errors import ConfigError, DatasetLayoutError
from passerby.recipes.reproduce import reproduce
from passerby.recipes.tables import load_table

SYNTHETIC = "pedestrians:people=8,cameras=2,images=2,size=64x32,preset=easy"
SMALL: dict[str, Any] = {
    "data.height": 64,
    "data.width": 32,
    "sampler.p": 2,
    "sampler.k": 2,
    "model.options.backbone": "resnet18_half",
}


def run(out: Path, **settings: Any) -> Any:
    return reproduce(
        "aanet", "table4", data=SYNTHETIC, epochs=1, settings={**SMALL, **settings}, output=out, show_progress=False
    )


def test_a_table_of_attributes(tmp_path: Path) -> None:
    report = run(tmp_path)
    (line,) = [row for row in report.rows if row.state == "measured"]
    measured = json.loads((tmp_path / "aanet-table4" / "aanet152" / "metrics.json").read_text())["attributes"]
    assert [cell.metric for cell in line.cells] == list(load_table("aanet", "table4").metrics)
    for cell in line.cells:
        found = measured["mean"] if cell.metric == "mean" else measured["groups"][cell.metric]
        assert cell.ours == pytest.approx(100 * found["accuracy"])
        assert cell.beside == pytest.approx(
            {"balanced": 100 * found["balanced"], "majority": 100 * found["majority_accuracy"]}
        )
    text = (tmp_path / "aanet-table4" / "report.md").read_text()
    assert "| accuracy (%) | paper | ours | difference | balanced | majority |" in text
    gender = line.cells[0]
    assert f"| gender | 92.31 | {gender.ours:.2f} |" in text
    assert "here the gallery's" in text
    written = json.loads((tmp_path / "aanet-table4" / "results.json").read_text())["rows"]["aanet152"]["numbers"][0]
    assert (written["metric"], written["ours"], written["balanced"]) == (
        "gender", gender.ours, gender.beside["balanced"],
    )  # fmt: skip


def test_a_table_of_attributes_needs_to_be_told_them(tmp_path: Path) -> None:
    other = SYNTHETIC.replace("people=8", "people=12")
    with pytest.raises(ConfigError, match=r"needs the attributes of '.*'\. Fix: .*--set data\.test_attributes=FILE"):
        run(tmp_path, **{"data.test": other})
    (tmp_path / "others.csv").write_text("pid,hat,hair_length\n901,yes,short\n")
    with pytest.raises(DatasetLayoutError, match="describes none of"):
        run(tmp_path, **{"data.attributes": str(tmp_path / "others.csv")})
