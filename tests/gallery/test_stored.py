from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import passerby
from passerby.data.images.open import QueryImage
from passerby.errors import ConfigError, DatasetLayoutError, ImageError, ProtocolError, WeightsError
from passerby.gallery import Ask, Gallery, StoredGallery, StoredHit, Where
from passerby.gallery.ingest import ingest as ingest_module
from passerby.gallery.retention import days_ago, gone, rows_that, summary
from passerby.gallery.store import Store
from passerby.gallery.store.where import moment
from passerby.gallery.stored_images import StoredImages, images_of
from passerby.inference.embeddings_file import read_embeddings
from passerby.inference.model import Model
from passerby.inference.options import InferenceOptions
from passerby.metrics.calibration import Calibration
from passerby.metrics.open_set import RATES
from passerby.metrics.probability import Steps
from passerby.metrics.verification import CalibrationQuality, Threshold
from passerby.retrieval.ranking import top_k
from passerby.types import Rerank


@pytest.fixture(autouse=True)
def _unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda _: None)


@pytest.fixture
def gallery(model: Model, tmp_path: Path) -> StoredGallery:
    created = passerby.Gallery.create(model, tmp_path / "people.gallery")
    assert isinstance(created, StoredGallery)
    return created


def ids(hits: list[passerby.Hit]) -> list[int]:
    return [hit.id for hit in hits if isinstance(hit, StoredHit)]


def test_hits_are_those_of_a_gallery_in_memory(gallery: StoredGallery, model: Model, market: Path) -> None:
    assert len(gallery.add(market).ids) == 5
    memory = Gallery(model)
    memory.add(market)
    query = f"{market}::query/0003_c2s1_000011_00.jpg"
    found, expected = gallery.search(query, 4), memory.search(query, 4)
    assert [hit.path for hit in found] == [f"{market.resolve()}::{hit.path}" for hit in expected]
    for name in ("rank", "distance", "pid", "camid", "role", "verdict"):
        assert [getattr(hit, name) for hit in found] == [getattr(hit, name) for hit in expected]
    assert len(gallery) == len(memory) == 4, "junk is not found"
    assert len(gallery.embeddings) == 5
    assert torch.equal(gallery.embeddings.embedding, memory.embeddings.embedding)


def test_it_opens_again_by_the_same_name(gallery: StoredGallery, model: Model, people: Path) -> None:
    gallery.add(people)
    again = passerby.Gallery.open(model, gallery.store.path)
    assert isinstance(again, StoredGallery)
    hit = again.search(people / "3.png", 1)[0]
    assert hit.path == f"{people.resolve()}::3.png"
    assert np.array_equal(np.asarray(again.image(hit)), np.asarray(Image.open(people / "3.png")))
    with pytest.raises(ConfigError, match="as a whole"):
        passerby.Gallery.open(model, gallery.store.path, split="gallery")


def test_another_model_is_an_error_with_the_fix(gallery: StoredGallery, model: Model, other_model: Model) -> None:
    with pytest.raises(WeightsError, match=r"another model.*passerby gallery create"):
        Gallery.open(other_model, gallery.store.path)
    assert isinstance(model.network, torch.nn.Module)
    flipped = Model(model.network, model.size, InferenceOptions(device="cpu", flip_tta=True))
    with pytest.raises(ConfigError, match=r"passerby gallery create RUN FOLDER --flip-tta"):
        Gallery.open(flipped, gallery.store.path)


def test_adding_is_idempotent_by_content_and_resumes(
    gallery: StoredGallery, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest_module, "CHUNK", 2)
    shutil.copy(people / "0.png", people / "zz.png")
    steps: list[int] = []

    def interrupt(count: int) -> None:
        steps.append(count)
        if sum(steps) >= 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gallery.add(people, progress=interrupt)
    assert len(Store(gallery.store.path)) == 2, "the first chunk is there"
    steps = []
    added = gallery.add(people, progress=steps.append)
    assert (len(added.ids), added.known) == (4, 3)
    assert sum(steps) == 7
    assert gallery.add(people).known == 7


def test_broken_images_are_listed_or_an_error(gallery: StoredGallery, people: Path) -> None:
    (people / "2.png").write_bytes(b"no image")
    (people / "more" / "5.png").write_bytes(b"")
    with pytest.raises(ImageError, match=r"2\.png.*without --strict"):
        gallery.add(people, strict=True)
    added = gallery.add(people)
    assert len(added.ids) == 4
    assert sorted(added.broken) == [f"{people.resolve()}::2.png", f"{people.resolve()}::more/5.png"]
    for name in ("0", "1", "3", "4"):
        (people / f"{name}.png").write_bytes(b"broken, too " + name.encode())
    assert gallery.add(people).ids == []


def test_conditions_and_facts(gallery: StoredGallery, people: Path, market: Path) -> None:
    gallery.add(people, camera=7, taken="2024-05-01T12:00+00:00", tags=["door", "rain"], collection="monday")
    gallery.add(market, tags=["door"])
    query = people / "0.png"
    everything = len(gallery)
    assert everything == 10
    hit = gallery.search(query, 1)[0]
    assert isinstance(hit, StoredHit)
    assert (hit.camid, hit.tags, hit.collection, hit.taken) == (7, ("door", "rain"), "monday", 1714564800000)
    assert hit.content == hashlib.sha256(query.read_bytes()).hexdigest()
    cases = {
        6: [Where(cameras=[7]), Where(tags=["rain"]), Where(tags=["rain", "door"]), Where(collections=["monday"])],
        4: [Where(not_cameras=[7])],
        0: [Where(tags=["snow"]), Where(taken_from=1714564800001), Where(taken_before=1714564800000)],
        10: [Where(tags=["door"])],
    }
    for count, conditions in cases.items():
        for where in conditions:
            assert len(gallery.search(query, 10, where=where)) == count, where
            assert gallery.matching(None, where) == count
    assert len(gallery.search(query, 10, where=Where(taken_from=1714564800000, taken_before=1714564800001))) == 6
    assert {hit.pid for hit in gallery.search(query, 10, where=Where(people=[3]))} == {3}
    with pytest.raises(ConfigError, match="one line"):
        gallery.add(people, tags=["a\nb"])
    with pytest.raises(ConfigError, match="no moment"):
        gallery.add(people, taken="yesterday")


@pytest.mark.parametrize("name", ["cameras", "not_cameras", "people", "ids"])
@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**30])
def test_numbers_of_more_than_64_bits_are_an_error(name: str, number: int) -> None:
    with pytest.raises(ConfigError, match=rf"too large for {name}: got {number}"):
        Where(**{name: [1, number]})  # type: ignore[arg-type]
    assert Where(**{name: [2**63 - 1, -(2**63)]})  # type: ignore[arg-type]


def test_a_camera_of_more_than_64_bits_is_an_error(gallery: StoredGallery, people: Path) -> None:
    with pytest.raises(ConfigError, match="too large for camera"):
        gallery.add(people, camera=2**63)
    with pytest.raises(ConfigError, match="too large for taken"):
        gallery.add(people, taken=2**63)
    with pytest.raises(ConfigError, match="too large for taken_from"):
        Where(taken_from=2**63)
    assert gallery.delete([2**70, -1]).rows == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-05-01T10:30:00Z", 1714559400000),
        ("2024-05-01t10:30:00z", 1714559400000),
        ("2024-05-01 10:30Z", 1714559400000),
        ("2024-05-01T12:30:00.250+02:00", 1714559400250),
    ],
)
def test_moments(text: str, expected: int) -> None:
    assert moment(text) == expected


@pytest.mark.parametrize(
    "text", ["2024-W01", "2024-W01-1", "20240501", "2024-05", "2024-05-01T10", "2024-13-01", "", "z"]
)
def test_no_moments(text: str) -> None:
    with pytest.raises(ConfigError, match=r"no moment: got .* Fix: write 2024-05-01"):
        moment(text)


def test_wrong_searches(gallery: StoredGallery, people: Path) -> None:
    with pytest.raises(ProtocolError, match="empty"):
        gallery.search(people / "0.png")
    gallery.add(people)
    with pytest.raises(ProtocolError, match="at least 1, got 0"):
        gallery.search(people / "0.png", 0)
    assert len(gallery.search(people / "0.png", 7)) == 6, "all that there are, as under conditions"
    with pytest.raises(ProtocolError, match="nothing to search"):
        gallery.search(None)
    with pytest.raises(ConfigError, match="takes an image"):
        gallery.search(torch.zeros(3))  # type: ignore[arg-type]


def test_deletion_by_likeness(gallery: StoredGallery, people: Path) -> None:
    gallery.add(people)
    alike = gallery.like(people / "3.png", 0.9999)
    assert alike == ids(gallery.search(people / "3.png", 1))
    assert gallery.like(people / "3.png", -1) == list(range(6))
    deleted = gallery.delete(alike)
    assert (deleted.rows, deleted.found) == (1, 0)
    assert not set(alike) & set(ids(gallery.search(people / "3.png", 5)))


def test_retention_by_time(gallery: StoredGallery, people: Path, market: Path) -> None:
    gallery.add(people, taken="2001-01-01")
    gallery.add(market)
    assert rows_that(gallery.store, Where(), before=days_ago(30)) == list(range(6))
    assert len(rows_that(gallery.store, Where(), before=days_ago(-0.0) + 10_000)) == 11, "junk, too"
    assert rows_that(gallery.store, Where(cameras=[99]), before=days_ago(0)) == []
    with pytest.raises(ConfigError, match="-1 days"):
        days_ago(-1)


def test_rows_whose_images_are_gone(gallery: StoredGallery, people: Path, market: Path) -> None:
    gallery.add(people)
    gallery.add(market)
    gallery.add([Image.new("RGB", (32, 64), "red"), people / "1.png"])
    (people / "1.png").unlink()
    shutil.rmtree(market)
    found = gone(gallery.store, gallery.source)
    assert found.ids == [1]
    assert found.places == {str(market.resolve()): [6, 7, 8, 9, 10]}


def test_images_of_a_foreign_gallery_are_read_only_where_the_user_says(
    gallery: StoredGallery, model: Model, people: Path, tmp_path: Path
) -> None:
    gallery.add(people)
    shutil.copytree(gallery.store.path, tmp_path / "copy")
    copy = StoredGallery.open(model, tmp_path / "copy")
    hit = copy.search(people / "0.png", 1)[0]
    with pytest.raises(DatasetLayoutError, match="not written here"):
        copy.image(hit)
    assert StoredGallery.open(model, tmp_path / "copy", root=people).image(hit).size == (32, 64)
    with pytest.raises(DatasetLayoutError, match="lies outside"):
        StoredImages(tmp_path, ["/x"], people).read("/x::../secret.png")


def test_save_writes_a_file_of_embeddings(gallery: StoredGallery, market: Path, tmp_path: Path) -> None:
    gallery.add(market)
    gallery.save(tmp_path / "out.parquet")
    stored = read_embeddings(tmp_path / "out.parquet")
    assert len(stored.embeddings) == 5
    assert set(stored.splits) == {"gallery"}
    assert (
        Gallery.open(gallery.model, tmp_path / "out.parquet")
        .search(f"{market}::query/0001_c1s1_000010_00.jpg", 1)[0]
        .path.endswith(".jpg")
    )


def test_a_summary(gallery: StoredGallery, market: Path) -> None:
    gallery.add(market, tags=["a", "b"], taken="2024-05-01T00:00Z")
    found = summary(gallery.store)
    assert (found["images"], found["junk"], found["cameras"], found["tags"]) == (5, 1, [1, 2, 3], ["a", "b"])
    assert found["taken"] == ["2024-05-01T00:00:00+00:00"] * 2
    assert found["model"]["fingerprint"] == gallery.model.fingerprint
    assert (found["tracklets"], found["thumbnails"], found["log"]) == (0, 0, 2)


def test_synthetic_places_make_a_synthetic_gallery(gallery: StoredGallery, people: Path, figures_of: Path) -> None:
    gallery.add(figures_of)
    assert images_of(gallery.store).is_synthetic
    gallery.add(people)
    assert not images_of(gallery.store).is_synthetic


@pytest.fixture
def figures_of(tmp_path: Path, draw_people) -> Path:  # type: ignore[no-untyped-def]
    return Path(draw_people(tmp_path / "drawn", people=4, cameras=2, images=2))


def test_the_same_file_is_told_by_its_content(gallery: StoredGallery, people: Path) -> None:
    gallery.add(people)
    query = QueryImage.of(people / "2.png")
    hit = gallery.search(query, 1)[0]
    assert gallery._is_file_of(hit, query)
    (people / "2.png").unlink()
    assert gallery._is_file_of(hit, query), "its digest is stored"
    assert not gallery._is_file_of(hit, replace(query, content=query.content + b"x"))


def test_feedback_names_rows_and_images(gallery: StoredGallery, people: Path, tmp_path: Path) -> None:
    gallery.add(people)
    assert gallery.confirm(people / "3.png", 1).a == 3, "an image that is in the gallery is its row"
    other = tmp_path / "other.png"
    Image.new("RGB", (32, 64), "red").save(other)
    assert gallery.reject(other, 2).a == hashlib.sha256(other.read_bytes()).hexdigest()
    gallery.confirm(0, 4)
    assert gallery.feedback.pairs() == [(0, 4, True), (1, 3, True)]
    gallery.delete([4])
    assert gallery.feedback.pairs() == [(1, 3, True)]


def test_several_images_rows_and_feedback_are_one_query(gallery: StoredGallery, people: Path) -> None:
    gallery.add(people)
    both = gallery.search([people / "1.png", people / "4.png"], 2, how=Ask(combine="max"))
    assert sorted(ids(both)) == [1, 4]
    assert [hit.distance for hit in both] == pytest.approx([0, 0], abs=1e-5)
    image = gallery.search([people / "1.png", people / "4.png"], 6)
    row = gallery.search(None, 4, how=Ask(like_ids=(1, 4)))
    assert [each for each in ids(image) if each not in (1, 4)] == ids(row), "rows that are queries are not found"
    gallery.confirm(people / "1.png", 3)
    gallery.reject(1, 5)
    how = gallery.with_feedback(people / "1.png", Ask())
    assert (how.positives, how.negatives) == ((3,), (5,))
    assert gallery.with_feedback(people / "1.png", Ask(negatives=(3,))).positives == ()
    alone, moved = gallery.search(people / "1.png", 6), gallery.search(people / "1.png", 6, how=how)
    distance = {hit.id: hit.distance for hit in alone if isinstance(hit, StoredHit)}
    after = {hit.id: hit.distance for hit in moved if isinstance(hit, StoredHit)}
    assert set(after) == {0, 1, 2, 3, 4}, "what was rejected is not found"
    assert after[3] < distance[3]
    assert ids(gallery.search(people / "1.png", 6)) == ids(alone), "answers act only where they are asked for"


def test_distances_that_are_not_of_two_images_have_no_verdict(model: Model, people: Path, tmp_path: Path) -> None:
    step, thresholds = Steps((1e-9, 1.0), (0.57, 0.4, 0.1)), tuple(Threshold(rate, 0.5) for rate in RATES)
    quality = CalibrationQuality(1, 1, 0.0, 0.0, ())
    calibration = Calibration(step, thresholds, 5, 5, model.protocol, model.fingerprint, "d:/x", "", 0, quality)
    known = Model(model.network, model.size, model.options, calibration=calibration)
    gallery = StoredGallery.create(known, tmp_path / "g")
    gallery.add(people)
    assert all(hit.verdict for hit in gallery.search(people / "1.png", 4))
    row = gallery.search(None, 4, how=Ask(like_ids=(1,)))
    assert all(hit.verdict for hit in row), "a row is an image"
    for how in (Ask(rerank=Rerank(k1=3, k2=2)), Ask(positives=(2,))):
        hits = gallery.search(people / "1.png", 6, how=how)
        assert {hit.verdict for hit in hits} == {None, "same file"}
        assert next(hit for hit in hits if hit.verdict == "same file").path.endswith("1.png")
        assert all(hit.same_person is None for hit in hits)
    pooled = gallery.search([people / "1.png", people / "2.png"], 6)
    assert [hit.verdict for hit in pooled].count("same file") == 2


def test_stripes_are_stored_and_rank_the_nearest_again(people: Path, tmp_path: Path, gallery: StoredGallery) -> None:
    from passerby.models.registry import create_model

    with torch.random.fork_rng():
        torch.manual_seed(0)
        known = Model(create_model("aligned_reid", num_classes=3, backbone="resnet18_half"), (64, 32))
    stored = StoredGallery.create(known, tmp_path / "stripes.gallery", stripes=True)
    stored.add(people)
    query = known.embed(people / "1.png", with_local=True)
    whole = known.embed([people / f"{n}.png" for n in range(5)] + [people / "more" / "5.png"], with_local=True)
    for distance in ("local", "global_local"):
        core = top_k(query, whole, 6, distance=distance)  # type: ignore[arg-type]
        hits = stored.search(people / "1.png", 6, how=Ask(distance=distance))  # type: ignore[arg-type]
        assert ids(hits) == core.indices[0].tolist()
    gallery.add(people)
    with pytest.raises(ProtocolError, match="does not store"):
        gallery.search(people / "1.png", how=Ask(distance="local"))
    with pytest.raises(ConfigError, match="has no stripe vectors"):
        StoredGallery.create(gallery.model, tmp_path / "none.gallery", stripes=True)


def test_every_search_tells_the_rows_that_it_misses(
    gallery: StoredGallery, model: Model, people: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gallery.add(people / "more")
    gallery.add(people)
    assert len(ids(gallery.search(people / "0.png"))) == 6
    assert "the search was not in" not in caplog.text
    first, second = gallery.store.manifest.shards
    (gallery.store.path / "shards" / first.name).unlink()
    for _ in range(2):
        caplog.clear()
        opened = StoredGallery.open(model, gallery.store.path)
        assert len(opened.search(people / "0.png")) == second.rows
        assert f"the search was not in {first.rows} rows" in caplog.text
    (gallery.store.path / "shards" / second.name).unlink()
    for _ in range(2):
        with pytest.raises(ProtocolError, match="its 6 rows are in shards that are damaged or gone"):
            StoredGallery.open(model, gallery.store.path).search(people / "0.png")
