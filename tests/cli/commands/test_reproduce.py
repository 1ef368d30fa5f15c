from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from passerby.errors import TrainingError
from passerby.recipes.tables import PAPERS

GENERATED = "pedestrians:people=8,cameras=2,images=2,size=64x32,preset=easy"
SETTINGS = ("model.options.backbone=resnet18_half", "data.height=64", "data.width=32", "sampler.p=2", "sampler.k=2")
SMALL = tuple(a for s in SETTINGS for a in ("--set", s))


@pytest.fixture
def _blank_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the figure by a blank one, to save time."""
    monkeypatch.setattr("passerby.recipes.table_report.reproduction_figure", lambda *_: Figure(figsize=(1, 1)))


def test_everything_is_listed(run) -> None:
    done = run("reproduce", "--list")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    for paper in PAPERS:
        assert any(line.startswith(f"{paper}: ") for line in lines)
        for table in PAPERS[paper].values():
            assert all(any(line.startswith(f"    {row}: ") for line in lines) for row in table.rows)
    assert "    cwa_all: CWA-all" in lines
    assert "    vgg: VGG – cannot be run: an image classification network" in done.out


def test_a_paper_or_a_table_is_listed(run) -> None:
    assert len(run("reproduce", "dual_attention", "--list").out.splitlines()) == 1 + 2 + (5 + 4)
    assert len(run("reproduce", "attention_driven", "table9", "--list").out.splitlines()) == 1 + 1 + 3


def test_a_row_is_run_and_compared_with_the_paper(run, tmp_path: Path) -> None:
    asked = (
        "reproduce",
        "dual_attention",
        "table2",
        "--data",
        GENERATED,
        "--rows",
        "resnet50",
        "--epochs",
        "1",
        *SMALL,
    )
    done = run(*asked, "--output", tmp_path)
    assert done.code == 0
    assert "resnet50: training" in done.out
    assert "differs: epochs: 500 → 1" in done.out
    assert "85.76" in done.out
    assert done.out.splitlines()[-1].startswith("The report is in")
    assert (tmp_path / "dual_attention-table2" / "report.md").is_file()
    again = run(*asked, "--output", tmp_path)
    assert (again.code, again.err) == (0, "")
    assert "resnet50: already finished" in again.out


@pytest.mark.usefixtures("_blank_figure")
def test_a_counted_table(run, tmp_path: Path) -> None:
    done = run("reproduce", "aap_reid", "table2", "--output", tmp_path)
    assert (done.code, done.err) == (0, "")
    assert done.out.count("27.69") == 2


@pytest.mark.usefixtures("_blank_figure")
def test_a_failure_is_reported_at_the_end_and_by_the_exit_code(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise TrainingError("the loss is not finite")

    monkeypatch.setattr("passerby.recipes.reproduce.train", fail)
    done = run(
        "reproduce", "aap_reid", "table1", "--data", GENERATED, "--rows", "band, stride", "--output", tmp_path, *SMALL
    )
    assert done.code == 1
    assert done.err.splitlines() == ["passerby: failed: stride, band; the report has the errors"]
    assert (tmp_path / "aap_reid-table1" / "report.md").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("aap_ried", "table1"), "Did you mean aap_reid"),
        (("aap_reid", "tabel2"), "Did you mean table2"),
        (("aap_reid", "table1", "--rows", "bnad", "--data", GENERATED), "Did you mean band"),
        (("aap_reid", "table1", "--rows", "", "--data", GENERATED), "a row name is empty"),
        (("aap_reid", "table1", "--rows", "band,", "--data", GENERATED), "a row name is empty"),
        (("aap_reid",), "passerby reproduce --list"),
        (("aap_reid", "table1"), "give --data"),
        (("aap_reid", "table3", "--init", "resnet18"), "--init is written BACKBONE=FILE, got 'resnet18'"),
        (("aap_reid", "table3", "--init", "resnet18=a", "--init", "resnet18=b"), "--init names resnet18 twice"),
        (("aap_reid", "tabel2", "--list"), "Did you mean table2"),
    ],
)
def test_mistakes_are_one_line(run, arguments: tuple[str, ...], message: str) -> None:
    done = run("reproduce", *arguments)
    assert done.code == 1
    assert message in done.err
    assert len(done.err.splitlines()) == 1
