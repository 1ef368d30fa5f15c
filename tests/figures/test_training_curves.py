from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from passerby.errors import ConfigError
from passerby.figures.training_curves import Evaluated, TrainingHistory, running_mean, training_figure
from passerby.training.monitor import Monitor
from passerby.training.run import RunFolder
from passerby.types import EvalResult, Protocol

Folder = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Make runs of 5 steps, 3 per epoch, stopped in the second epoch."""

    def make(name: str = "ours", *, parts: tuple[str, ...] = ("identity",), data: str = "somewhere") -> Path:
        run = tmp_path / name
        run.mkdir()
        steps = [
            {"step": n + 1, "epoch": n // 3, "loss": 9.0 - n, **dict.fromkeys(parts, 1.0), "lr": 0.1 * n}
            for n in range(5)
        ]
        text = "".join(json.dumps({**step, "images_per_second": 3}) + "\n" for step in steps)
        (run / "metrics.jsonl").write_text(text + '{"step": 6, "ep')
        (run / "config.json").write_text(json.dumps({"data": {"train": data}}))
        return run

    return make


def words(figure: Figure) -> set[str]:
    legends = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    return {axes.get_title() for axes in figure.axes} | set(legends) | {str(figure.get_suptitle())}


def test_a_history_is_what_the_run_logged(folder: Folder) -> None:
    run = folder()
    (run / "evaluations.jsonl").write_text('{"step": 3, "epoch": 1, "rank1": 0.25, "mean_ap": null, "minp": null}\n')
    (run / "metrics.json").write_text('{"cmc": {"1": 0.5, "5": 0.75}, "mean_ap": 0.4}')
    found = TrainingHistory.from_run(run)
    assert found.name == "ours"
    assert found.steps.tolist() == [1, 2, 3, 4, 5]
    assert found.epochs.tolist() == pytest.approx([1 / 3, 2 / 3, 1, 4 / 3, 5 / 3])
    assert {name: values.tolist() for name, values in found.losses.items()} == {
        "loss": [9, 8, 7, 6, 5],
        "identity": [1] * 5,
    }
    assert found.lr.tolist() == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    between, end = found.evaluated
    assert between == Evaluated(3, 1, 0.25, None)
    assert (end.step, end.epoch, end.rank1, end.mean_ap) == (5, pytest.approx(5 / 3), 0.5, 0.4)
    assert found.data == "somewhere"


def test_evaluations_between_epochs_are_kept_and_cut_with_the_log(folder: Folder) -> None:
    run = RunFolder(folder())
    with Monitor(run, 9, done=5, active=True, show=False) as monitor:
        for epoch, share in ((2, 0.5), (3, 0.75)):
            monitor.step += 3
            monitor.log_evaluation(epoch, EvalResult(Protocol(), (share,), share / 2, 0.1, 4, 0, 9))
    assert [entry["epoch"] for entry in run.evaluations()] == [2, 3]
    run.cut_log(8)
    assert run.evaluations() == [{"step": 8, "epoch": 2, "rank1": 0.5, "mean_ap": 0.25, "minp": 0.1}]
    assert len(run.log()) == 5
    assert TrainingHistory.from_run(run.path).evaluated == (Evaluated(8, 2, 0.5, 0.25),)


def test_every_part_of_every_run_has_a_panel(folder: Folder, legible: Callable[[Figure], None]) -> None:
    runs = [
        TrainingHistory.from_run(folder(name, parts=parts))
        for name, parts in (("a", ("identity",)), ("b", ("triplet",)))
    ]
    figure = training_figure(runs)
    legible(figure)
    assert words(figure) == {
        "total loss",
        "loss: identity (in 1 of 2 runs)",
        "loss: triplet (in 1 of 2 runs)",
        "learning rate",
        "a",
        "b",
        "Training curves on somewhere: each step pale, its running mean strong",
    }
    whole, identity = figure.axes[:2]
    assert [len(line.get_xdata()) for line in whole.lines[:4]] == [5] * 4  # type: ignore[arg-type]
    assert (
        len({line.get_color() for line in whole.lines[:4]})
        == len({line.get_linestyle() for line in whole.lines[1:4:2]})
        == 2
    )
    assert len(identity.lines) == 2
    assert {axes.get_xlabel() for axes in figure.axes} == {"epoch"}
    assert training_figure(runs, over="step").axes[0].lines[0].get_xdata().tolist() == [1, 2, 3, 4, 5]  # type: ignore[union-attr]


def test_accuracy_has_a_panel_where_it_is_known_between_epochs(folder: Folder) -> None:
    run = folder()
    (run / "metrics.json").write_text('{"cmc": {"1": 0.5}, "mean_ap": 0.4}')
    assert not {"rank-1, %", "mAP, %"} & words(training_figure([TrainingHistory.from_run(run)]))
    assert "ours: rank-1 50.0\u00a0%, mAP 40.0\u00a0% at the end" in words(
        training_figure([TrainingHistory.from_run(run)])
    )
    (run / "evaluations.jsonl").write_text('{"step": 3, "epoch": 1, "rank1": 0.25, "mean_ap": 0.125}\n')
    figure = training_figure([TrainingHistory.from_run(run)])
    panels = {axes.get_title(): axes.lines[0] for axes in figure.axes}
    assert panels["rank-1, %"].get_ydata().tolist() == [25, 50]  # type: ignore[union-attr]
    assert panels["mAP, %"].get_ydata().tolist() == [12.5, 40]  # type: ignore[union-attr]


def test_a_pose_network_has_losses_and_other_numbers(folder: Folder) -> None:
    run = folder(parts=())
    (run / "metrics.json").write_text('{"pck": 0.5}')
    assert TrainingHistory.from_run(run).evaluated == ()
    assert "ours" in words(training_figure([TrainingHistory.from_run(run)]))


def test_a_running_mean_is_as_long_as_a_fiftieth() -> None:
    places, mean = running_mean(np.arange(150.0), np.arange(150.0))
    assert places[0] == 2
    assert mean.tolist() == pytest.approx([n + 1 for n in range(148)])


def test_runs_without_a_log_are_an_error(folder: Folder, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"the folder .*nowhere does not exist"):
        TrainingHistory.from_run(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=r"no metrics\.jsonl"):
        TrainingHistory.from_run(tmp_path)
    run = folder()
    with pytest.raises(ConfigError, match="1 to 7 runs, got 8"):
        training_figure([TrainingHistory.from_run(run)] * 8)
    (run / "metrics.jsonl").write_text('{"step": 1}\n')
    with pytest.raises(ConfigError, match=r"is damaged .*'epoch'"):
        TrainingHistory.from_run(run)
