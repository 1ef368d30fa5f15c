"""The commands of galleries on disk, from an empty folder to the proof that somebody is no longer there."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from passerby.gallery.store import Store
from passerby.gallery.store.table import Facts
from passerby.gallery.store.where import Where
from passerby.types import Embeddings

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def _unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda _: None)


@pytest.fixture
def place(figures: Path, tmp_path: Path) -> Path:
    """A copy of the synthetic dataset, with a broken image."""
    copy = Path(shutil.copytree(figures, tmp_path / "people"))
    (copy / "bounding_box_test" / "0099_c1s1_000001_00.jpg").write_bytes(b"broken")
    return copy


@pytest.fixture
def folder(run: Run, trained: Path, place: Path, tmp_path: Path) -> Path:
    """A gallery with the images of the dataset's gallery."""
    gallery = tmp_path / "people.gallery"
    assert run("gallery", "create", trained, gallery).code == 0
    done = run("gallery", "add", trained, gallery, place, "--tag", "door", "--taken", "2024-05-01T12:30")
    assert done.code == 0, done.err
    return gallery


def query_of(place: Path) -> str:
    return f"{place}::query/{min(path.name for path in (place / 'query').glob('*.jpg'))}"


def hits(run: Run, *arguments: object) -> list[dict[str, Any]]:
    done = run("gallery", "search", *arguments, "--json")
    assert done.code == 0, done.err
    found: list[dict[str, Any]] = json.loads(done.out)["hits"]
    return found


def test_adding_again_says_what_was_there(run: Run, trained: Path, folder: Path, place: Path) -> None:
    rows = len(Store(folder))
    assert rows > 4
    done = run("gallery", "add", trained, folder, place)
    assert f"0 images were added to {folder}; {rows} were there already; 1 that cannot be read" in done.out
    assert "passerby: skipped: bounding_box_test/0099" in done.err
    strict = run("gallery", "add", trained, folder, place, "--strict")
    assert strict.code == 1
    assert "without --strict" in strict.err


def test_search_under_conditions(run: Run, trained: Path, folder: Path, place: Path) -> None:
    query = query_of(place)
    assert {hit["camid"] for hit in hits(run, trained, folder, query)} == {1, 2}
    own = int(query.rpartition("_c")[2][0])
    assert {hit["camid"] for hit in hits(run, trained, folder, query, "--other-cameras")} == {3 - own}
    assert {hit["camid"] for hit in hits(run, trained, folder, query, "--camera", 1)} == {1}
    assert hits(run, trained, folder, query, "--tag", "snow") == []
    assert len(hits(run, trained, folder, query, "--since", "2024-05-01", "--before", "2024-05-02")) > 4
    assert hits(run, trained, folder, query, "--before", "2024-05-01") == []
    table = run("gallery", "search", trained, folder, query, "--camera", 1, "-k", 1)
    assert "images satisfy the conditions" in table.out
    assert "id" in table.out
    unknown = run("gallery", "search", trained, folder, query.replace("::", os.sep), "--other-cameras")
    assert unknown.code == 1
    assert "--not-camera" in unknown.err


def test_the_former_search_takes_a_folder_too(run: Run, trained: Path, folder: Path, place: Path) -> None:
    figure = folder.parent / "hits.png"
    done = run("search", trained, query_of(place), "--gallery", folder, "-k", 2, "--output", figure)
    assert done.code == 0, done.err
    assert figure.exists()


def test_delete_asks_and_proves(run: Run, folder: Path) -> None:
    store = Store(folder)
    before, person = len(store), store.shards[0].column("pid")[0].as_py()
    for arguments in (["--person", person], ["--camera", 1], ["--before", "2025-01-01"], ["--id", 0]):
        done = run("gallery", "delete", folder, *arguments)
        assert done.code == 1
        assert "Fix: add --yes" in done.err
        assert "rows satisfy the conditions" in done.out
    assert "no condition" in run("gallery", "delete", folder, "--yes").err
    assert len(Store(folder)) == before
    done = run("gallery", "delete", folder, "--person", person, "--camera", 1, "--yes")
    assert "none of their vectors is in the" in done.out
    assert 0 < len(Store(folder)) < before
    assert "No row" in run("gallery", "delete", folder, "--person", person, "--camera", 1, "--yes").out
    assert "No row" in run("gallery", "delete", folder, "--keep-days", 30, "--tag", "snow", "--yes").out
    done = run("gallery", "delete", folder, "--keep-days", 30, "--yes")
    assert done.code == 0
    assert len(Store(folder)) == 0


@pytest.mark.parametrize(
    "condition",
    [("--before", ""), ("--collection", ""), ("--tag", ""), ("--keep-days", "nan"), ("--keep-days", "1e30")],
)
def test_an_empty_condition_deletes_nothing(run: Run, folder: Path, condition: tuple[str, ...]) -> None:
    before = len(Store(folder))
    for others in ((), ("--camera", 1)):
        done = run("gallery", "delete", folder, *others, *condition, "--yes")
        assert done.code == 1
        assert "Traceback" not in done.err
    assert len(Store(folder)) == before


def test_ids_of_more_than_64_bits_are_an_error(run: Run, trained: Path, folder: Path, place: Path) -> None:
    for command in (
        ("delete", folder, "--yes", "--camera"),
        ("delete", folder, "--yes", "--person"),
        ("delete", folder, "--yes", "--id"),
        ("search", trained, folder, query_of(place), "--camera"),
        ("search", trained, folder, query_of(place), "--not-camera"),
        ("search", trained, folder, query_of(place), "--person"),
        ("add", trained, folder, place, "--camera-id"),
    ):
        done = run("gallery", *command, 2**64)
        assert done.code == 1, command
        assert f"got {2**64}" in done.err


def test_copies_that_stay_are_told(run: Run, folder: Path) -> None:
    store = Store(folder)
    (shard, *_) = store.shards
    copy = Embeddings(shard.embeddings(shard.ids[:1]), ("copy.jpg",))
    store.add(copy, Facts(content=[b"c" * 32]))
    done = run("gallery", "delete", folder, "--id", 0, "--id", 1, "--yes")
    assert "1 of their vectors equal vectors of rows that stay, and none of the others is in the" in done.out


def test_damaged_shards_are_removed_whole(run: Run, folder: Path) -> None:
    assert "Fix: leave the conditions out" in run("gallery", "delete", folder, "--set-aside", "--camera", 1).err


def test_damaged_shards_may_hold_a_person_who_is_not_found(run: Run, folder: Path) -> None:
    (shard,) = (folder / "shards").iterdir()
    os.truncate(shard, 100)
    done = run("gallery", "delete", folder, "--person", 1, "--yes")
    assert done.code == 1
    assert "Fix: remove these shards with --set-aside" in done.err
    assert run("gallery", "delete", folder, "--set-aside").code == 0
    assert not list((folder / "set-aside").glob("*"))
    assert run("gallery", "delete", folder, "--person", 1, "--yes").code == 0


def test_delete_by_likeness(run: Run, trained: Path, folder: Path, place: Path) -> None:
    image = min((place / "bounding_box_test").glob("*.jpg"))
    assert "--like-run" in run("gallery", "delete", folder, "--like", image, "--yes").err
    before = len(Store(folder))
    like = ["--like", image, "--like-run", trained, "--similarity", 0.999999]
    assert run("gallery", "delete", folder, *like, "--yes").code == 0
    assert len(Store(folder)) < before
    assert run("gallery", "verify", folder, "--absent", image).code == 0


def test_verify(run: Run, folder: Path, place: Path) -> None:
    image = min((place / "bounding_box_test").glob("*.jpg"))
    assert "no problems" in run("gallery", "verify", folder).out
    done = run("gallery", "verify", folder, "--absent", image, "--absent-id", 0)
    assert done.code == 1
    assert "by their content" in done.out
    assert "the first with the ID 0" in done.out
    (shard,) = (folder / "shards").iterdir()
    os.truncate(shard, 100)
    damaged = run("gallery", "verify", folder, "--json")
    assert damaged.code == 1
    assert "set aside" in json.loads(damaged.out)["problems"][0]
    assert "rows of damaged shards were removed" in run("gallery", "delete", folder, "--set-aside").out
    assert run("gallery", "verify", folder).code == 0


def test_prune(run: Run, folder: Path, place: Path) -> None:
    assert "has lost its image" in run("gallery", "prune", folder).out
    before = len(Store(folder))
    min((place / "bounding_box_test").glob("*.jpg")).unlink()
    assert run("gallery", "prune", folder, "--yes").code == 0
    assert len(Store(folder)) == before - 1
    shutil.rmtree(place / "bounding_box_test")  # the place exists, as that of a disk that is not mounted
    (place / "bounding_box_test").mkdir()
    assert "--missing-places drops them, too" in run("gallery", "prune", folder, "--yes").out
    shutil.rmtree(place)
    kept = run("gallery", "prune", folder, "--yes")
    assert "--missing-places drops them, too" in kept.out
    assert len(Store(folder)) == before - 1
    assert run("gallery", "prune", folder, "--missing-places", "--yes").code == 0
    assert len(Store(folder)) == 0


def test_a_name_with_two_colons_is_not_gone(run: Run, trained: Path, folder: Path, tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    odd.mkdir()
    Image.new("RGB", (32, 64), "teal").save(odd / "a::b.jpg")
    Image.new("RGB", (32, 64), "navy").save(odd / "plain.jpg")
    assert run("gallery", "add", trained, folder, odd).code == 0
    before = len(Store(folder))
    assert "lost its image" in run("gallery", "prune", folder, "--yes").out
    assert len(Store(folder)) == before


def test_stats(run: Run, folder: Path) -> None:
    found = json.loads(run("gallery", "stats", folder, "--json").out)
    assert found["images"] == len(Store(folder))
    assert found["tags"] == ["door"]
    words = run("gallery", "stats", folder).out
    assert f"images       {found['images']}" in words
    assert "tags         door" in words


def test_what_is_no_gallery(run: Run, trained: Path, place: Path) -> None:
    done = run("gallery", "search", trained, place, query_of(place))
    assert done.code == 1
    assert "passerby gallery create" in done.err


def test_feedback_is_recorded_listed_and_undone(run: Run, folder: Path, place: Path) -> None:
    assert run("gallery", "confirm", folder, 1, 2).out == "row 1 and row 2: the same person, as of version 3.\n"
    query = query_of(place)
    assert "which is not in the gallery, and row 3: different people" in run("gallery", "reject", folder, query, 3).out
    found = json.loads(run("gallery", "feedback", folder, "--json").out)["pairs"]
    assert [(each["b"], each["same"]) for each in found] == [(2, True), (3, False)]
    assert len(found[1]["a"]) == 64
    assert "were rejected" in run("gallery", "feedback", folder, "--undo").out
    assert "1 and 2: confirmed" in run("gallery", "feedback", folder).out
    absent = run("gallery", "confirm", folder, 1, 999)
    assert absent.code == 1
    assert "no row has the ID 999" in absent.err
    both = run("gallery", "feedback", folder, "--undo", "--drop", "pairs")
    assert both.code == 1
    assert run("gallery", "feedback", folder, "--drop", "pairs").code == 0
    assert "0 answers" in run("gallery", "feedback", folder).out


def test_an_engine_whose_address_is_wrong_or_that_does_not_answer(
    run: Run, trained: Path, folder: Path, place: Path, tmp_path: Path
) -> None:
    with_password = "postgresql://me:hunter2@localhost/people"
    for arguments in (("gallery", "create", trained, tmp_path / "new", "--engine", with_password),
                      ("gallery", "engine", folder, "attach", with_password)):  # fmt: skip
        done = run(*arguments)
        assert done.code == 1
        assert "PGPASSWORD" in done.err
        assert "hunter2" not in done.err + done.out
        assert not (tmp_path / "new").exists()
    assert "no address" in run("gallery", "engine", folder, "attach", "mysql://localhost/people").err
    assert "belongs to attach" in run("gallery", "engine", folder, "attach").err
    assert "has no engine" in run("gallery", "engine", folder, "sync").err
    before = Store(folder).version
    closed = "postgresql://me@127.0.0.1:1/people"
    assert run("gallery", "engine", folder, "attach", closed).code == 1
    assert run("gallery", "create", trained, tmp_path / "new", "--engine", closed).code == 1
    assert not (tmp_path / "new").exists()
    assert Store(folder).version == before
    assert json.loads(run("gallery", "engine", folder, "status", "--json").out)["engine"] is None
    assert len(hits(run, trained, folder, query_of(place), "--engine-required")) > 4


def test_several_images_rows_and_answers_are_asked_at_once(run: Run, trained: Path, folder: Path, place: Path) -> None:
    query, rows = query_of(place), len(Store(folder))
    found = hits(run, trained, folder, query, "-k", rows)
    near, far = found[2]["id"], found[-1]["id"]
    like = hits(run, trained, folder, "--like-id", near, "-k", rows)
    assert near not in {hit["id"] for hit in like}
    assert len(like) == rows - 1
    moved = run("gallery", "search", trained, folder, query, "--positive", near, "--negative", far, "-k", rows)
    assert "Asked: moved by 1 confirmed image, moved by 1 rejected image." in moved.out
    assert run("gallery", "confirm", folder, query, near).code == 0
    stored = json.loads(run("gallery", "search", trained, folder, query, "--feedback", "--json").out)
    assert stored["asked"]["positives"] == [near]
    assert "asked" not in json.loads(run("gallery", "search", trained, folder, query, "--json").out)
    both = run("gallery", "search", trained, folder, query, query, "--combine", "max", "--rerank", "--json")
    answer = json.loads(both.out)
    assert answer["asked"]["in_words"].startswith("nearest to any of 2 images, the nearest re-ranked")
    assert len(answer["queries"]) == 2
    person = hits(run, trained, folder, query, "--one-per", "person")
    assert len({hit["pid"] for hit in person}) == len(person)
    assert sum(hit["others"] + 1 for hit in person) == rows
    table = run("gallery", "search", trained, folder, "--like-id", near, "--one-per", "person")
    assert "others" in table.out
    figure = folder.parent / "row.png"
    done = run("gallery", "search", trained, folder, "--like-id", near, "-k", 2, "--other-cameras", "--output", figure)
    assert done.code == 0, done.err
    assert figure.exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--like-id", 999), "no row has the ID 999"),
        (("--positive", 1), "nothing to search for"),
        (("IMAGE", "--positive", 1, "--negative", 1), "both confirmed and rejected"),
        (("IMAGE", "--distance", "local"), "does not store"),
        (("IMAGE", "--group", 3), "no group has the ID 3"),
    ],
)
def test_questions_without_an_answer(
    run: Run, trained: Path, folder: Path, place: Path, options: tuple[object, ...], said: str
) -> None:
    given = [query_of(place) if each == "IMAGE" else each for each in options]
    done = run("gallery", "search", trained, folder, *given)
    assert done.code == 1
    assert said in done.err


def test_a_deleted_image_does_not_stop_a_figure(run: Run, trained: Path, folder: Path, place: Path) -> None:
    query = query_of(place)
    best = hits(run, trained, folder, query, "-k", 3)
    Path(best[1]["path"].replace("::", os.sep)).unlink()
    figure = folder.parent / "hits.png"
    for command in (("gallery", "search", trained, folder, query), ("search", trained, query, "--gallery", folder)):
        done = run(*command, "-k", 3, "--output", figure)
        assert done.code == 0, done.err
        assert "the figure lacks an image" in done.err
        assert best[1]["path"].rpartition("/")[2] in done.err
        assert figure.exists()
        figure.unlink()


def test_no_hits_are_a_sentence(run: Run, trained: Path, folder: Path, place: Path) -> None:
    figure = folder.parent / "hits.png"
    done = run("gallery", "search", trained, folder, query_of(place), "--tag", "snow", "--output", figure)
    assert done.code == 0
    assert f"None of {len(Store(folder))} images satisfies the conditions. Fix:" in done.out
    assert "Closest to" not in done.out
    assert figure.exists()


def test_more_hits_than_there_are_images(run: Run, trained: Path, folder: Path, place: Path) -> None:
    rows = sum(len(hits(run, trained, folder, query_of(place), "--camera", camera, "-k", 999)) for camera in (1, 2))
    assert rows == len(hits(run, trained, folder, query_of(place), "-k", 999))
    done = run("gallery", "search", trained, folder, query_of(place), "-k", 999)
    assert done.code == 0
    assert f"No more than these {rows:,} images can be found, fewer than -k 999." in done.out
    assert "No more than" not in run("gallery", "search", trained, folder, query_of(place), "-k", rows).out
    former = run("search", trained, query_of(place), "--gallery", folder, "-k", 999)
    assert (former.code, "fewer than -k 999" in former.out) == (0, True)


def test_images_of_no_known_camera_are_told(run: Run, trained: Path, folder: Path, place: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    Image.new("RGB", (32, 64), "teal").save(plain / "a.jpg")
    query = query_of(place)
    assert "no known camera" not in run("gallery", "search", trained, folder, query, "--not-camera", 1).err
    assert run("gallery", "add", trained, folder, plain).code == 0
    done = run("gallery", "search", trained, folder, query, "--not-camera", 1, "--json")
    assert "passerby: 1 images have no known camera" in done.err
    assert json.loads(done.out)["hits"]


def test_prune_of_a_gallery_that_moved(run: Run, trained: Path, folder: Path, place: Path, tmp_path: Path) -> None:
    moved = Path(shutil.move(folder, tmp_path / "moved.gallery"))
    before = len(Store(moved))
    assert "--images PLACE" in run("gallery", "prune", moved).err
    assert "lost its image" in run("gallery", "prune", moved, "--images", place, "--yes").out
    min((place / "bounding_box_test").glob("*.jpg")).unlink()
    assert run("gallery", "prune", moved, "--images", place, "--yes").code == 0
    assert len(Store(moved)) == before - 1


def test_the_log(run: Run, trained: Path, folder: Path, place: Path) -> None:
    run("gallery", "search", trained, folder, query_of(place), "--not-camera", 1, "-k", 2)
    run("search", trained, query_of(place), "--gallery", folder, "-k", 3)
    run("gallery", "delete", folder, "--person", 99, "--yes")
    run("gallery", "delete", folder, "--id", 0, "--yes")
    lines = json.loads(run("gallery", "log", folder, "--json").out)["lines"]
    told = [(line["what"], line["rows"], line["conditions"]) for line in lines]
    assert told[0] == ("create", 0, "")
    assert told[-3:] == [("search", 2, "1 image; not cameras 1"), ("search", 3, "1 image"), ("delete", 1, "ids 0")]
    words = run("gallery", "log", folder, "-n", 1).out
    assert "delete, 1 rows" in words
    assert ": ids 0" in words
    assert "search" not in words
    assert f"log          {len(lines)}" in run("gallery", "stats", folder).out
    checked = run("gallery", "verify", folder)
    assert checked.code == 0
    assert f"Its log has {len(lines)} lines, and the chain is whole; last hash" in checked.out
    file = folder / "audit.jsonl"
    file.write_bytes(file.read_bytes().replace(b"not cameras 1", b"not cameras 2"))
    broken = run("gallery", "verify", folder)
    assert broken.code == 1
    assert "the chain is broken" in broken.out


def test_export_of_a_person(run: Run, trained: Path, folder: Path, place: Path, tmp_path: Path) -> None:
    store = Store(folder)
    person = store.shards[0].column("pid")[0].as_py()
    expected = store.ids(Where(people=[person], junk=True))
    out = tmp_path / "subject"
    assert run("gallery", "confirm", folder, expected[0], expected[1]).code == 0
    done = run("gallery", "export-subject", folder, "--person", person, "-o", out)
    assert done.code == 0, done.err
    found = json.loads((out / "rows.json").read_text())
    assert [row["id"] for row in found["rows"]] == expected
    assert {row["pid"] for row in found["rows"]} == {person}
    assert found["rows"][0]["tags"] == ["door"]
    assert [(each["a"], each["b"], each["same"]) for each in found["answers"]] == [(*expected[:2], True)]
    vectors = np.load(out / "embedding.npy")
    shard = store.shards[0]
    assert np.array_equal(vectors, shard.embeddings(np.flatnonzero(np.isin(shard.ids, expected))).numpy())
    copies = {path.stem: path.read_bytes() for path in (out / "images").iterdir()}
    for row in found["rows"]:
        assert hashlib.sha256(copies[str(row["id"])]).hexdigest() == row["content"]
    last = json.loads(run("gallery", "log", folder, "--json", "-n", 1).out)["lines"][0]
    assert (last["what"], last["rows"], last["conditions"]) == ("export", len(expected), f"people {person}")
    assert "exists" in run("gallery", "export-subject", folder, "--person", person, "-o", out).err
    assert "no condition" in run("gallery", "export-subject", folder, "-o", tmp_path / "b").err
    assert "no row of" in run("gallery", "export-subject", folder, "--person", 12345, "-o", tmp_path / "b").err
    assert not (tmp_path / "b").exists()


def test_export_names_the_images_that_are_gone(run: Run, folder: Path, place: Path, tmp_path: Path) -> None:
    min((place / "bounding_box_test").glob("*.jpg")).unlink()
    done = run("gallery", "export-subject", folder, "--id", 0, "--id", 1, "-o", tmp_path / "subject")
    assert done.code == 0
    assert "was not copied" in done.err
    found = json.loads((tmp_path / "subject" / "rows.json").read_text())
    assert len(found["rows"]) == 2
    assert len(found["images_not_copied"]) == 1
    assert len(list((tmp_path / "subject" / "images").iterdir())) == 1


def test_export_says_why_no_image_may_be_read(run: Run, folder: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(folder, tmp_path / "moved.gallery")
    shutil.rmtree(folder)
    done = run("gallery", "export-subject", moved, "--id", 0, "--id", 1, "-o", tmp_path / "subject")
    assert done.code == 0, done.err
    assert done.err.count("not copied") == 1
    why = json.loads((tmp_path / "subject" / "rows.json").read_text())["images_not_copied"]
    assert len(why) == 2
    assert all("not written here" in each and "Fix" not in each for each in why.values())


def test_the_log_tells_moments_in_words(run: Run, trained: Path, folder: Path, place: Path) -> None:
    hits(run, trained, folder, query_of(place), "--since", "2024-05-01T10:00Z")
    last = json.loads(run("gallery", "log", folder, "--json", "-n", 1).out)["lines"][0]
    assert last["conditions"] == "1 image; taken from 2024-05-01T10:00:00+00:00"


def test_delete_says_which_ids_are_unknown_and_that_images_stay(run: Run, folder: Path) -> None:
    assert "no rows have these IDs: 99999\n" in run("gallery", "delete", folder, "--id", 99999, "--yes").err
    done = run("gallery", "delete", folder, "--id", 0, "--id", 99999, "--yes")
    assert "no rows have these IDs: 99999\n" in done.err
    assert "The images themselves stay where they are: delete them, too" in done.out


def test_groups_are_proposed_reviewed_and_undone(run: Run, trained: Path, folder: Path, place: Path) -> None:
    done = run("gallery", "group", folder, "--radius", 0.9)
    assert done.code == 0, done.err
    assert f"{len(Store(folder))} rows were compared." in done.out
    assert "Of pairs of known people: precision" in done.out
    found = json.loads(run("gallery", "group", folder, "--list", "--json").out)
    first, rows = found["groups"][0]["id"], found["groups"][0]["rows"]
    assert len(rows) > 3
    assert f"{first}: {len(rows)} rows, proposed" in run("gallery", "group", folder, "--list").out
    assert run("gallery", "group", folder, "--show", first).out.count("camera") == len(rows)
    shown = json.loads(run("gallery", "group", folder, "--show", first, "--json").out)
    assert [each["id"] for each in shown["rows"]] == rows
    assert f"Accepted: {first}." in run("gallery", "group", folder, "--accept", first).out
    query = query_of(place)
    assert {hit["id"] for hit in hits(run, trained, folder, query, "--group", first, "-k", 3)} <= set(rows)
    best = hits(run, trained, folder, query, "--one-per", "group")
    assert [hit["others"] for hit in best if hit["id"] in rows] == [len(rows) - 1]
    split = run("gallery", "group", folder, "--split", first, "--row", rows[0], "--row", rows[1])
    second = int(split.out.partition("Split into ")[2].partition(".")[0].rpartition(", ")[2])
    assert f"Merged into {first}." in run("gallery", "group", folder, "--merge", first, "--merge", second).out
    assert f"Undone: merge {first}, {second}." in run("gallery", "group", folder, "--undo").out
    assert f"Dissolved: {second}." in run("gallery", "group", folder, "--dissolve", second).out
    for arguments, said in (
        (("--list", "--undo"), "different commands"),
        (("--split", 1), "--row names them"),
        (("--list", "--radius", 0.5), "are about proposals"),
        (("--accept", 999), "no group has the ID 999"),
    ):
        failed = run("gallery", "group", folder, *arguments)
        assert failed.code == 1
        assert said in failed.err
