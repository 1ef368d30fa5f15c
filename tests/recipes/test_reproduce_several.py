"""Tables of several backbones, each from its own weights, and of several datasets, in one report."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from passerby.data.registry import load as load_dataset
from passerby.errors import ConfigError, UnknownNameError
from passerby.recipes import plan as plan_module
from passerby.recipes import reproduce as module
from passerby.recipes import table_report as report_module
from passerby.recipes.reproduce import reproduce
from passerby.training.config import TrainConfig
from passerby.training.inputs import digests
from passerby.training.run import RunFolder

SYNTHETIC = "pedestrians:people=8,cameras=2,images=2,size=64x32,preset=easy"
SMALL: dict[str, Any] = {"data.height": 64, "data.width": 32, "sampler.p": 2, "sampler.k": 2}


drawn: dict[str, list[str]] = {}
"""The curves of the last figure, by panel."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, which stands for every training below."""
    out = tmp_path_factory.mktemp("finished")
    settings = {**SMALL, "model.options.backbone": "resnet18_half"}
    reproduce(
        "aap_reid", "table1", data=SYNTHETIC, rows=["baseline"], epochs=1, settings=settings, output=out,
        show_progress=False,
    )  # fmt: skip
    return out / "aap_reid-table1" / "baseline"


@pytest.fixture(autouse=True)
def trained(finished: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of run folders that were trained; a training copies the finished run."""
    done: list[str] = []

    def train(config: TrainConfig, folder: Path, **_: Any) -> None:
        shutil.copytree(finished, folder)
        run, data = RunFolder(folder), plan_module.load_dataset(config.data.train)
        run.write_config(config)
        run.write_json("inputs.json", digests(config, data, data))
        done.append(folder.name)

    def draw(panels: Any, **_: Any) -> Figure:
        drawn.clear()
        drawn.update({panel: list(curves) for panel, curves in panels.items()})
        return Figure(figsize=(1, 1))

    monkeypatch.setattr(module, "train", train)
    monkeypatch.setattr(report_module, "reproduction_figure", lambda *_: Figure(figsize=(1, 1)))
    monkeypatch.setattr(module, "loss_panels_figure", draw)
    monkeypatch.setattr(plan_module, "count", lambda *_, **__: 0)
    return done


def weights(folder: Path, name: str) -> str:
    (folder / name).write_bytes(name.encode())
    return str(folder / name)


def table3(out: Path, init: dict[str, str], **options: Any) -> Any:
    settings = {**SMALL, **options.pop("settings", {})}
    return reproduce(
        "aap_reid", "table3", data=SYNTHETIC, epochs=1, settings=settings, init=init, output=out, **options
    )


def test_backbones_are_filled_from_their_own_files_by_several_calls(tmp_path: Path, trained: list[str]) -> None:
    a, b, c = (weights(tmp_path, name) for name in ("R18.pth", "R50.pth", "other.pth"))
    out = tmp_path / "out"
    first = table3(out, {"resnet18": a})
    assert trained == [f"resnet18_{kind}" for kind in ("bam", "sp", "eca", "cwa_add", "cwa_mul")]
    assert {row.state for row in first.rows} == {"measured", "not run"}

    trained.clear()
    both = table3(out, {"resnet50": b})
    assert {name.partition("_")[0] for name in trained} == {"resnet50"}
    assert {row.name.partition("_")[0] for row in both.rows if row.state == "measured"} == {"resnet18", "resnet50"}
    assert {row.config.model.backbone_weights for row in both.rows if row.run} == {a, b}
    said = {condition.what: condition.here for condition in both.conditions}
    assert said["initial weights"] == f"resnet18: {a}; resnet50: {b}"
    assert "losses.png" in (out / "aap_reid-table3" / "report.md").read_text()
    assert (out / "aap_reid-table3" / "losses.png").is_file()
    kinds = ["BAM", "SP", "ECA", "CWA(+)", "CWA(x)"]
    assert drawn == {"ResNet-18": kinds, "ResNet-34": [], "ResNet-50": kinds, "ResNet-101": []}

    trained.clear()
    again = table3(out, {"resnet18": a, "resnet50": b})
    assert trained == []
    assert sum(row.state == "measured" for row in again.rows) == 10
    with pytest.raises(ConfigError, match=r"resnet18_bam' was trained with other settings.*model\.backbone_weights"):
        table3(out, {"resnet18": c})
    Path(a).unlink()
    assert sum(row.state == "measured" for row in table3(out, {"resnet50": b}).rows) == 10, "a file may be gone later"


@pytest.mark.parametrize(
    ("init", "options", "error", "message"),
    [
        ({"resnet51": "R.pth"}, {}, UnknownNameError, "Did you mean"),
        ({"resnet18": "absent.pth"}, {}, ConfigError, r"--init resnet18: there is no file .*absent\.pth.*Fix: name a"),
        ({"resnet18": "R.pth"}, {"rows": ["resnet18_sp", "resnet34_sp"]}, ConfigError, "Fix: add --init resnet34=FILE"),
        (
            {"resnet18": "R.pth"},
            {"settings": {"model.backbone_weights": "R.pth"}},
            ConfigError,
            "--init and --set model.backbone_weights both",
        ),
    ],
)
def test_wrong_initial_weights_are_refused_before_anything_is_made(
    init: dict[str, str], options: dict[str, Any], error: type[Exception], message: str, tmp_path: Path
) -> None:
    weights(tmp_path, "R.pth")
    with pytest.raises(error, match=message):
        table3(tmp_path / "out", {name: str(tmp_path / file) for name, file in init.items()}, **options)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def _as_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """``NAME=SPEC`` is the data of ``SPEC`` under the name of another dataset."""

    def load(spec: str) -> Any:
        name, _, rest = spec.rpartition("|")
        return replace(load_dataset(rest), **({"name": name} if name else {}))

    monkeypatch.setattr(plan_module, "load_dataset", load)


DUKE, CUHK = "dukemtmc", "cuhk03:protocol=new,images=detected"
THREE = [f"market1501|{SYNTHETIC}", f"{DUKE}|{SYNTHETIC},seed=1", f"{CUHK}|{SYNTHETIC},seed=2"]


def table1(out: Path, data: Any, *rows: str, **options: Any) -> Any:
    settings = {**SMALL, "model.options.backbone": "resnet18_half"}
    return reproduce("aap_reid", "table1", data=data, rows=rows, epochs=1, settings=settings, output=out, **options)


@pytest.mark.usefixtures("_as_named")
def test_three_datasets_in_one_report(tmp_path: Path, trained: list[str]) -> None:
    report = table1(tmp_path, THREE, "baseline", "stride")
    names = [f"{row}{suffix}" for suffix in ("", "-dukemtmc-reid", "-cuhk03") for row in ("baseline", "stride")]
    assert trained == names
    (line,) = [row for row in report.rows if row.name == "stride"]
    assert [(cell.dataset, cell.metric, cell.paper) for cell in line.cells][::3] == [
        ("Market-1501", "mAP", 81.3), ("DukeMTMC-reID", "mAP", 71.8), ("CUHK03", "mAP", 61.7),
    ]  # fmt: skip
    assert all(cell.ours is not None for cell in line.cells)
    text = (tmp_path / "aap_reid-table1" / "report.md").read_text()
    assert "| increment (↑) | Market-1501, mAP: paper | ours | Market-1501, rank-1: paper | ours |" in text
    assert "| `stride` over `baseline` | +2.20 | +0.00 | +0.40 | +0.00 |" in text
    results = json.loads((tmp_path / "aap_reid-table1" / "results.json").read_text())
    assert [one["run"] for one in results["rows"]["stride"]["datasets"]] == names[1::2]
    assert results["increments"]["stride"]["numbers"][3]["paper"] == pytest.approx(2.1)
    assert "| evaluation.distance † | global_local | not mentioned;" in text
    assert "| loss.margin † | 0.3 | not mentioned |" in text
    assert {"what": "loss.margin", "here": "0.3", "paper": "not mentioned"} in results["unstated"]
    assert "| sampler.p † | 8 | 2 |" in text, "a changed setting of this kind is marked too"
    conditions = {condition.what for condition in report.conditions}
    assert "epochs" in conditions, "what is equal on all is said once"
    assert {"data, Market-1501", "data, DukeMTMC-reID", "data, CUHK03"} <= conditions

    trained.clear()
    alone = table1(tmp_path, THREE[1], "baseline")
    assert trained == []
    assert [cell.paper for cell in alone.rows[0].cells] == [69.7, 82.1, 91.8]


@pytest.mark.usefixtures("_as_named")
def test_a_row_that_fails_on_one_dataset_is_shown_on_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: list[str]
) -> None:
    train = module.train

    def fail_on_duke(config: TrainConfig, folder: Path, **options: Any) -> None:
        if folder.name.endswith("dukemtmc-reid"):
            raise RuntimeError("no memory is left")
        train(config, folder, **options)

    monkeypatch.setattr(module, "train", fail_on_duke)
    said: list[str] = []
    report = table1(tmp_path, THREE[:2], "baseline", log=said.append)
    assert said[-1] == "baseline on DukeMTMC-reID: failed: no memory is left"
    assert [row.name for row in report.failed] == ["baseline"]
    assert report.rows[0].described_state == "Market-1501: measured; DukeMTMC-reID: failed"
    text = (tmp_path / "aap_reid-table1" / "report.md").read_text()
    assert "- `baseline`: DukeMTMC-reID: failed: no memory is left." in text


@pytest.mark.usefixtures("_as_named")
def test_a_run_of_an_earlier_version_is_found_without_the_suffix(tmp_path: Path, trained: list[str]) -> None:
    table1(tmp_path, THREE[1], "baseline")
    folder = tmp_path / "aap_reid-table1"
    (folder / "baseline-dukemtmc-reid").rename(folder / "baseline")
    trained.clear()
    assert table1(tmp_path, THREE[1], "baseline").rows[0].state == "measured"
    assert trained == []


@pytest.mark.usefixtures("_as_named")
def test_two_datasets_of_one_column_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"several of --data would be compared with the paper's Market-1501.*Fix"):
        table1(tmp_path, [SYNTHETIC, f"{SYNTHETIC},seed=3"], "baseline")
    assert list(tmp_path.iterdir()) == []
