from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.gallery.store.conftest import DIMENSIONS, ORIGIN, _unsynced, facts, files, filled, make, named, rows

from passerby.errors import ConfigError, DatasetLayoutError
from passerby.gallery.feedback.pairs import Feedback
from passerby.gallery.store.store import Store
from passerby.gallery.store.verify import verify

__all__ = ["_unsynced", "make"]
Make = Callable[..., Store]


def digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def test_the_last_answer_about_two_images_holds_and_is_there_after_opening_again(make: Make) -> None:
    feedback = Feedback(make(6))
    feedback.answer(1, 2, same=True)
    feedback.answer(4, 3, same=False)
    feedback.answer(2, 1, same=False)
    again = Feedback(Store(feedback.store.path))
    assert again.pairs() == [(1, 2, False), (3, 4, False)]
    assert [each.version for each in again.all()] == [4, 5]


def test_undo_removes_the_last_answer_and_the_one_before_holds_again(make: Make) -> None:
    feedback = Feedback(make(6))
    feedback.answer(1, 2, same=True)
    feedback.answer(1, 2, same=False)
    version = feedback.store.version
    assert feedback.undo().same is False
    assert feedback.pairs() == [(1, 2, True)]
    assert feedback.store.version == version + 1
    feedback.undo()
    assert feedback.pairs() == []
    assert not feedback.store.manifest.notes
    with pytest.raises(ConfigError, match="no answer"):
        feedback.undo()


def test_other_processes_see_an_answer_at_once(make: Make) -> None:
    store = make(6)
    reader = Feedback(Store(store.path))
    assert reader.pairs() == []
    Feedback(store).answer(0, 5, same=True)
    assert reader.pairs() == [(0, 5, True)]


@pytest.mark.parametrize(("a", "b"), [(1, 1), (1, 99), (99, 1), (digest("0/1.jpg"), 1)])
def test_rows_that_are_not_two(a: int | str, b: int, make: Make) -> None:
    feedback = Feedback(make(3))
    with pytest.raises(ConfigError, match=r"no row has the ID 99|both images are the row 1"):
        feedback.answer(a, b, same=True)
    assert not feedback.store.manifest.notes
    assert files(feedback.store) == named(feedback.store)


def test_an_image_that_is_not_in_the_gallery_is_known_by_its_content_until_it_is_added(make: Make) -> None:
    feedback = Feedback(make(4))
    feedback.answer(digest("9/0.jpg"), 3, same=True)
    feedback.answer(digest("9/0.jpg"), 2, same=False)
    assert feedback.pairs() == []
    assert feedback.about([digest("9/0.jpg")], ()) == ([3], [2])
    added = rows(1, seed=9)
    (row,) = feedback.store.add(added, facts(added)).ids
    assert feedback.pairs() == [(2, row, False), (3, row, True)]
    assert feedback.about((), [row]) == ([3], [2])
    assert feedback.about([digest("9/0.jpg")], ()) == ([3], [2])


def test_an_image_that_is_in_the_gallery_is_its_row(make: Make) -> None:
    feedback = Feedback(make(4))
    assert feedback.answer(digest("0/1.jpg"), 3, same=True).a == 1
    assert feedback.about((), [3]) == ([1], [])
    assert feedback.about([digest("0/1.jpg")], ()) == ([3], [])


def test_answers_go_with_their_rows_and_no_file_names_them(make: Make) -> None:
    feedback = Feedback(make(6, 6))
    store = feedback.store
    feedback.answer(1, 2, same=True)
    feedback.answer(7, 8, same=True)
    feedback.answer(digest("9/0.jpg"), 2, same=False)
    feedback.answer(digest("9/0.jpg"), 8, same=False)
    added = rows(1, seed=9)
    (row,) = store.add(added, facts(added)).ids
    former = store.manifest.notes["pairs"].name
    store.delete([2])
    assert feedback.pairs() == [(7, 8, True), (8, row, False)]
    assert not (store.path / "notes" / former).exists()
    store.delete([row])
    texts = [path.read_text() for path in (store.path / "notes").iterdir()]
    assert [json.loads(text)["judgements"][0]["a"] for text in texts] == [7]
    assert digest("9/0.jpg") not in texts[0]
    assert verify(store.path).problems == ()
    with pytest.raises(ConfigError, match="no row has the ID 2"):
        feedback.answer(2, 8, same=True)


def test_answers_about_rows_of_a_lost_shard_are_left_out_and_go_with_the_next_deletion(make: Make) -> None:
    store = make(6, 6)
    Feedback(store).answer(1, 2, same=True)
    Feedback(store).answer(1, 8, same=True)
    Feedback(store).answer(7, 8, same=True)
    shard = store.path / "shards" / store.manifest.shards[0].name
    shard.write_bytes(shard.read_bytes()[:-9])
    again = Store(store.path)
    assert again.lost == 6
    assert Feedback(again).pairs() == [(7, 8, True)]
    again.delete([])
    assert len(Feedback(again).all()) == 1


def test_merging_shards_keeps_answers(make: Make) -> None:
    feedback = Feedback(make(4, 4))
    feedback.answer(1, 6, same=True)
    for seed in range(10, 20):
        added = rows(2, seed=seed)
        feedback.store.add(added, facts(added))
    assert len(feedback.store.shards) < 12
    assert feedback.pairs() == [(1, 6, True)]
    assert files(feedback.store) == named(feedback.store)


def test_a_damaged_note_is_an_error_that_verify_reports_and_no_search_minds(make: Make) -> None:
    store = make(6)
    Feedback(store).answer(1, 2, same=True)
    note = store.path / "notes" / store.manifest.notes["pairs"].name
    note.write_bytes(note.read_bytes().replace(b"true", b"null"))
    again = Store(store.path)
    assert len(again.search(rows(1, seed=5).embedding, 3)[0]) == 3
    for act in (Feedback(again).all, lambda: Feedback(again).answer(3, 4, same=True)):
        with pytest.raises(DatasetLayoutError, match=r"is damaged .*its digest differs.*--drop pairs"):
            act()
    assert "its digest differs" in verify(store.path).problems[0]
    again.drop_note("pairs")
    assert verify(store.path).problems == ()
    assert Feedback(again).all() == ()


def test_a_missing_note_is_an_error_and_a_deletion_gives_it_up(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    store = make(6)
    Feedback(store).answer(1, 2, same=True)
    (store.path / "notes" / store.manifest.notes["pairs"].name).unlink()
    again = Store(store.path)
    with pytest.raises(DatasetLayoutError, match="its file is missing"):
        Feedback(again).all()
    again.delete([1])
    assert "its file is missing" in caplog.text
    assert not again.manifest.notes
    assert verify(store.path).problems == ()


def test_what_a_killed_writer_left_is_removed(make: Make) -> None:
    store = make(6)
    Feedback(store).answer(1, 2, same=True)
    (store.path / "notes" / ".0123456789abcdef.json.partial").write_text("{}")
    assert "notes/.0123456789abcdef.json.partial" in files(store)
    again = Store(store.path)
    assert files(again) == named(again)
    assert Feedback(again).pairs() == [(1, 2, True)]


def test_verify_finds_the_digest_of_an_image_that_should_be_absent(make: Make) -> None:
    store = make(6)
    Feedback(store).answer(digest("9/0.jpg"), 2, same=True)
    (problem,) = verify(store.path, contents=[bytes.fromhex(digest("9/0.jpg"))]).problems
    assert problem.startswith("1 answers about pairs are of images that should be absent")


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the system does not tell the names of open files")
def test_an_answer_is_on_the_disk_before_it_is_acknowledged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, calls = filled(tmp_path / "g", 4), list[str]()
    replaced = os.replace

    def synced(file: int) -> None:
        name = Path(os.readlink(f"/proc/self/fd/{file}")).relative_to(store.path).as_posix()  # noqa: PTH115
        calls.append("note" if name.startswith("notes/") else name)

    monkeypatch.setattr("os.fsync", synced)
    monkeypatch.setattr("os.replace", lambda a, b: calls.append("replace") or replaced(a, b))
    Feedback(store).answer(1, 2, same=True)
    acknowledged = len(calls) - 1 - calls[::-1].index("replace")
    assert {"note", "notes", ".manifest.partial"} <= set(calls[:acknowledged]), "files and folder before the manifest"
    assert "." in calls[acknowledged:], "and its name after it"


def test_a_gallery_without_notes_has_none_in_its_folder(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "g", ORIGIN, DIMENSIONS)
    assert files(store) == {"manifest.json"}
    assert Feedback(store).pairs() == []
