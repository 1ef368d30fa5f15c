"""Killed writers, full disks, damaged files, two writers: nothing acknowledged is lost, nothing deleted returns."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.gallery.store.conftest import facts, files, filled, named, rows

from passerby.errors import DatasetLayoutError, OutputError
from passerby.gallery.store import compact as compact_module
from passerby.gallery.store import disk, search
from passerby.gallery.store import writer as writer_module
from passerby.gallery.store.manifest import read_manifest
from passerby.gallery.store.store import Store
from passerby.gallery.store.verify import verify
from passerby.gallery.store.writer import writing

Make = Callable[..., Store]
_DRIVER = r"""
import hashlib, json, os, shutil, sys
from pathlib import Path
import torch
from passerby.gallery.audit import Act
from passerby.gallery.store import disk, compact
from passerby.gallery.store.store import Store
from passerby.gallery.store.table import Facts
from passerby.types import Embeddings

work, operation = Path(sys.argv[1]), sys.argv[2]


def change(folder):
    store = Store(folder)
    if operation == "add":
        embedding = torch.randn(4, 24, generator=torch.Generator().manual_seed(77))
        paths = tuple(f"77/{row}.jpg" for row in range(4))
        content = [hashlib.sha256(path.encode()).digest() for path in paths]
        store.add(Embeddings(embedding, paths), Facts(content=content))
    elif operation == "log":
        store.log.append(Act("search", "cameras 1"), 3, store.version, synchronize=True)
    elif operation == "open":
        assert store.lost
    elif operation == "delete":
        store.delete([1, 12, 13, 14, 15, 16])
    else:
        compact.FEW = 3
        store.compact()


class Watched:
    "The system's calls, of which the one at a certain place is not made, or half of it, and ends the process."

    def __init__(self, last):
        self.last, self.seen = last, 0

    def __getattr__(self, name):
        call = getattr(os, name)
        if name not in ("open", "write", "fsync", "close", "replace", "unlink"):
            return call

        def watched(*arguments):
            self.seen += 1
            if self.seen == self.last:
                if name == "write":
                    call(arguments[0], arguments[1][: len(arguments[1]) // 2])
                os._exit(9)
            return None if name == "fsync" else call(*arguments)  # a killed process leaves what it wrote

        return watched


cases = []
while not cases or cases[-1][1] == 9:
    folder = work / f"{operation}{len(cases)}"
    shutil.copytree(work / "before", folder)
    process = os.fork()
    if not process:
        disk.os = Watched(len(cases) + 1)
        change(folder)
        os._exit(0)
    cases.append([folder.name, os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])])
print(json.dumps(cases))
"""


def content(store: Store) -> list[tuple[int, str]]:
    """Return IDs and paths of all rows, whose embeddings are checked when they are read."""
    found = []
    for shard in store.shards:
        shard.embeddings(shard.ids - shard.ids)
        found += list(zip(shard.ids.tolist(), shard.column("path").to_pylist(), strict=True))
    return found


@pytest.mark.parametrize("operation", ["add", "delete", "compact", "log"])
def test_killed_at_any_moment(operation: str, tmp_path: Path) -> None:
    store = filled(tmp_path / "before", 6, 6, 5)
    before = content(store)
    further = [(17 + row, f"77/{row}.jpg") for row in range(4)]
    gone = {1, 12, 13, 14, 15, 16}
    after = {
        "add": before + further,
        "delete": [row for row in before if row[0] not in gone],
        "compact": before,
        "log": before,
    }[operation]
    cases = killed_at_any_moment(tmp_path, operation)
    assert len(cases) > (2 if operation == "log" else 10), "few calls were watched"
    states = set()
    for name in cases:
        found = Store(tmp_path / name)
        states.add(tuple(content(found)))
        assert content(found) in (before, after), name
        assert files(found) - {"writer"} == named(found), name
        assert not verify(found.path).problems
        if operation == "delete" and content(found) == after:
            vectors = torch.cat([rows(6).embedding[1:2], rows(5, seed=2).embedding])
            assert not verify(found.path, vectors=vectors).problems, name
    assert content(found) == after, "the last was not killed: it was acknowledged"
    assert states == {tuple(before), tuple(after)}


def killed_at_any_moment(work: Path, operation: str) -> list[str]:
    """Return the copies of the gallery ``before``: each changed by a process that was killed later, but the last."""
    done = subprocess.run(
        [sys.executable, "-c", _DRIVER, str(work), operation], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    cases = json.loads(done.stdout)
    assert cases[-1][1] == 0
    return [name for name, _ in cases]


def torn(store: Store, shard: int, *, by: int = 1) -> bytes:
    """Cut the end of a shard's file off, and return what it was."""
    file = store.path / "shards" / store.shards[shard].entry.name
    whole = file.read_bytes()
    os.truncate(file, len(whole) - by)
    return whole


def test_a_killed_deletion_leaves_nothing_that_was_set_aside(tmp_path: Path) -> None:
    store = filled(tmp_path / "before", 6, 6, 5)
    torn(store, 1)
    (aside,) = [entry.name for entry in Store(store.path).manifest.lost]
    cases, states = killed_at_any_moment(tmp_path, "delete"), set[bool]()
    for name in cases:
        found = Store(tmp_path / name)
        states.add(bool(found.lost))
        there = {f"set-aside/{aside}"} if found.lost else set()
        assert files(found) - {"writer"} == named(found) | there, name
        if not found.lost:
            vectors = torch.cat([rows(6, seed=1).embedding, rows(5, seed=2).embedding])
            assert not verify(found.path, vectors=vectors).problems, name
    assert states == {True, False}
    assert not found.lost, "the last was not killed"


def test_a_shard_that_is_restored_leaves_no_damaged_twin(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make(5, 7)
    before, name = content(store), store.shards[1].entry.name
    for by, is_killed in ((1, False), (9, True), (4, False)):
        whole = torn(store, 1, by=by)
        assert Store(store.path).lost == 7
        assert (store.path / "set-aside" / name).stat().st_size == len(whole) - by, "it is kept, whatever was before"
        (store.path / "shards" / name).write_bytes(whole)
        with monkeypatch.context() as patch:
            if is_killed:
                patch.setattr(disk, "remove", lambda _: None)
            assert content(Store(store.path)) == before
        assert content(Store(store.path)) == before
        assert files(store) == named(Store(store.path))
        assert not verify(store.path).problems


def test_a_shard_that_is_damaged_again_is_kept_again_whenever_it_is_killed(tmp_path: Path) -> None:
    store = filled(tmp_path / "before", 5, 7)
    name, whole = store.shards[1].entry.name, torn(store, 1)
    assert Store(store.path).lost == 7
    (store.path / "shards" / name).write_bytes(whole)
    assert len(Store(store.path)) == 12
    torn(store, 1, by=9)
    cases = killed_at_any_moment(tmp_path, "open")
    assert len(cases) > 10, "few calls were watched"
    for case in cases:
        found = Store(tmp_path / case)
        assert (len(found), found.lost) == (5, 7), case
        assert (found.path / "set-aside" / name).stat().st_size == len(whole) - 9, case
        assert len(verify(found.path).problems) == 1, "that it was set aside"


def test_files_are_on_the_disk_before_they_are_named_and_unnamed_before_they_are_removed(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make(5, 5)
    events = watch(monkeypatch)
    added = rows(2, seed=8)
    store.add(added, facts(added))
    (new,) = (
        read_manifest(store.path).names()
        - {Path(e[1]).name for e in events if e[0] == "unlink"}
        - {shard.entry.name for shard in store.shards[:2]}
    )
    folder, shards = str(store.path), str(store.path / "shards")
    swap = ("replace", f"{folder}/manifest.json")
    expected = [("fsync", f"{shards}/.{new}.partial"), ("fsync", f"{folder}/.manifest.partial"), ("fsync", folder)]
    expected += [("replace", f"{shards}/{new}"), ("fsync", shards), swap]
    places = [events.index(event) for event in expected]
    assert places == sorted(places)
    assert ("fsync", folder) in events[places[-1] :]
    del events[:]
    (old,) = [shard.entry.name for shard in store.shards if 7 in shard.ids]
    store.delete([7])
    removal = events.index(("unlink", f"{shards}/{old}"))
    synced = events.index(("fsync", folder), events.index(swap))
    assert synced < removal < len(events) - 1
    assert ("fsync", shards) in events[removal:], "the removal is on the disk, too"


def watch(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Return the list to which calls of the system are added, each with the path that it is about."""
    events: list[tuple[str, str]] = []
    fsync, replace, unlink = os.fsync, os.replace, os.unlink

    def watched_fsync(descriptor: int) -> None:
        events.append(("fsync", str(Path(f"/proc/self/fd/{descriptor}").readlink())))
        fsync(descriptor)

    def watched_replace(source: Any, target: Any) -> None:
        events.append(("replace", str(target)))
        replace(source, target)

    def watched_unlink(path: Any, **options: Any) -> None:
        events.append(("unlink", str(path)))
        unlink(path, **options)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "replace", watched_replace)
    monkeypatch.setattr(os, "unlink", watched_unlink)
    return events


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_full_disk(call: str, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make(5, 5)
    before = content(store)
    added = rows(3, seed=8)
    moments, errors = 0, list[str]()
    while True:
        with monkeypatch.context() as patch:
            failing = fail_at(patch, call, moments)
            try:
                store.add(added, facts(added))
            except OutputError as error:
                errors.append(str(error))
        if not failing:
            break
        moments += 1
        now = content(Store(store.path))
        assert now[:10] == before
        assert files(store) == named(Store(store.path))
        if len(now) > 10:  # the manifest was replaced, and only its folder could not be synchronized
            assert call == "fsync"
            Store(store.path).delete([row[0] for row in now[10:]])
    assert moments >= 2
    assert len(errors) == moments
    assert all("No space left" in error and "Fix: make room" in error for error in errors)
    assert len(content(Store(store.path))) == 13


def fail_at(patch: pytest.MonkeyPatch, name: str, last: int) -> list[int]:
    """Let a call of the system fail at a certain time; return a list that then has an item."""
    call, seen, failed = getattr(os, name), 0, list[int]()

    def failing(*arguments: Any) -> Any:
        nonlocal seen
        seen += 1
        if seen == last + 1:
            failed.append(1)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return call(*arguments)

    patch.setattr(disk.os, name, failing)
    return failed


def test_a_disk_too_full_to_merge_shards_fails_no_add(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = make(*[1] * 7)
    added = rows(1, seed=8)
    with monkeypatch.context() as patch:
        assert not fail_at(patch, "write", 3)
        assert store.add(added, facts(added)).ids == (7,)
    assert "could not be merged" in caplog.text
    assert len(content(Store(store.path))) == 8
    assert files(store) == named(store)


def test_a_bit_that_flips_anywhere_is_never_served(
    make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "DIRECT", 0)
    store = make(40, 40)
    query = rows(3, seed=9).embedding
    expected = {(int(h.shard.ids[h.place]), h.distance) for hits in store.search(query, 30) for h in hits}
    name = store.shards[0].entry.name
    length = store.shards[0].entry.bytes
    damaged = 0
    for number, place in enumerate(range(3, length, length // 60)):
        folder = tmp_path / f"copy{number}"
        shutil.copytree(store.path, folder)
        file = folder / "shards" / name
        whole = bytearray(file.read_bytes())
        whole[place] ^= 1 << number % 8
        file.write_bytes(whole)
        caplog.clear()
        found = Store(folder)
        answers = {(int(h.shard.ids[h.place]), h.distance) for hits in found.search(query, 30) for h in hits}
        if len(found) == 40:
            damaged += 1
            assert found.lost == 40
            assert "40 rows are lost" in caplog.text
            assert (folder / "set-aside" / name).exists()
            assert {row for row, _ in answers} <= set(range(40, 80))
        else:  # between the buffers, or in a column that no search reads
            assert {row for row, _ in answers} == {row for row, _ in expected}
        assert verify(folder).problems, f"byte {place}"
        shutil.rmtree(folder)
    assert damaged > 40


def test_a_damaged_first_pass_excludes_nothing_unseen(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "DIRECT", 0)
    store = make(40, 40)
    (shard, _), file = store.shards, store.path / "shards" / store.shards[0].entry.name
    whole = bytearray(file.read_bytes())
    whole[whole.index(shard.coarse.values.numpy().tobytes()) + 100] ^= 64
    file.write_bytes(whole)
    found = Store(store.path)
    assert len(found) == 80, "it is not read yet"
    assert len(found.search(rows(1, seed=9).embedding, 3)[0]) == 3
    assert (len(found), found.lost) == (40, 40)


@pytest.mark.parametrize("length", [0, 1, 100, -1])
def test_a_torn_shard_is_set_aside(make: Make, length: int, caplog: pytest.LogCaptureFixture) -> None:
    store = make(5, 7)
    entry = store.shards[1].entry
    file = store.path / "shards" / entry.name
    os.truncate(file, length if length >= 0 else entry.bytes - 1)
    found = Store(store.path)
    assert (len(found), found.lost) == (5, 7)
    assert "7 rows are lost" in caplog.text
    assert not file.exists()
    again = rows(7, seed=1)
    assert found.add(again, facts(again)).ids == tuple(range(12, 19)), "what was lost can be added again"
    assert any("set aside" in problem for problem in verify(store.path).problems)
    deleted = found.delete([0])
    assert deleted.aside == 7, "they may hold the same person"
    assert not verify(store.path).problems


def test_a_missing_shard_is_reported(make: Make) -> None:
    store = make(5, 7)
    (store.path / "shards" / store.shards[0].entry.name).unlink()
    found = Store(store.path)
    assert (len(found), found.lost) == (7, 5)


def test_a_missing_shard_that_is_copied_back_is_in_the_gallery_again(make: Make, tmp_path: Path) -> None:
    store = make(5, 7, 6)
    before = content(store)
    for number, name in enumerate(store.manifest.names()):
        file = store.path / "shards" / name
        file.rename(tmp_path / "elsewhere")
        assert Store(store.path).lost, number
        shutil.copy(tmp_path / "elsewhere", file)
        assert content(Store(store.path)) == before
        assert not verify(store.path).problems
    found = Store(store.path)
    assert [shard.entry for shard in found.shards] == [shard.entry for shard in store.shards], "rows keep their order"


def test_a_shard_that_comes_back_brings_no_image_twice(make: Make, tmp_path: Path) -> None:
    store = make(5, 7, 6)
    file = store.path / "shards" / store.shards[1].entry.name
    whole = file.read_bytes()
    file.unlink()
    found = Store(store.path)
    again = rows(7, seed=1)[slice(0, 3)]
    assert found.add(again, facts(again)).ids == (18, 19, 20)
    found.compact()
    file.write_bytes(whole)
    back = Store(store.path)
    assert back.ids() == [*range(5), 8, 9, 10, 11, *range(12, 21)]
    assert len({path for _, path in content(back)}) == 18
    assert files(back) == named(back)
    assert not verify(store.path).problems


def test_a_shard_that_comes_back_into_the_middle_of_another_is_sorted_in(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make(5, 7, 6)
    before = content(store)
    file = store.path / "shards" / store.shards[1].entry.name
    whole = file.read_bytes()
    file.unlink()
    monkeypatch.setattr(compact_module, "FEW", 2)
    found = Store(store.path)
    found.compact()
    assert len(found.shards) == 1
    file.write_bytes(whole)
    back = Store(store.path)
    assert content(back) == before
    assert not verify(store.path).problems


def test_a_shard_that_may_not_be_read_is_an_error_and_not_lost(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make(5, 7)
    name = store.shards[0].entry.name
    opened = Path.open

    def forbidden(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == name:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", forbidden)
        with pytest.raises(DatasetLayoutError, match=rf"Permission denied, '.*{name}'. Fix: change its permissions"):
            Store(store.path)
    assert (len(Store(store.path)), Store(store.path).lost) == (12, 0)


def test_another_file_of_the_name_of_a_lost_shard_is_neither_read_nor_removed(make: Make) -> None:
    store = make(5, 7)
    file = store.path / "shards" / store.shards[0].entry.name
    whole = bytearray(file.read_bytes())
    file.unlink()
    assert Store(store.path).lost == 5
    whole[-1] ^= 1
    file.write_bytes(whole)
    found = Store(store.path)
    assert (len(found), found.lost) == (7, 5)
    assert file.read_bytes() == whole
    assert len(verify(store.path).problems) == 2
    found.delete([6])
    assert not file.exists(), "it may hold the same person"


def test_what_was_deleted_does_not_come_back_with_its_shard(make: Make) -> None:
    store = make(5, 7)
    file = store.path / "shards" / store.shards[0].entry.name
    whole = file.read_bytes()
    store.delete([2])
    file.write_bytes(whole)
    found = Store(store.path)
    assert 2 not in found.ids()
    assert not file.exists(), "the manifest says that it was replaced"


def test_a_shard_is_back_before_rows_of_it_are_deleted(make: Make) -> None:
    store = make(5, 7)
    file = store.path / "shards" / store.shards[0].entry.name
    whole = file.read_bytes()
    file.unlink()
    found = Store(store.path)
    file.write_bytes(whole)
    deleted = found.delete([2])
    assert (deleted.rows, deleted.found, deleted.aside) == (1, 0, 0)
    assert found.ids() == [0, 1, 3, *range(4, 12)]


def test_an_older_manifest_removes_no_newer_shards(make: Make, tmp_path: Path) -> None:
    store = make(5)
    shutil.copy(store.path / "manifest.json", tmp_path / "older.json")
    more = rows(4, seed=1)
    store.add(more, facts(more))
    before, newest = content(store), (store.path / "manifest.json").read_bytes()
    newer = files(store)
    shutil.copy(tmp_path / "older.json", store.path / "manifest.json")
    for _ in range(2):
        assert len(content(Store(store.path))) == 5
    added = rows(1, seed=2)
    Store(store.path).add(added, facts(added))
    assert newer <= files(store)
    assert any("does not name: 'shards/" in problem for problem in verify(store.path).problems)
    (store.path / "manifest.json").write_bytes(newest)
    assert content(Store(store.path)) == before


def test_former_shards_go_after_a_deletion_that_was_killed_before_it_removed_them(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make(5)
    name = store.shards[0].entry.name
    with monkeypatch.context() as patch:
        patch.setattr(disk, "remove", lambda _: None)
        store.delete([2])
    assert (store.path / "shards" / name).exists()
    assert Store(store.path).ids() == [0, 1, 3, 4]
    assert not (store.path / "shards" / name).exists()
    assert not verify(store.path, vectors=rows(5).embedding[2:3]).problems


def test_a_damaged_row_of_a_shard_that_is_rewritten_is_not_copied(make: Make) -> None:
    store = make(30, 30)
    shard = store.shards[0]
    content = bytearray((store.path / "shards" / shard.entry.name).read_bytes())
    place = content.index(rows(30).embedding[11].numpy().tobytes())
    content[place + 5] ^= 4
    (store.path / "shards" / shard.entry.name).write_bytes(content)
    found = Store(store.path)
    found.delete([3])
    assert found.ids() == list(range(30, 60))


def test_the_second_writer_is_told_the_first_one(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make(3)
    monkeypatch.setattr(writer_module, "PATIENCE", 0.1)
    added = rows(1, seed=5)
    with writing(store.path):
        with pytest.raises(OutputError, match=f"written by another process: process {os.getpid()} on"):
            Store(store.path).add(added, facts(added))
        assert len(Store(store.path).search(added.embedding, 3)[0]) == 3, "readers are not kept out"
    store.add(added, facts(added))
    assert len(Store(store.path)) == 4


def test_a_failed_writer_leaves_the_lock(make: Make) -> None:
    store = make(3)
    with pytest.raises(RuntimeError), writing(store.path):
        raise RuntimeError("planted")
    added = rows(1, seed=5)
    store.add(added, facts(added))


def test_verify_finds_what_is_not_named(make: Make) -> None:
    store = make(4)
    assert not verify(store.path).problems
    (store.path / "shards" / "copy.bin").write_bytes(rows(4).embedding.numpy().tobytes())
    (store.path / "notes.txt").write_text("hello")
    (store.path / "shards" / "copies").mkdir()
    (store.path / "shards" / "copies" / "a.bin").write_bytes(b"a")
    added = rows(1, seed=5)
    store.add(added, facts(added))  # what does not belong there stops no write, and nothing of it is removed
    problems = verify(store.path).problems
    assert len(problems) == 4
    for name in ("shards/copy.bin", "notes.txt", "shards/copies", "shards/copies/a.bin"):
        assert any(f"'{name}'" in problem for problem in problems), name


def test_verify_waits_for_a_writer(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make(4)
    monkeypatch.setattr(writer_module, "PATIENCE", 0.1)
    with writing(store.path) as writer:
        (store.path / "shards" / ".0123456789abcdef.arrow.partial").write_bytes(b"a shard that is being written")
        with pytest.raises(OutputError, match="written by another process"):
            verify(store.path)
        assert writer.manifest.rows == 4
    assert not verify(store.path).problems


def test_verify_proves_absence(make: Make) -> None:
    store = make(40)
    alice = rows(40)[slice(5, 8)]
    digests = [hashlib.sha256(path.encode()).digest() for path in alice.paths]
    there = verify(store.path, vectors=alice.embedding, contents=digests, ids=[5, 6, 7]).problems
    assert len(there) == 3
    store.delete([5, 6, 7])
    assert not verify(store.path, vectors=alice.embedding, contents=digests, ids=[5, 6, 7]).problems
    (store.path / "set-aside").mkdir(exist_ok=True)
    (store.path / "set-aside" / "x").write_bytes(b"abc" + alice.embedding[1].numpy().tobytes() + b"d")
    problems = verify(store.path, vectors=alice.embedding).problems
    assert any("bytes of 1 of 3" in problem for problem in problems), "at any offset"


def test_readers_see_whole_versions_while_a_writer_works(make: Make) -> None:
    """Deletes and adds go on in another thread; every search answers from one version."""
    from threading import Thread

    store = make(64)
    stop: list[int] = []

    def write() -> None:
        writer = Store(store.path)
        for turn in range(30):
            added = rows(2, seed=100 + turn)
            ids = writer.add(added, facts(added)).ids
            writer.delete(ids, scan=False)
        stop.append(1)

    thread = Thread(target=write)
    thread.start()
    reader, versions = Store(store.path), set()
    query = rows(1, seed=5).embedding
    while not stop:
        hits = reader.search(query, 100)[0]
        versions.add(reader.version)
        assert len(hits) in (64, 66), "either both new rows or none"
    thread.join()
    assert len(versions) > 2
