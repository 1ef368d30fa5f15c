from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.gallery.store.conftest import DIMENSIONS, ORIGIN, facts, files, filled, named, rows

from passerby.errors import DatasetLayoutError, OutputError, ProtocolError, ShapeError, WeightsError
from passerby.gallery.store.store import Store
from passerby.gallery.store.where import Where
from passerby.types import Role

Make = Callable[..., Store]


def test_what_is_added_is_found_here_and_elsewhere_at_once(make: Make) -> None:
    store = make(5)
    elsewhere = Store(store.path)
    further = rows(3, seed=7)
    added = store.add(further, facts(further))
    assert added.ids == (5, 6, 7)
    assert added.known == 0
    for each in (store, elsewhere):
        (hit,) = each.search(further.embedding[1:2], 1)[0]
        assert int(hit.shard.ids[hit.place]) == 6
        assert hit.distance == pytest.approx(0, abs=1e-6)
        assert hit.shard.column("path")[hit.place].as_py() == "7/1.jpg"
        assert len(each) == 8
    assert elsewhere.version == store.version


def test_adding_again_adds_nothing(make: Make) -> None:
    store = make(5)
    again = rows(8)
    added = store.add(again, facts(again))
    assert (len(added.ids), added.known) == (3, 5)
    version = store.version
    assert store.add(again, facts(again)).known == 8
    assert store.version == version, "nothing changed"


def test_an_image_twice_in_one_call_is_added_once(make: Make) -> None:
    twice = rows(2)
    same = facts(twice)
    same = type(same)(content=[same.content[0]] * 2)
    assert make().add(twice, same).known == 1


def test_ids_are_never_used_again(make: Make) -> None:
    store = make(4)
    store.delete([3])
    further = rows(1, seed=9)
    assert store.add(further, facts(further)).ids == (4,)
    assert store.ids() == [0, 1, 2, 4]


def test_what_is_deleted_is_neither_found_nor_on_the_disk(make: Make) -> None:
    store = make(50, 50)
    elsewhere = Store(store.path)
    elsewhere.search(torch.ones(1, DIMENSIONS), 3)
    gone = [7, 55, 99]
    deleted = store.delete(gone)
    assert (deleted.rows, deleted.found) == (3, 0)
    assert deleted.scanned
    vectors = [rows(50, seed=seed).embedding[row].numpy().tobytes() for seed, row in ((0, 7), (1, 5), (1, 49))]
    contents = b"".join(path.read_bytes() for path in store.path.rglob("*") if path.is_file())
    assert not [vector for vector in vectors if vector[:16] in contents]
    assert rows(50).embedding[8].numpy().tobytes() in contents, "the search finds what is there"
    for each in (store, elsewhere):
        hits = each.search(rows(50).embedding[7:8], 97)[0]
        assert len(hits) == 97
        assert not set(gone) & {int(hit.shard.ids[hit.place]) for hit in hits}
    assert files(store) == named(store)


def test_words_of_deleted_rows_are_gone_too(make: Make) -> None:
    store = make()
    for seed, place in enumerate(("/cafe/alice", "/cafe/bob")):
        person = rows(1, seed=seed)
        store.add(person, facts(person, place=place, tags=["red hat" if seed else "scar"]))
    store.compact()
    store.delete([0])
    contents = b"".join(path.read_bytes() for path in store.path.rglob("*") if path.is_file())
    assert b"bob" in contents
    assert b"alice" not in contents
    assert b"scar" not in contents


def test_a_center_tells_nothing_of_a_deleted_row(make: Make) -> None:
    store = make(2)
    before = store.shards[0].coarse.center.clone()
    store.delete([1])
    (kept,) = store.shards
    assert torch.allclose(kept.coarse.center, torch.nn.functional.normalize(rows(2).embedding)[0])
    assert not torch.allclose(kept.coarse.center, before)


def test_deleting_nothing_changes_nothing(make: Make) -> None:
    store = make(3)
    assert store.delete([77]).rows == 0
    assert store.version == Store(store.path).version == 2


def test_all_rows_can_be_deleted(make: Make) -> None:
    store = make(3)
    assert store.delete(range(3)).rows == 3
    assert len(store) == 0
    assert store.search(torch.ones(1, DIMENSIONS), 3) == [[]]
    assert files(store) == {"manifest.json"}


def test_small_shards_are_merged_and_rows_stay_in_order(make: Make) -> None:
    store = make(*[1] * 20)
    assert len(store.shards) < 8
    assert store.ids() == list(range(20))
    hits = store.search(rows(1, seed=13).embedding, 1)[0]
    assert int(hits[0].shard.ids[hits[0].place]) == 13
    assert files(store) == named(store)


def test_an_open_reader_is_not_disturbed_by_a_deletion(make: Make) -> None:
    store = make(20)
    reader = Store(store.path)
    (shard,) = reader.shards
    store.delete(range(10))
    assert not (store.path / "shards" / shard.entry.name).exists()
    assert torch.equal(shard.embeddings(shard.ids), rows(20).embedding)
    assert reader.refresh()
    assert reader.ids() == list(range(10, 20))
    assert not reader.refresh()


def test_junk_is_stored_and_never_found(make: Make) -> None:
    roles = torch.tensor([int(Role.PERSON), int(Role.JUNK), int(Role.DISTRACTOR)])
    added = rows(3, roles=roles)
    store = make()
    store.add(added, facts(added))
    assert len(store) == 3
    assert len(store.search(added.embedding[1:2], 3)[0]) == 2
    assert store.ids(Where()) == [0, 2]


def test_local_features_and_attributes_are_kept(tmp_path: Path) -> None:
    from dataclasses import replace

    origin = replace(ORIGIN, attributes=(("hat", ("no", "yes")),))
    store = Store.create(tmp_path / "a", origin, DIMENSIONS, stripes=(3, 4))
    added = rows(5, local=torch.randn(5, 3, 4), attributes=torch.rand(5, 2))
    store.add(added, facts(added))
    store.delete([2])
    (shard,) = Store(store.path).shards
    kept = torch.tensor([0, 1, 3, 4])
    assert added.local is not None
    assert added.attributes is not None
    assert torch.equal(shard.part("local"), added.local[kept])
    assert torch.equal(shard.part("attributes"), added.attributes[kept])
    with pytest.raises(ShapeError, match="stripe"):
        store.add(rows(1, seed=4, attributes=torch.rand(1, 2)), facts(rows(1, seed=4)))
    with pytest.raises(ShapeError, match="attributes"):
        store.add(rows(1, seed=4, local=torch.randn(1, 3, 4)), facts(rows(1, seed=4)))


def test_wrong_embeddings_and_queries_are_errors(make: Make) -> None:
    store = make(3)
    bad = rows(2, seed=5)
    with pytest.raises(ShapeError, match="23 dimensions"):
        store.add(rows(1, dimensions=23), facts(rows(1)))
    bad.embedding[1, 3] = torch.nan
    with pytest.raises(WeightsError, match="NaN"):
        store.add(bad, facts(bad))
    bad.embedding[1] = 0
    with pytest.raises(WeightsError, match="zero"):
        store.add(bad, facts(bad))
    with pytest.raises(ProtocolError, match="k must be at least 1"):
        store.search(torch.ones(1, DIMENSIONS), 0)
    with pytest.raises(ShapeError, match="queries"):
        store.search(torch.ones(1, 3), 1)
    with pytest.raises(ProtocolError, match="zero or not finite"):
        store.search(torch.zeros(1, DIMENSIONS), 1)
    assert len(store) == 3


def test_create_and_open_in_the_wrong_place(make: Make, tmp_path: Path) -> None:
    store = make(1)
    with pytest.raises(OutputError, match="exists"):
        Store.create(store.path, ORIGIN, DIMENSIONS)
    with pytest.raises(DatasetLayoutError, match="passerby gallery create"):
        Store(tmp_path / "nothing")
    with pytest.raises(DatasetLayoutError, match="is not a gallery"):
        Store(tmp_path)


def test_a_version_is_seen_whatever_times_and_inodes_say(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make(2)
    reader = Store(store.path)
    before = (store.path / "manifest.json").stat()
    store.delete([0])
    os.utime(store.path / "manifest.json", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert reader.refresh()
    assert reader.ids() == [1]


def test_an_empty_gallery_without_its_folder_of_shards(make: Make) -> None:
    store = make()
    (store.path / "shards").rmdir()
    added = rows(2)
    assert Store(store.path).add(added, facts(added)).ids == (0, 1)


def test_clocks_decide_nothing(make: Make) -> None:
    store = make(2)
    further = rows(1, seed=5)
    store.add(further, facts(further, added=-(10**15)))
    assert store.version == 3
    assert store.ids() == [0, 1, 2]


def test_galleries_are_alike_wherever_their_rows_came_from(tmp_path: Path) -> None:
    one, many = filled(tmp_path / "one", 30, 30), filled(tmp_path / "many")
    for seed in (0, 1):
        each = rows(30, seed=seed)
        for first in range(0, 30, 7):
            part = each[slice(first, first + 7)]
            many.add(part, facts(part))
    query = rows(4, seed=99).embedding
    ids = [[[int(hit.shard.ids[hit.place]) for hit in hits] for hits in s.search(query, 9)] for s in (one, many)]
    assert ids[0] == ids[1]


def test_a_copy_that_stays_is_no_trace_of_the_deleted_row(make: Make) -> None:
    store = make(4)
    copy = rows(4)[slice(2, 3)]
    other = rows(1, seed=9)
    store.add(copy, facts(other))
    deleted = store.delete([2])
    assert (deleted.rows, deleted.found, deleted.copies) == (1, 0, 1)
    assert store.ids() == [0, 1, 3, 4]


def test_equal_checksums_are_no_equal_vectors(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("passerby.gallery.store.table.crc_of", lambda rows: np.zeros(len(rows), np.uint32))
    monkeypatch.setattr("passerby.gallery.store.shard.crc_of", lambda rows: np.zeros(len(rows), np.uint32))
    store = make(4)
    assert store.delete([2]).copies == 0


def test_tracklets_and_thumbnails_survive_deleting_and_merging(make: Make) -> None:
    store = make(3)
    seen = rows(4, seed=5)
    spans = [(10, 20), (10, 20), None, (15, 30)]
    images = [b"a", None, b"c", b"d"]
    store.add(seen, facts(seen, tracklets=[7, 7, None, 2], seen=spans, thumbnails=images))
    known = {"tracklet": [3, 3, None, 6], "seen_from": [10, 10, None, 15], "seen_until": [20, 20, None, 30]}
    (last,) = store.shards[1:]
    assert {name: last.column(name).to_pylist() for name in known} == known
    assert [last.thumbnail(row) for row in range(4)] == images
    store.delete([0, 3])
    for seed in range(10, 40):
        more = rows(1, seed=seed)
        store.add(more, facts(more))
    assert len(store.shards) < 30, "they were merged"
    kept = {int(row): (shard, n) for shard in store.shards for n, row in enumerate(shard.ids)}
    assert [(shard.column("tracklet")[n].as_py(), shard.thumbnail(n)) for shard, n in (kept[4], kept[5], kept[6])] == [
        (3, None),
        (None, b"c"),
        (6, b"d"),
    ]


def test_a_thumbnail_is_checked_when_it_is_read(make: Make) -> None:
    store = make(1)
    seen = rows(1, seed=5)
    store.add(seen, facts(seen, thumbnails=[b"an image that is small"]))
    file = store.path / "shards" / store.shards[1].entry.name
    file.write_bytes(file.read_bytes().replace(b"an image that is small", b"an image that is other"))
    with pytest.raises(DatasetLayoutError, match="thumbnail differ from what was written"):
        Store(store.path).shards[1].thumbnail(0)
