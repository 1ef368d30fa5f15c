"""The log of a gallery: chained lines, several processes, torn and cut logs, changes that did not take place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.gallery.store.conftest import facts, rows

from passerby.errors import ConfigError, OutputError
from passerby.gallery import audit
from passerby.gallery.audit import LOG, Act, AuditLog, acting_as
from passerby.gallery.feedback.notes import Group, Groups, Judgement, Note, OwnCalibration, Pairs
from passerby.gallery.store import Store, disk
from passerby.gallery.store.manifest import NoteKind
from passerby.gallery.store.verify import verify

Make = Callable[..., Store]
_APPENDER = """
import sys
from pathlib import Path
from passerby.gallery.audit import Act, AuditLog, acting_as
log = AuditLog(Path(sys.argv[1]), sys.argv[2])
with acting_as(sys.argv[3]):
    for number in range(40):
        log.append(Act("search", f"number {number}"), 1, 2)
"""


def lines(store: Store) -> list[dict[str, Any]]:
    return list(store.log.lines())


def whats(store: Store) -> list[str]:
    return [line["what"] for line in lines(store)]


def test_changes_are_logged_with_their_rows_and_version(make: Make) -> None:
    store = make(5, 3)
    store.delete([1, 2], act=Act("delete", "people 7"))
    assert whats(store) == ["create", "add", "add", "delete"]
    assert [(line["rows"], line["version"]) for line in lines(store)] == [(0, 1), (5, 2), (3, 3), (2, 4)]
    last = lines(store)[-1]
    assert last["conditions"] == "people 7"
    assert last["who"] == last["user"]
    assert not verify(store.path).problems
    store.delete([77])
    assert len(lines(store)) == 4, "nothing changed"


@pytest.mark.parametrize(
    ("kind", "note", "what"),
    [
        ("pairs", Pairs(judgements=(Judgement(a=0, b=1, same=True, version=2, at=0),)), "feedback"),
        ("groups", Groups(groups=(Group(id=1, rows=(0, 1)),), next_id=2), "group"),
        ("calibration", OwnCalibration(values={"bins": 3}, confirmed=1), "calibrate"),
    ],
)
def test_a_change_of_notes_is_told_as_what_it_is(make: Make, kind: NoteKind, note: Note, what: str) -> None:
    store = make(5)
    store.change_note(kind, lambda *_: note)
    store.drop_note(kind)
    assert [(line["what"], line["conditions"]) for line in lines(store)[-2:]] == [(what, ""), (what, "removed")]


def test_a_given_name_stands_beside_the_system_s_user(make: Make) -> None:
    store = make()
    with acting_as("front desk"):
        store.log.note(Act("search"), 3, 1)
    store.log.note(Act("search"), 3, 1)
    first, second = lines(store)[-2:]
    assert (first["who"], first["user"]) == ("front desk", second["user"])
    assert second["who"] == second["user"]
    with pytest.raises(ConfigError, match="empty"), acting_as(" "):
        pass


def test_the_chain_of_several_processes_is_whole(make: Make) -> None:
    store = make(2)
    started = [
        subprocess.Popen([sys.executable, "-c", _APPENDER, str(store.path), store.manifest.gallery, f"p{n}"])
        for n in range(3)
    ]
    assert [process.wait() for process in started] == [0, 0, 0]
    assert len(lines(store)) == 2 + 3 * 40
    assert not verify(store.path).problems
    for name in ("p0", "p1", "p2"):
        mine = [line["conditions"] for line in lines(store) if line["who"] == name]
        assert mine == [f"number {number}" for number in range(40)]


@pytest.mark.parametrize("change", ["alter", "remove", "swap", "insert"])
def test_a_changed_line_is_found(make: Make, change: str) -> None:
    store = make(5, 3, 2)
    file = store.path / LOG
    kept = file.read_bytes().splitlines(keepends=True)
    if change == "alter":
        kept[1] = kept[1].replace(b'"rows":5', b'"rows":4')
    elif change == "remove":
        del kept[1]
    elif change == "swap":
        kept[1:3] = kept[2:0:-1]
    else:
        kept.insert(2, kept[1])
    file.write_bytes(b"".join(kept))
    assert any("does not follow" in problem for problem in verify(store.path).problems)


@pytest.mark.parametrize("left", [0, 1, 2, 200, None])
def test_a_cut_log_is_found_and_stays_so(make: Make, left: int | None) -> None:
    store = make(5, 3)
    file = store.path / LOG
    if left is None:
        file.unlink()
    elif left < 10:
        file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:left]))
    else:
        os.truncate(file, left)
    problems = verify(store.path).problems
    assert any("were cut off" in problem or "is missing" in problem for problem in problems)
    more = rows(1, seed=5)
    store.add(more, facts(more))
    assert "cut" in whats(store), "a change does not hide it"
    assert any("cut off" in problem for problem in verify(store.path).problems)


def test_searches_that_are_cut_off_before_a_change_break_the_next_check(make: Make) -> None:
    store = make(5)
    for _ in range(3):
        store.log.note(Act("search"), 1, store.version)
    more = rows(1, seed=5)
    store.add(more, facts(more))
    kept = (store.path / LOG).read_bytes().splitlines(keepends=True)
    (store.path / LOG).write_bytes(b"".join([*kept[:3], *kept[5:]]))
    assert len(verify(store.path).problems) == 2


@pytest.mark.parametrize("length", [1, 30, 10_000, 60_000])
def test_a_torn_line_is_recorded_and_breaks_nothing(make: Make, length: int) -> None:
    store = make(5)
    torn = (b'{"at":"2024-05-01", "conditions":"' + b"x" * length)[:length]
    with (store.path / LOG).open("ab") as file:
        file.write(torn)
    found = verify(store.path)
    assert not found.problems
    assert any("is torn" in note for note in found.log.notes)
    store.log.note(Act("search"), 1, 2)
    assert whats(store) == ["create", "add", "torn", "search"]
    found = verify(store.path)
    assert not found.problems
    assert not found.log.notes
    content = (store.path / LOG).read_bytes()
    (store.path / LOG).write_bytes(content.replace(torn + b"\n", torn + b"y\n"))
    assert any("is no record" in problem for problem in verify(store.path).problems)


def test_a_change_that_did_not_take_place_is_told(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make(5)
    more = rows(2, seed=5)
    with monkeypatch.context() as patch:
        patch.setattr(disk, "replace", _fail)
        with pytest.raises(OutputError, match="planted"):
            store.add(more, facts(more))
    assert whats(store) == ["create", "add", "add"]
    found = verify(store.path)
    assert not found.problems
    assert any("did not take place" in note for note in found.log.notes)
    store.add(more, facts(more))
    assert whats(store) == ["create", "add", "add", "undone", "add"]
    found = verify(store.path)
    assert not found.problems
    assert not found.log.notes


def _fail(*_: object, **__: object) -> None:
    raise OSError(5, "planted")


def test_an_older_manifest_is_told_by_the_log(make: Make) -> None:
    store = make(5)
    older = (store.path / "manifest.json").read_bytes()
    for seed in (1, 2):
        more = rows(1, seed=seed)
        store.add(more, facts(more))
    (store.path / "manifest.json").write_bytes(older)
    assert any("of version 2: an older one was put back" in problem for problem in verify(store.path).problems)


def test_a_full_disk_tears_nothing(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make(5)
    before = (store.path / LOG).read_bytes()

    def write(descriptor: int, content: Any) -> int:
        if len(content) > 10:
            return os.pwrite(descriptor, content[:10], os.fstat(descriptor).st_size)
        raise OSError(28, "No space left on device")

    class Full:
        def __getattr__(self, name: str) -> Any:
            return write if name == "write" else getattr(os, name)

    with monkeypatch.context() as patch:
        patch.setattr(disk, "os", Full())
        with pytest.raises(OutputError, match=r"No space left.*Fix: make room"):
            store.log.append(Act("search"), 1, 2)
    assert (store.path / LOG).read_bytes() == before


def test_a_gallery_that_cannot_be_written_to_is_searched_with_a_warning(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = make(5)
    monkeypatch.setattr("passerby.files.os.access", lambda *_: False)
    store.log.note(Act("search"), 1, 2)
    assert "this search is not in the gallery's log" in caplog.text
    assert "is not writable" in caplog.text
    store.log.required = True
    with pytest.raises(OutputError, match="not writable"):
        store.log.note(Act("search"), 1, 2)
    more = rows(1, seed=5)
    with pytest.raises(OutputError, match="not writable"):
        store.add(more, facts(more))


def test_long_conditions_are_cut_and_odd_ones_stay_in_one_line(make: Make) -> None:
    store = make()
    store.log.note(Act("search", "x" * 10_000), 1, 1)
    store.log.note(Act("search", "a\nb \udcff ü"), 1, 1)
    assert [len(line["conditions"]) for line in lines(store)[1:]] == [2000, 7]
    assert not verify(store.path).problems


def test_another_gallery_s_log_is_no_log_of_this_one(make: Make, tmp_path: Path) -> None:
    store = make()
    other = AuditLog(tmp_path, "f" * 32)
    other.append(Act("create"), 0, 1)
    (store.path / LOG).write_bytes((tmp_path / LOG).read_bytes())
    assert any("line 1 of the log does not follow" in problem for problem in verify(store.path).problems)


def test_lines_are_json_and_chained_as_documented(make: Make) -> None:
    import hashlib

    store = make(2)
    first, second = (store.path / LOG).read_bytes().splitlines()
    assert json.loads(second)["former"] == hashlib.sha256(first).hexdigest()
    assert set(json.loads(second)) == {"at", "who", "user", "what", "conditions", "rows", "version", "former"}
    assert store.manifest.log is not None
    assert store.manifest.log.sha256 == hashlib.sha256(second).hexdigest()
    assert audit.LOG == "audit.jsonl"
