"""Files and folders appear completely or not at all, and a lock is held by one at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from passerby.errors import OutputError
from passerby.files import (
    atomic_directory,
    atomic_write,
    check_new_folder,
    check_target,
    exclusive,
    file_lock,
    reserved,
)


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_an_interrupted_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), atomic_write(tmp_path / "e.parquet") as partial:  # noqa: PT012
        partial.write_bytes(b"half")
        raise KeyboardInterrupt
    assert names(tmp_path) == []


def test_targets_that_cannot_be_written_are_errors(tmp_path: Path) -> None:
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


def test_folders_that_cannot_be_made_are_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    check_new_folder(tmp_path / "several" / "new" / "ones")
    for path in (tmp_path / "file" / "run", tmp_path / "file" / "deep" / "run"):
        with pytest.raises(OutputError, match=r"cannot make the folder '.*': '.*file' is not a folder\. Fix: choose"):
            check_new_folder(path)
    with pytest.raises(OutputError, match="File name too long"):
        check_new_folder(tmp_path / ("x" * 300) / "run")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(OutputError, match=r"is not writable\. Fix: choose"):
        check_new_folder(tmp_path / "run")
    assert names(tmp_path) == ["file"]


def test_a_folder_without_permission_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_folder_in_a_file_is_an_error(tmp_path: Path) -> None:
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
    hold = (
        "from passerby.files import file_lock\n"
        f"with file_lock({str(lock)!r}, otherwise=''): print('in', flush=True); input()"
    )
    command = [sys.executable, "-c", hold]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "in\n"
        with pytest.raises(OutputError, match="wait"), file_lock(lock, otherwise="wait"):
            pass
        other.kill()
    with file_lock(lock, otherwise="wait"):
        pass


def test_a_lock_keeps_other_threads_out(tmp_path: Path) -> None:
    lock = tmp_path / ".row.lock"

    def take(_: int) -> str:
        try:
            with file_lock(lock, otherwise="wait"):
                return "held"
        except OutputError as error:
            return str(error)

    with ThreadPoolExecutor(2) as pool:
        with file_lock(lock, otherwise="wait"):
            assert list(pool.map(take, range(4))) == ["wait"] * 4
        assert pool.submit(take, 0).result() == "held"


def test_a_lock_that_is_a_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot lock .*: "), file_lock(tmp_path, otherwise="wait"):
        pass


def test_a_lock_that_cannot_be_created_is_an_error(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match=r"cannot lock .*nowhere"),
        file_lock(tmp_path / "nowhere" / "x", otherwise="wait"),
    ):
        pass


def test_a_link_stays_and_what_it_leads_to_is_written(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    for name, before in (("there", b"old"), ("new", None)):
        target, link = tmp_path / "disk" / name, tmp_path / f"link-{name}"
        if before is not None:
            target.write_bytes(before)
        link.symlink_to(target)
        with atomic_write(link) as partial:
            partial.write_bytes(b"result")
        assert link.is_symlink()
        assert target.read_bytes() == b"result"
    (tmp_path / "link-folder").symlink_to(tmp_path / "disk" / "folder")
    with atomic_directory(tmp_path / "link-folder") as folder:
        (folder / "a").touch()
    assert (tmp_path / "link-folder").is_symlink()
    assert names(tmp_path / "disk") == ["folder", "new", "there"]


@pytest.mark.parametrize("kind", ["pipe", "device", "link to a device", "link to itself"])
def test_what_is_no_file_is_refused_and_stays(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "out"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path = Path("/dev/null")
    else:
        path.symlink_to("/dev/null" if "device" in kind else path)
    before = path.lstat().st_mode
    with pytest.raises(OutputError, match=r"device, a pipe or a socket|leads to itself"):
        check_target(path, overwrite=True)
    with pytest.raises(OutputError, match=r"device, a pipe or a socket|leads to itself"), atomic_write(path):
        raise AssertionError
    assert path.lstat().st_mode == before


def killed(write: str) -> None:
    """Run a writer in another process, and kill it while it writes."""
    code = f"from passerby.files import *\nwith {write} as p:\n    p.touch(); print('in', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "in\n"
        other.kill()


def test_the_next_writer_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    file, folder = tmp_path / "e.parquet", tmp_path / "set"
    killed(f"atomic_write({str(file)!r})")
    killed(f"atomic_directory({str(folder)!r})")
    assert len(names(tmp_path)) == 2
    assert all(name.startswith(".") and ".partial" in name for name in names(tmp_path))
    with atomic_write(tmp_path / "f.parquet") as partial:  # another file: nothing is removed
        partial.touch()
    assert len(names(tmp_path)) == 3
    with atomic_write(file) as partial:
        partial.touch()
    with atomic_directory(folder):
        pass
    assert names(tmp_path) == ["e.parquet", "f.parquet", "set"]


def test_the_next_writer_leaves_a_running_one_alone(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "e.parquet") as first:
        first.write_bytes(b"first")
        other = first.with_name(first.name.replace(f"-{os.getpid()}-", f"-{os.getppid()}-"))
        elsewhere = first.with_name(".e.12345678-99999999-1.partial.parquet")
        other.touch()
        elsewhere.touch()
        with atomic_write(tmp_path / "e.parquet") as third:
            third.write_bytes(b"third")
        assert {other.name, elsewhere.name} <= set(names(tmp_path))
        first.write_bytes(b"first")
    assert (tmp_path / "e.parquet").read_bytes() == b"first"


def test_a_reserved_file_is_written_by_one_call_only(tmp_path: Path) -> None:
    file = tmp_path / "people.parquet"
    with reserved(file):
        for target in (file, str(file)):
            with pytest.raises(OutputError, match=r"is being written by another call\. Fix: wait"), reserved(target):
                pass
        with reserved(tmp_path / "others.parquet"):
            pass
        file.touch()
    assert [path.name for path in tmp_path.iterdir()] == ["people.parquet"]
    with pytest.raises(OutputError, match="exists"), reserved(file):
        pass
    with reserved(file, overwrite=True), pytest.raises(OutputError, match="another call"), exclusive(file):
        pass


def test_what_another_call_has_written_meanwhile_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, checks = tmp_path / "people.parquet", iter([None])

    def check(path: Path, *, overwrite: bool) -> None:
        if next(checks, "the second time") is not None:
            raise OutputError(f"{path} exists")

    monkeypatch.setattr("passerby.files.check_target", check)
    with pytest.raises(OutputError, match="exists"), reserved(file):
        pytest.fail("the work began")
