"""Files and folders appear whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from passerby.errors import OutputError
from passerby.figures.save import check_figure, save_figure
from passerby.files import atomic_directory, atomic_write, check_target, file_lock

FORMULA = r"cost$_{x$ of $\frac$.jpg"


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_an_interrupted_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), atomic_write(tmp_path / "e.parquet") as partial:  # noqa: PT012
        partial.write_bytes(b"half")
        raise KeyboardInterrupt
    assert names(tmp_path) == []


def test_targets_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    (tmp_path / "there.parquet").write_bytes(b"kept")
    for path, message in {
        tmp_path: "it is a folder",
        tmp_path / "nowhere" / "e.parquet": "there is no folder",
        tmp_path / "there.parquet" / "e.parquet": "there is no folder",
        tmp_path / "there.parquet": "--overwrite",
    }.items():
        with pytest.raises(OutputError, match=message):
            check_target(path)
    check_target(tmp_path / "there.parquet", overwrite=True)
    check_target(tmp_path / "new.parquet")
    assert [p.name for p in tmp_path.rglob("*")] == ["there.parquet"]
    assert (tmp_path / "there.parquet").read_bytes() == b"kept"


def test_a_folder_without_permission_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root, who may run the tests, may write anywhere
    with pytest.raises(OutputError, match="not writable"):
        check_target(tmp_path / "e.parquet")


def test_a_folder_appears_when_it_is_full(tmp_path: Path) -> None:
    with atomic_directory(tmp_path / "above" / "made") as partial:
        (partial / "a").touch()
        assert not (tmp_path / "above" / "made").exists()
    assert names(tmp_path / "above") == ["made"]
    assert names(tmp_path / "above" / "made") == ["a"]


def test_an_interrupted_folder_vanishes(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), atomic_directory(tmp_path / "made") as partial:  # noqa: PT012
        (partial / "a").touch()
        raise KeyboardInterrupt
    assert names(tmp_path) == []


def test_a_folder_that_exists_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "kept").touch()
    with pytest.raises(OutputError, match="made exists"), atomic_directory(tmp_path / "made"):
        raise AssertionError
    assert names(tmp_path / "made") == ["kept"]


def test_a_folder_in_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write the folder"), atomic_directory(tmp_path / "file" / "made"):
        raise AssertionError


def test_a_lock_is_held_by_one_until_it_ends(tmp_path: Path) -> None:
    lock = tmp_path / ".row.lock"
    for _ in range(2):
        with (
            file_lock(lock, otherwise="wait"),
            pytest.raises(OutputError, match=r"^wait$"),
            file_lock(lock, otherwise="wait"),
        ):
            pass


def test_a_lock_keeps_other_processes_out_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    lock = tmp_path / ".row.lock"
    hold = f"from passerby.files import file_lock\nwith file_lock({str(lock)!r}, otherwise=''): print('in', flush=True); input()"
    command = [sys.executable, "-c", hold]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "in\n"
        with pytest.raises(OutputError, match="wait"), file_lock(lock, otherwise="wait"):
            pass
        other.kill()
    with file_lock(lock, otherwise="wait"):
        pass


def test_where_there_can_be_no_lock_that_is_said(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match=r"cannot lock .*nowhere"),
        file_lock(tmp_path / "nowhere" / "x", otherwise="wait"),
    ):
        pass


def plot(words: str = FORMULA) -> Figure:
    figure = Figure(figsize=(2, 2))
    figure.suptitle(words)
    axes = figure.subplots()
    axes.plot([1, 2], [1e-3, 1e3], label=words)
    axes.set(yscale="log", xlabel=words, xticks=[1, 2], xticklabels=[words, "b"])
    axes.legend()
    return figure


@pytest.mark.parametrize(
    ("name", "begins"), [("a.png", b"\x89PNG"), ("a.PDF", b"%PDF-"), ("a.svg", b"<?xml"), ("a.b.svg", b"<?xml")]
)
def test_a_figure_is_what_its_name_says_and_tells_no_date(name: str, begins: bytes, tmp_path: Path) -> None:
    check_figure(tmp_path / name)
    save_figure(plot(), tmp_path / name, dpi=40)
    content = (tmp_path / name).read_bytes()
    assert content.startswith(begins)
    assert str(tmp_path).encode() not in content
    for word in (b"CreationDate", b"<dc:date>", b"tIME"):
        assert word not in content
    save_figure(plot(), tmp_path / f"again.{name}", dpi=40)
    assert (tmp_path / f"again.{name}").read_bytes() == content


def test_words_of_figures_are_no_formulas_but_powers_are(tmp_path: Path) -> None:
    figure = plot()
    save_figure(figure, tmp_path / "a.png", dpi=40)  # a formula that is none would end it
    axes = figure.axes[0]
    assert {label.get_parse_math() for label in axes.get_yticklabels()} == {True}
    assert not any(label.get_parse_math() for label in (*axes.get_xticklabels(), axes.xaxis.label, axes.yaxis.label))


@pytest.mark.parametrize("name", ["a.jpg", "a", ".png", "png", "a.png.txt"])
def test_other_formats_of_figures_are_refused(name: str, tmp_path: Path) -> None:
    for write in (check_figure, lambda path: save_figure(plot(), path)):
        with pytest.raises(OutputError, match=r"ends in \.png, \.pdf or \.svg"):
            write(tmp_path / name)
    assert names(tmp_path) == []
