"""Rows of the papers' tables run end to end on synthetic pedestrians; they survive being killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from PIL import Image

from passerby.config import with_overrides
from passerby.errors import ConfigError, DatasetLayoutError, OutputError, TrainingError, UnknownNameError
from passerby.figures.reproduction import Dots, MetricPanel, reproduction_figure
from passerby.recipes import progress as progress_module
from passerby.recipes import reproduce as module
from passerby.recipes import table_report as report_module
from passerby.recipes.conditions import conditions, differences, shorten
from passerby.recipes.registry import load_recipe
from passerby.recipes.reproduce import reproduce
from passerby.recipes.tables import MARKET, load_table
from passerby.training.config import read_config
from passerby.training.engine import Engine

SYNTHETIC = "pedestrians:people=8,cameras=2,images=2,size=64x32,preset=easy"
SMALL: dict[str, Any] = {"data.height": 64, "data.width": 32, "sampler.k": 2}
BACKBONE = {"model.options.backbone": "resnet18_half"}
ROWS = {
    "aap_reid": ("table1", "aap_reid", 450),
    "dual_attention": ("table2", "se_sa", 500),
    "aanet": ("table3", "g_p_a_aa_learned", 40),
    "attention_driven": ("table6", "both", 100),
}
"""One of each paper: its table, its name, and the paper's epochs."""
EACH = [(paper, *row) for paper, row in ROWS.items()]
KILLED_AFTER_THEIR_FIRST_CHECKPOINT = """
import os, signal, sys
from passerby.recipes import reproduce as module
from passerby.training.engine import Engine

checkpoint = Engine._checkpoint

def then_die(engine, epoch):
    checkpoint(engine, epoch)
    os.kill(os.getpid(), signal.SIGKILL)

Engine._checkpoint = then_die
module.save_loss_curves = lambda _: None
for paper, table, row, settings in eval(sys.argv[1]):
    child = os.fork()
    if child == 0:
        module.reproduce(paper, table, data=sys.argv[2], rows=[row], epochs=2, output=sys.argv[3], settings=settings)
        os._exit(0)
    print(paper, -os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
"""A process for each paper, all children of one that has read the library once."""


@pytest.fixture(autouse=True)
def _blank_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures take longer than these trainings do: they are blank, except in a test that looks at one."""
    monkeypatch.setattr(report_module, "reproduction_figure", lambda *_: Figure(figsize=(1, 1)))
    monkeypatch.setattr(module, "save_loss_curves", lambda _: None)


def settings_of(paper: str, **more: Any) -> dict[str, Any]:
    """Small enough for two steps an epoch, which is all 16 images or, of aap_reid, all 4 people."""
    network = {"model.options.width": 0.25} if paper == "attention_driven" else BACKBONE
    return {**SMALL, **network, "sampler.p": 2 if paper == "aap_reid" else 4, **more}


def run(paper: str, table: str, out: Path, *rows: str, **options: Any) -> Any:
    settings = settings_of(paper, **options.pop("settings", {}))
    chosen: dict[str, Any] = {"data": SYNTHETIC, "epochs": 1, "rows": rows or None, "show_progress": False, **options}
    return reproduce(paper, table, output=out, settings=settings, **chosen)


def never(*_: Any, **__: Any) -> None:
    raise AssertionError("nothing was to be trained")


def shown(folder: Path) -> list[str]:
    """Names of what is not hidden."""
    return sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))


def steps(folder: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(("paper", "table", "row", "epochs"), EACH)
def test_a_row_of_each_paper(
    paper: str, table: str, row: str, epochs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(report_module, "reproduction_figure", reproduction_figure)
        report = run(paper, table, tmp_path, row)
    folder = tmp_path / f"{paper}-{table}"
    assert shown(folder) == sorted(["report.md", "figure.png", "results.json", row])
    metrics = json.loads((folder / row / "metrics.json").read_text())

    (line,) = [line for line in report.rows if line.state == "measured"]
    assert line.name == row
    found = load_table(paper, table)
    for cell in line.cells:
        assert cell.paper == found.printed(row, found.columns[0])[cell.metric]
        assert cell.ours is not None
        assert cell.difference == pytest.approx(cell.ours - cell.paper)
    (mean_ap,) = [cell.ours for cell in line.cells if cell.metric == "mAP"]
    assert mean_ap == pytest.approx(100 * metrics["mean_ap"])

    text = (folder / "report.md").read_text()
    top = text[: text.index("| row |")]
    assert f"| data | {found.columns[0].title} | pedestrians |" in top
    assert f"| epochs | {epochs} | 1 |" in top
    assert f"| initial weights | {found.weights} | random |" in top
    assert "| data.height |" in top
    assert "train 16 images of 4 people" in top
    (written,) = [part for part in text.splitlines() if f"(`{row}`)" in part]
    assert f"| {found.printed(row, found.columns[0])['mAP']:.2f} | {mean_ap:.2f} |" in written

    everything = json.loads((folder / "results.json").read_text())
    assert list(everything["rows"]) == list(found.rows)
    assert everything["rows"][row]["settings"]["epochs"] == 1
    assert everything["rows"][row]["numbers"][0]["ours"] == line.cells[0].ours
    with Image.open(folder / "figure.png") as figure:
        assert min(figure.size) > 400, "not the blank one"

    monkeypatch.setattr(module, "train", never)
    said: list[str] = []
    again = run(paper, table, tmp_path, row, log=said.append)
    assert said == [f"{row}: already finished"]
    assert again.rows == report.rows


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of two epochs, a row of each paper, each of whose processes was killed after its first checkpoint."""
    out = tmp_path_factory.mktemp("killed")
    jobs = [(paper, table, row, settings_of(paper)) for paper, table, row, _ in EACH]
    script = [sys.executable, "-c", KILLED_AFTER_THEIR_FIRST_CHECKPOINT, repr(jobs), SYNTHETIC, str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(script, env=environment, timeout=600, check=True, stdout=subprocess.PIPE, text=True)
    assert done.stdout.splitlines() == [f"{paper} {int(signal.SIGKILL)}" for paper in ROWS]
    return out


@pytest.mark.parametrize(("paper", "table", "row", "epochs"), EACH)
def test_a_run_that_was_killed_goes_on_and_ends_as_if_it_had_not_been(
    paper: str, table: str, row: str, epochs: int, killed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = killed / f"{paper}-{table}"
    assert shown(folder) == [row]
    assert not (folder / row / "metrics.json").exists()

    said: list[str] = []
    trained: list[int] = []
    epoch = Engine._epoch
    monkeypatch.setattr(Engine, "_epoch", lambda self, n, monitor: (trained.append(n), epoch(self, n, monitor)))
    run(paper, table, killed, row, epochs=2, log=said.append)
    assert said == [f"{row}: resuming from its newest checkpoint"]
    assert trained == [1], "the first epoch was not trained twice"

    run(paper, table, tmp_path, row, epochs=2)
    whole = tmp_path / f"{paper}-{table}"
    assert steps(folder / row) == steps(whole / row) == [1, 2, 3, 4], "none is missing, none is there twice"
    for name in ("metrics.json", "config.json", "model.json", "model.safetensors"):
        assert (folder / row / name).read_bytes() == (whole / row / name).read_bytes(), name
    assert f"| epochs | {epochs} | 2 |" in (folder / "report.md").read_text()


def test_interrupted_at_first_it_goes_on_from_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(self: Any, batch: Any, progress: float, step: int, *, update: bool) -> object:
        if step == 2:
            raise KeyboardInterrupt
        return original(self, batch, progress, step, update=update)

    original = Engine._step
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "_step", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run("aap_reid", "table1", tmp_path, "baseline")
    row = tmp_path / "aap_reid-table1" / "baseline"
    assert steps(row) == [1]
    said: list[str] = []
    run("aap_reid", "table1", tmp_path, "baseline", log=said.append)
    assert said == ["baseline: resuming from its newest checkpoint"]
    assert (row / "metrics.json").is_file()
    shutil.rmtree(row / "checkpoints")  # as if it had been killed before even the start was saved
    (row / "metrics.json").unlink()
    said.clear()
    run("aap_reid", "table1", tmp_path, "baseline", log=said.append)
    assert said == ["baseline: training again: it has no checkpoint to resume from"]


def test_a_row_that_another_call_has_just_begun_is_left_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def begun_twice(self: Any, *_: Any, **__: Any) -> float:
        mine = (tmp_path / "aap_reid-table1" / "baseline" / "config.json").stat().st_ino
        with pytest.raises(
            OutputError, match=r"baseline of .* is being run by another call\. Fix: wait, .* another --output"
        ):
            run("aap_reid", "table1", tmp_path, "baseline")
        assert (tmp_path / "aap_reid-table1" / "baseline" / "config.json").stat().st_ino == mine, "it was not deleted"
        with monkeypatch.context() as patch:
            patch.setattr(module, "train", lambda *_, **__: None)
            run("aap_reid", "table1", tmp_path, "band")  # another row may be run meanwhile
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Engine, "_step", begun_twice)
        with pytest.raises(KeyboardInterrupt):
            run("aap_reid", "table1", tmp_path, "baseline")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("finished")
    run("aap_reid", "table1", out, "baseline")
    return out


def trains_all_but(monkeypatch: pytest.MonkeyPatch, row: str, error: BaseException, finished: Path) -> None:
    """The training of ``row`` ends with an error; others are there at once."""

    def train(config: Any, folder: Path, **options: Any) -> None:
        if folder.name == row:
            raise error
        shutil.copytree(finished / "aap_reid-table1" / folder.name, folder)

    monkeypatch.setattr(module, "train", train)


@pytest.mark.parametrize(
    "error",
    [
        TrainingError("the loss is not finite"),
        RuntimeError("no memory\nis left"),
        OSError(28, "No space left", "a.jpg"),
    ],
)
def test_a_row_that_fails_keeps_no_other_from_running(
    error: Exception, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trains_all_but(monkeypatch, "stride", error, finished)
    said: list[str] = []
    report = run("aap_reid", "table1", tmp_path, "stride", "baseline", log=said.append)
    assert [line.name for line in report.failed] == ["stride"]
    assert {line.state for line in report.rows} == {"failed", "measured", "not run"}
    assert f"stride: failed: {' '.join(str(error).split())}" in said
    text = (tmp_path / "aap_reid-table1" / "report.md").read_text()
    assert f"- `stride`: failed: {' '.join(str(error).split())}." in text


def test_a_re_ranked_row_is_an_evaluation_of_the_row_it_re_ranks(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(module, "train", never)
    said: list[str] = []
    report = run("aap_reid", "table1", tmp_path, "baseline_reranked", log=said.append)
    assert said == ["baseline_reranked: re-ranking baseline"]
    plain, again = (line for line in report.rows if line.name in ("baseline", "baseline_reranked"))
    assert [plain.state, again.state] == ["measured", "measured"]
    assert [cell.ours for cell in plain.cells] != [cell.ours for cell in again.cells]
    folder = tmp_path / "aap_reid-table1"
    assert shown(folder) == ["baseline", "figure.png", "report.md", "results.json"]
    kept = json.loads((folder / "baseline" / "reranked.json").read_text())
    assert kept["protocol"]["rerank"] == {"k1": 20, "k2": 6, "lam": 0.3, "torchreid_compat": False}
    assert again.cells[0].ours == pytest.approx(100 * kept["mean_ap"])
    assert "re-ranked by k-reciprocal neighbors (k1 20, k2 6, λ 0.3)" in report.protocol

    monkeypatch.setattr(module, "load", never)
    said.clear()
    run("aap_reid", "table1", tmp_path, "baseline", "baseline_reranked", log=said.append)
    assert said == ["baseline: already finished", "baseline_reranked: already finished"]


def test_a_re_ranked_row_trains_what_it_needs(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trains_all_but(monkeypatch, "stride", TrainingError("no"), finished)
    said: list[str] = []
    report = run("aap_reid", "table1", tmp_path, "stride_reranked", "baseline_reranked", log=said.append)
    assert said == [
        "stride_reranked: needs stride: training", "stride_reranked: failed: no",
        "baseline_reranked: needs baseline: training",
    ]  # fmt: skip
    states = {line.name: line.state for line in report.rows if line.state != "not run"}
    assert states == {"stride_reranked": "failed", "baseline": "measured", "baseline_reranked": "measured"}


def test_a_row_whose_folder_cannot_be_deleted_is_a_row_that_fails(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    (tmp_path / "aap_reid-table1" / "baseline" / "metrics.json").unlink()
    shutil.rmtree(tmp_path / "aap_reid-table1" / "baseline" / "checkpoints")
    monkeypatch.setattr(module.shutil, "rmtree", refuse)
    (line,) = run("aap_reid", "table1", tmp_path, "baseline").failed
    assert line.why.startswith("[Errno 13] Permission denied")


def test_damaged_numbers_of_a_row_are_named(finished: Path, tmp_path: Path) -> None:
    out = shutil.copytree(finished, tmp_path / "out")
    (out / "aap_reid-table1" / "baseline" / "metrics.json").write_text("{")
    with pytest.raises(ConfigError, match=r"baseline.metrics.json is not valid JSON"):
        run("aap_reid", "table1", out, "baseline")


def test_a_row_that_cannot_be_read_is_one_error(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(progress_module, "_check_same_run", refuse)  # root, who may run the tests, may read anything
    with pytest.raises(ConfigError, match=r"baseline' cannot be read: Permission denied.*choose another --output"):
        run("aap_reid", "table1", finished, "baseline")


def test_a_report_is_there_after_the_first_row(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trains_all_but(monkeypatch, "band", KeyboardInterrupt(), finished)
    with pytest.raises(KeyboardInterrupt):
        run("aap_reid", "table1", tmp_path, "baseline", "band")
    rows = json.loads((tmp_path / "aap_reid-table1" / "results.json").read_text())["rows"]
    assert (rows["baseline"]["state"], rows["band"]["state"]) == ("measured", "not run")


def test_other_settings_are_not_mixed_with_those_of_before(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "train", never)
    with pytest.raises(
        ConfigError, match=r"baseline' was trained with other settings or data .*seed: got 0, expected 5.*--output"
    ):
        run("aap_reid", "table1", finished, "baseline", settings={"seed": 5})
    monkeypatch.setattr(module, "train", lambda *_, **__: None)
    report = run("aap_reid", "table1", finished, "band", settings={"seed": 5})
    (line,) = [line for line in report.rows if line.name == "baseline"]
    assert line.state == "other settings"
    assert all(cell.ours is None for cell in line.cells)


def test_what_decides_nothing_of_a_row_may_be_another(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "train", never)
    said: list[str] = []
    idle = {"data.threads": 1, "data.cache": False, "checkpoint_every": 3, "evaluate_every": 5}
    data = SYNTHETIC.replace("people=8,cameras=2", "cameras=2,people=8")
    report = run("aap_reid", "table1", finished, "baseline", settings=idle, data=data, log=said.append)
    assert said == ["baseline: already finished"]
    (line,) = [line for line in report.rows if line.name == "baseline"]
    assert line.config is not None
    assert (line.config.data.threads, line.config.data.train) == (2, SYNTHETIC), "what it was trained with is reported"


def test_the_same_data_elsewhere_is_the_same_and_other_data_in_its_place_are_not(
    tmp_path: Path, draw_people: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = draw_people(tmp_path / "people", people=4, cameras=2, images=2)
    run("aap_reid", "table1", tmp_path, "baseline", data=str(people))
    monkeypatch.setattr(module, "train", never)
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "people")
    monkeypatch.chdir(tmp_path)
    for place in (packed, "people", f"market1501:{people}"):
        said: list[str] = []
        report = run("aap_reid", "table1", tmp_path, "baseline", data=place, log=said.append)
        assert said == ["baseline: already finished"]
        assert [line.state for line in report.rows if line.name == "baseline"] == ["measured"]

    for split, setting in (("query", "data.test"), ("bounding_box_train", "data.train")):
        image = min((people / split).glob("*.jpg"))
        was = image.read_bytes()
        image.write_bytes(was + b"\0")
        with pytest.raises(ConfigError, match=rf"baseline' was trained with .*\({setting}: other content\).*--output"):
            run("aap_reid", "table1", tmp_path, "baseline", data=str(people))
        image.write_bytes(was)


def test_a_row_goes_on_where_its_data_lie_now(
    tmp_path: Path, draw_people: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def then_stop(self: Any, epoch: int) -> None:
        checkpoint(self, epoch)
        raise KeyboardInterrupt

    checkpoint = Engine._checkpoint
    people = draw_people(tmp_path / "people", people=4, cameras=2, images=2)
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "_checkpoint", then_stop)
        with pytest.raises(KeyboardInterrupt):
            run("aap_reid", "table1", tmp_path, "baseline", data=str(people), epochs=2)
    moved = people.rename(tmp_path / "moved")
    said: list[str] = []
    report = run("aap_reid", "table1", tmp_path, "baseline", data=str(moved), epochs=2, log=said.append)
    assert said == ["baseline: resuming from its newest checkpoint"]
    assert not report.failed
    assert read_config(tmp_path / "aap_reid-table1" / "baseline" / "config.json").data.train == str(moved)


def test_numbers_of_data_that_was_replaced_are_not_those_of_the_new(finished: Path, tmp_path: Path) -> None:
    """Of a run of an earlier version, which does not say what it read."""
    out = shutil.copytree(finished, tmp_path / "out")
    file = out / "aap_reid-table1" / "baseline" / "metrics.json"
    (file.parent / "inputs.json").unlink()
    run("aap_reid", "table1", out, "baseline")
    metrics = json.loads(file.read_text())
    file.write_text(json.dumps(metrics | {"queries": metrics["queries"] + 4}))
    with pytest.raises(ConfigError, match=r"baseline' was measured with 12 queries, but the data has 8.*--output"):
        run("aap_reid", "table1", out, "baseline")


def test_rows_of_earlier_calls_are_in_the_report(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "train", lambda *_, **__: None)
    report = run("aap_reid", "table1", finished, "stride")
    assert [line.name for line in report.rows if line.state == "measured"] == ["baseline"]


def test_what_is_in_the_way_is_not_overwritten(tmp_path: Path) -> None:
    mine = tmp_path / "aap_reid-table1" / "baseline" / "notes.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(ConfigError, match="is not a run folder"):
        run("aap_reid", "table1", tmp_path, "baseline")
    assert mine.read_text() == "mine"


def test_where_no_report_can_be_nothing_is_run(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file.aap_reid-table2.*choose another --output"):
        reproduce("aap_reid", "table2", output=tmp_path / "file")


def test_what_is_counted_needs_no_data(tmp_path: Path) -> None:
    report = reproduce("aap_reid", "table2", output=tmp_path)
    folder = tmp_path / "aap_reid-table2"
    assert sorted(p.name for p in folder.iterdir()) == ["figure.png", "report.md", "results.json"]
    (full,) = [line for line in report.rows if line.name == "aap_reid"]
    assert full.state == "counted"
    assert [cell.exact for cell in full.cells] == [27_691_183, 27_590_782, 27_723_967]
    text = (folder / "report.md").read_text()
    assert "| 27.69 | 27.69 (27,691,183) | +0.00 | 27.59 | 27.59 (27,590,782) | +0.00 |" in text
    assert "differ" not in text[: text.index("| row |")]


@pytest.mark.parametrize(
    ("ask", "options", "error", "message"),
    [
        (("aap_reid", "table1", "strid"), {}, UnknownNameError, "Did you mean stride"),
        (("aap_reid", "table1", "baseline"), {"settings": {"sampler.q": 1}}, UnknownNameError, "sampler.p"),
        (("aap_reid", "table1"), {"settings": {"model.options.bakbone": 1}}, UnknownNameError, "Did you mean backbone"),
        (("aap_reid", "table1"), {"epochs": 0}, ConfigError, "setting epochs"),
        (("aap_reid", "table1"), {"data": None}, ConfigError, "give --data"),
        (("attention_driven", "table12", "vgg"), {}, ConfigError, "cannot be run: an image classification network"),
        (("attention_driven", "table12", "full", "vgg"), {}, ConfigError, "^vgg of .*Fix: leave them out$"),
        (("aap_reid", "table1", "band", ""), {}, ConfigError, "a row name is empty.*name some of baseline, .*or none"),
        (("aap_reid", "table1"), {"data": "/nowhere"}, DatasetLayoutError, "nowhere"),
    ],
)
def test_what_cannot_be_is_rejected_before_anything_is_made(
    ask: tuple[str, ...], options: dict[str, Any], error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        run(ask[0], ask[1], tmp_path, *ask[2:], **options)
    assert list(tmp_path.iterdir()) == []


def test_one_process_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="one process"):
        run("aap_reid", "table1", tmp_path)


def test_data_without_queries_is_rejected(tmp_path: Path, draw_people: Any) -> None:
    people = draw_people(tmp_path / "people", people=4, cameras=2, images=1)
    shutil.rmtree(people / "query")
    with pytest.raises(DatasetLayoutError, match="no query images"):
        run("aap_reid", "table1", tmp_path, data=str(people))


def test_other_test_data_and_weights_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "train", lambda *_, **__: None)
    other = {"data.test": SYNTHETIC.replace("people=8", "people=12"), "model.backbone_weights": "R50.pth"}
    report = run("dual_attention", "table2", tmp_path, "se", settings=other)
    said = {condition.what: condition.here for condition in report.conditions}
    assert said["initial weights"] == "R50.pth"
    assert said["test data"] == f"pedestrians at {other['data.test']}"
    assert report.data.startswith("pedestrians: train 24 images of 6 people")
    assert "trained on pedestrians: train 16 images of 4 people" in report.data


def test_settings_under_former_names_are_reported_under_todays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "train", lambda *_, **__: None)
    with pytest.warns(FutureWarning, match=r"model\.trunk_weights.* is now called .*model\.backbone_weights"):
        report = run("dual_attention", "table2", tmp_path, "se", settings={"model.trunk_weights": "R50.pth"})
    said = {condition.what: condition.here for condition in report.conditions}
    assert said["initial weights"] == "R50.pth"


def test_data_in_the_layout_of_the_paper_s_is_not_the_paper_s(
    tmp_path: Path, draw_people: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "train", lambda *_, **__: None)
    synthetic = draw_people(tmp_path / "people", people=4, cameras=2, images=2)
    report = run("dual_attention", "table2", tmp_path, "se", data=str(synthetic))
    said = {condition.what: (condition.paper, condition.here) for condition in report.conditions}
    assert said["data"] == ("Market-1501, 751 people to train on", "market1501, 2 people to train on")


def test_a_shorter_training_keeps_its_course() -> None:
    config = with_overrides(load_recipe("strong_baseline"), {"schedule.milestones": (40.0, 70.0)})
    short = shorten(config, 12)
    assert short.epochs == 12
    assert short.schedule.milestones == (4, 7)
    assert short.schedule.warmup_epochs == 1
    assert shorten(config, None) == config


def test_differences_have_dotted_names() -> None:
    config = load_recipe("aap_reid")
    other = with_overrides(config, {"optimizer.lr": 1e-3, "model.options.backbone": "resnet18"})
    assert differences(config, other) == {"optimizer.lr": (2e-4, 1e-3), "model.options.backbone": (None, "resnet18")}
    assert differences(config, config) == {}


def test_conditions_name_every_value_that_rows_have() -> None:
    table = load_table("aanet", "table2")
    configs = {row: with_overrides(table.config(row), {"sampler.p": 4}) for row in ("aanet50", "aanet152")}
    (condition,) = conditions(table, MARKET, configs, {})
    assert (condition.what, condition.paper, condition.here) == ("sampler.p", "32 or 24", "4")


def test_conditions_name_files_and_what_stands_in_for_them() -> None:
    table = load_table("aanet", "table2")
    here = {"data.attributes": "mine.csv", "data.test_attributes": "theirs.csv", "evaluation.draws": 10}
    config = with_overrides(table.config("aanet50"), {**here, "data.threads": 1})
    said = {c.what: (c.paper, c.here) for c in conditions(table, MARKET, {"aanet50": config}, {})}
    assert said == {
        "data.attributes": ("beside the training images", "mine.csv"),
        "data.test_attributes": ("with the training data's", "theirs.csv"),
        "evaluation.draws": ("as in the dataset's protocol", "10"),
    }


def test_the_figure_shows_every_number() -> None:
    dots = [Dots("one", 90.0, 45.5), Dots("two", 91.25, None), Dots("three", None, None)]
    figure = reproduction_figure("A table", "epochs: 450 → 1", [MetricPanel("mAP", dots), MetricPanel("rank-1", dots)])
    shown = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert shown == ["90.00", "45.50", "91.25"] * 2
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["one", "two", "three"]
    assert "epochs: 450 → 1" in figure.get_suptitle()
    low, high = figure.axes[0].get_xlim()
    assert low < 45.5 < 91.25 < high
    top, bottom = figure.axes[0].get_ylim()
    assert top > bottom, "the first row is on top"


def test_a_report_that_cannot_be_written_does_not_end_the_other_rows(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trains_all_but(monkeypatch, "none", KeyboardInterrupt(), finished)
    original, calls = module._write_report, iter(range(9))

    def once_full(*arguments: Any) -> Any:
        if next(calls) == 0:
            raise OutputError("cannot write: No space left on device")
        return original(*arguments)

    monkeypatch.setattr(module, "_write_report", once_full)
    said: list[str] = []
    report = run("aap_reid", "table1", tmp_path, "baseline", "band", log=said.append)
    assert [line for line in said if "No space left" in line] == ["baseline: cannot write: No space left on device"]
    assert "band: training" in said
    assert report.rows[0].state == "measured"
