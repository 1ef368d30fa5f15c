"""The content of a run's folder, and the errors of a damaged one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from passerby.errors import ConfigError
from passerby.report.inputs.record import read_records


def folder(place: Path, **files: object) -> Path:
    place.mkdir(parents=True)
    for name, content in files.items():
        (place / f"{name}.json").write_text(json.dumps(content))
    return place


def test_a_whole_run(one: Path) -> None:
    (record,) = read_records([one])
    assert (record.name, record.label) == ("aap_reid", "aap_reid")
    assert record.setting("sampler.p") == 2
    assert record.settings["data.height"] == 32
    assert record.setting("no.such") is None
    assert record.inputs.keys() >= {"data.train", "data.test"}
    assert record.metrics["queries"] == 8
    assert len(record.log) == record.log[-1]["step"]
    assert record.calibration is None


def test_runs_have_unique_labels(tmp_path: Path) -> None:
    runs = [folder(tmp_path / name, model={"model": "x"}) for name in ("a/run", "b/run")]
    assert [record.label for record in read_records(runs)] == ["a/run", "b/run"]
    with pytest.raises(ConfigError, match="the same run"):
        read_records([runs[0], tmp_path / "b" / ".." / "a" / "run"])


def test_a_run_has_the_same_label_as_in_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the name as typed, if it is a link to a folder, and the folder's own name for ``.``."""
    real = folder(tmp_path / "g_p_a-0", model={"model": "x"})
    (tmp_path / "aanet").symlink_to(real)
    assert [record.label for record in read_records([tmp_path / "aanet"])] == ["aanet"]
    monkeypatch.chdir(real)
    assert [record.label for record in read_records(["."])] == ["g_p_a-0"]


def test_other_folders_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"is not a run folder \(no config.json, no model.json\)"):
        read_records([tmp_path])
    with pytest.raises(ConfigError, match="pose network"):
        read_records([folder(tmp_path / "pose", config={"recipe": "pose"})])
    damaged = folder(tmp_path / "damaged", config={"recipe": "aanet"})
    (damaged / "metrics.json").write_text("{")
    with pytest.raises(ConfigError, match="damaged"):
        read_records([damaged])
    (damaged / "metrics.json").write_text("[]")
    with pytest.raises(ConfigError, match="not a JSON object"):
        read_records([damaged])
