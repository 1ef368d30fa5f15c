from __future__ import annotations

import io
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from passerby.data.images.open import QueryImage, list_images, open_images
from passerby.data.source import open_source
from passerby.errors import (
    ConfigError,
    DatasetLayoutError,
    ImageError,
    OutputError,
    ProtocolError,
    UnknownNameError,
    WeightsError,
)
from passerby.gallery.gallery import Gallery
from passerby.inference.embeddings_file import write_embeddings, write_query_gallery
from passerby.inference.model import Model
from passerby.inference.options import InferenceOptions
from passerby.metrics.calibration import Calibration
from passerby.metrics.open_set import RATES
from passerby.metrics.probability import Steps
from passerby.metrics.verification import CalibrationQuality, Threshold
from passerby.models.registry import create_model
from passerby.retrieval.distance.euclidean import PreparedColumns
from passerby.retrieval.ranking import top_k
from passerby.types import Embeddings, Role


def paths(place: str | Path, split: str | None = None) -> list[str]:
    return [s.path for s in list_images(place, split)[1]]  # type: ignore[arg-type]


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def blobs(seed: int) -> Image.Image:
    """Return a smooth random image, as in the folder ``people``."""
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 2, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((32, 64), Image.Resampling.BICUBIC)


def filled(model: Model, place: str | Path, **options: Any) -> Gallery:
    """Return a gallery of the images of a place."""
    gallery = Gallery(model)
    gallery.add(place, **options)
    return gallery


def zipped(folder: Path) -> Path:
    return Path(shutil.make_archive(str(folder), "zip", folder.parent, folder.name))


# images


def test_an_unknown_layout_gives_every_image_and_no_labels(people: Path) -> None:
    _, samples = list_images(people)
    assert [s.path for s in samples] == ["0.png", "1.png", "2.png", "3.png", "4.png", "more/5.png"]
    assert all(s.pid is None and s.camid is None for s in samples)
    assert paths(people, "all") == paths(people)


def test_a_place_with_or_without_labels_is_a_dataset(people: Path, market: Path) -> None:
    bare, known = open_images(people), open_images(market)
    assert [sample.path for sample in bare.gallery] == [sample.path for sample in list_images(people)[1]]
    assert {sample.pid for sample in bare.gallery} == {None}
    assert not bare.query
    assert known.name == "market1501"
    assert known.query


def test_a_dataset_gives_its_gallery_with_labels(market: Path) -> None:
    _, samples = list_images(market)
    assert len(samples) == 5
    assert all("bounding_box_test" in s.path for s in samples)
    assert {s.pid for s in samples if s.role is Role.PERSON} == {1, 3}


@pytest.mark.parametrize(("split", "count"), [("train", 4), ("query", 2), ("gallery", 5), ("all", 11)])
def test_splits(market: Path, split: str, count: int) -> None:
    assert len(set(paths(market, split))) == count


def test_name_and_path_in_one(market: Path) -> None:
    assert paths(f"market1501:{market}") == paths(market)
    with pytest.raises(UnknownNameError, match="market1501"):
        list_images(f"market1502:{market}")


def test_places_without_images(people: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetLayoutError, match="no images"):
        list_images(tmp_path / "empty")
    with pytest.raises(DatasetLayoutError, match="does not exist"):
        list_images(tmp_path / "nowhere")
    with pytest.raises(DatasetLayoutError, match="no query split"):
        list_images(people, "query")


def test_a_missing_split_is_not_replaced_by_another(market: Path) -> None:
    shutil.rmtree(market / "bounding_box_train")
    with pytest.raises(DatasetLayoutError, match="train"):
        list_images(market, "train")


# search


def test_each_image_finds_itself_first(model: Model, people: Path) -> None:
    gallery = filled(model, people)
    assert len(gallery) == 6
    for name in gallery.embeddings.paths:
        hits = gallery.search(people / name, k=6)
        assert hits[0].path == name
        assert hits[0].distance == pytest.approx(0, abs=1e-5)
        assert hits[1].distance > 1e-2
        assert [h.rank for h in hits] == [1, 2, 3, 4, 5, 6]
        assert [h.distance for h in hits] == sorted(h.distance for h in hits)
        assert all(h.pid is None and h.camid is None for h in hits)


def test_a_short_answer_is_the_head_of_the_long_one(model: Model, people: Path) -> None:
    gallery = filled(model, people)
    every = gallery.search(people / "2.png", k=6)
    for k in range(1, 6):
        assert gallery.search(people / "2.png", k=k) == every[:k]


def test_search_is_the_ranking_core_s(model: Model, people: Path) -> None:
    gallery = filled(model, people)
    ranking = top_k(model.embed([people / "3.png"]), gallery.embeddings, 4)
    hits = gallery.search(people / "3.png", k=4)
    assert [gallery.embeddings.paths[i] for i in ranking.indices[0].tolist()] == [h.path for h in hits]
    assert [h.distance for h in hits] == pytest.approx(ranking.distances[0].tolist())


def test_more_than_the_gallery_holds_are_all_of_it(model: Model, people: Path) -> None:
    gallery = filled(model, people)
    assert len(gallery.search(people / "0.png", k=7)) == len(gallery.search(people / "0.png")) == 6
    with pytest.raises(ProtocolError, match="at least 1, got 0"):
        gallery.search(people / "0.png", k=0)


@pytest.mark.parametrize("pack", ["zip", "tar"])
def test_an_archive_is_searched_in_place(model: Model, people: Path, pack: str) -> None:
    archive = Path(shutil.make_archive(str(people), pack, people))
    gallery = filled(model, archive)
    hit = gallery.search(f"{archive}::more/5.png", k=1)[0]
    assert hit.path == "more/5.png"
    assert gallery.image(hit).tobytes() == Image.open(people / "more" / "5.png").tobytes()


def test_hits_carry_labels_and_junk_is_never_found(model: Model, market: Path) -> None:
    gallery = filled(model, market)
    junk = next(p for p in gallery.embeddings.paths if "-1_" in p)
    assert len(gallery) == 4
    hits = gallery.search(market / junk)
    assert len(hits) == 4
    assert junk not in [h.path for h in hits]
    person = next(h for h in hits if "0003_c1" in h.path)
    assert person.pid == 3
    assert gallery.embeddings.camids is not None
    assert person.camid == int(gallery.embeddings.camids[gallery.embeddings.paths.index(person.path)])


def test_a_pil_image_is_searched_as_its_file_is(model: Model, people: Path) -> None:
    gallery = filled(model, people)
    assert gallery.search(Image.open(people / "1.png"), k=3) == gallery.search(people / "1.png", k=3)
    assert gallery.search(Image.open(people / "1.png").convert("P"), k=3)


def test_a_turned_pil_image_is_set_upright(model: Model, people: Path) -> None:
    gallery = filled(model, people)
    upright, file = Image.open(people / "1.png"), io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 3  # stored upside down
    upright.transpose(Image.Transpose.ROTATE_180).save(file, "PNG", exif=exif)
    assert gallery.search(Image.open(file), k=1)[0].distance == pytest.approx(0, abs=1e-5)


# queries


def test_a_query_inside_a_dataset_comes_with_its_person(market: Path) -> None:
    for place, prefix in ((market, ""), (zipped(market), f"{market.name}/")):
        query = QueryImage.of(f"{place}::{prefix}query/0003_c2s1_000011_00.jpg")
        assert query.pid == 3
        assert query.sample.camid is not None
        assert query.image.size == (32, 64)
        assert QueryImage.of(f"{place}::{prefix}bounding_box_test/0000_c1s1_000020_00.jpg").pid is None


def test_a_query_is_hinted_at_by_the_end_of_its_name(market: Path) -> None:
    archive = zipped(market)
    with pytest.raises(DatasetLayoutError, match=f"did you mean .*::{market.name}/query/0003"):
        QueryImage.of(f"{archive}::query/0003_c2s1_000011_00.jpg")
    with pytest.raises(DatasetLayoutError, match=r"no image 'x\.jpg'"):
        QueryImage.of(f"{archive}::x.jpg")
    with pytest.raises(DatasetLayoutError, match="does not exist"):
        QueryImage.of(f"{archive}.tgz::x.jpg")


def test_queries_that_cannot_be(model: Model, people: Path, tmp_path: Path) -> None:
    gallery = filled(model, people)
    with pytest.raises(DatasetLayoutError, match=r"no image .*missing\.jpg"):
        gallery.search(tmp_path / "missing.jpg")
    with pytest.raises(DatasetLayoutError, match=r"is a folder\. Fix: give one image"):
        gallery.search(people)
    with pytest.raises(ConfigError, match="a search takes an image: got Embeddings"):
        gallery.search(gallery.embeddings)  # type: ignore[arg-type]
    with pytest.raises(ImageError, match=r"notes\.txt"):
        gallery.search(people / "notes.txt")
    cut = tmp_path / "cut.jpg"
    Image.effect_noise((64, 128), 50).convert("RGB").save(cut)
    cut.write_bytes(cut.read_bytes()[:900])
    with pytest.raises(ImageError, match=r"cut\.jpg"):
        gallery.search(cut)


def test_a_file_whose_name_looks_like_a_place_is_a_file(people: Path) -> None:
    odd = people / "a::b.png"
    shutil.copy(people / "0.png", odd)
    assert QueryImage.of(str(odd)).sample.path == str(odd)


# on disk


def test_saved_and_opened_answers_the_same(model: Model, market: Path, tmp_path: Path) -> None:
    gallery = filled(model, market)
    gallery.save(tmp_path / "g.parquet")
    opened = Gallery.open(model, tmp_path / "g.parquet")
    assert torch.equal(opened.embeddings.embedding, gallery.embeddings.embedding)
    query = market / "query" / "0001_c1s1_000010_00.jpg"
    assert opened.search(query) == gallery.search(query)
    hit = opened.search(query)[0]
    assert opened.image(hit).tobytes() == gallery.image(hit).tobytes()


def test_a_relative_folder_is_found_from_elsewhere(
    model: Model, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(people.parent)
    filled(model, "people").save("g.parquet")
    monkeypatch.chdir("/")
    opened = Gallery.open(model, tmp_path / "g.parquet")
    assert opened.image(opened.search(people / "0.png", k=1)[0]).size == (32, 64)


def test_images_that_moved(model: Model, people: Path, tmp_path: Path) -> None:
    filled(model, people).save(tmp_path / "g.parquet")
    moved = people.rename(tmp_path / "elsewhere")
    opened = Gallery.open(model, tmp_path / "g.parquet")
    hit = opened.search(moved / "0.png", k=1)[0]  # distances need no images
    with pytest.raises(DatasetLayoutError, match="not where they were embedded"):
        opened.image(hit)
    assert Gallery.open(model, tmp_path / "g.parquet", root=moved).image(hit).size == (32, 64)


def test_embeddings_of_another_model_raise(model: Model, other_model: Model, people: Path, tmp_path: Path) -> None:
    filled(model, people).save(tmp_path / "g.parquet")
    with pytest.raises(WeightsError, match=model.fingerprint) as refusal:
        Gallery.open(other_model, tmp_path / "g.parquet")
    assert "passerby embed RUN" in str(refusal.value)
    with pytest.raises(WeightsError, match="another model"):
        Gallery.open(Model(model.network, (32, 32)), tmp_path / "g.parquet")


@pytest.mark.parametrize("option", ["flip_tta", "normalize"])
def test_a_gallery_remembers_how_it_was_embedded(model: Model, people: Path, tmp_path: Path, option: str) -> None:
    value = option == "flip_tta"  # the other one than by default
    other = Model(model.network, model.size, InferenceOptions(**{option: value}))  # type: ignore[arg-type]
    for maker, stem in ((model, "plain"), (other, "other")):
        filled(maker, people).save(tmp_path / f"{stem}.parquet")
    name = option.replace("_", "-")
    here, there = (f"--{name}", f"--no-{name}") if value else (f"--no-{name}", f"--{name}")
    for searcher, stem, theirs, ours in ((model, "other", here, there), (other, "plain", there, here)):
        file = tmp_path / f"{stem}.parquet"
        said = f"'{file}' was embedded with {theirs}, but this search is with {ours},"
        with pytest.raises(ConfigError, match=re.escape(said)) as refusal:
            Gallery.open(searcher, file)
        keyword = f"{option}={not theirs.startswith('--no-')}"
        assert f"search with {theirs} (in Python: passerby.load(RUN, {keyword}))," in str(refusal.value)
        assert str(refusal.value).endswith(f"passerby embed RUN {people} -o {file} {ours} --overwrite")
    own = Gallery.open(other, tmp_path / "other.parquet")
    (hit,) = own.search(people / "3.png", 1)
    assert hit.path == "3.png"
    assert hit.distance == pytest.approx(0, abs=1e-4)


def test_distances_of_a_gallery_are_those_of_its_protocol(model: Model, people: Path) -> None:
    raw = filled(Model(model.network, model.size, InferenceOptions(normalize=False)), people)
    ranking = top_k(model.embed([people / "3.png"]), raw.embeddings, 4, normalize=False)
    assert [h.distance for h in raw.search(people / "3.png", 4)] == pytest.approx(ranking.distances[0].tolist())
    assert raw.search(people / "3.png", 4)[3].distance != pytest.approx(
        filled(model, people).search(people / "3.png", 4)[3].distance
    )


def test_a_gallery_that_cannot_be_written(model: Model, people: Path, tmp_path: Path) -> None:
    gallery = filled(model, people)
    with pytest.raises(OutputError):
        gallery.save(tmp_path / "nowhere" / "g.parquet")
    assert names(tmp_path) == ["people"]


def test_an_image_that_cannot_be_read_stops_the_embedding(model: Model, people: Path) -> None:
    (people / "3.png").write_bytes((people / "3.png").read_bytes()[:60])
    with pytest.raises(ImageError, match=r"3\.png"):
        filled(model, people)


def test_progress_counts_images(model: Model, people: Path) -> None:
    counts: list[int] = []
    filled(Model(model.network, model.size, InferenceOptions(batch_size=4)), people, progress=counts.append)
    assert counts == [4, 2]


def test_hand_made_embeddings_without_labels(model: Model, people: Path) -> None:
    known = model.embed([people / "0.png", people / "1.png"])
    bare = Embeddings(known.embedding, known.paths)
    gallery = Gallery(model, bare, open_source("/"))
    assert gallery.search(people / "1.png", k=1)[0].path == str((people / "1.png").resolve())


# synthetic people, rendered on demand


DRAWN = "pedestrians:people=4,cameras=2,images=2,size=32x16,preset=easy"


def test_synthetic_people_are_searched_by_name(model: Model) -> None:
    gallery = filled(model, DRAWN)
    assert {h.pid for h in gallery.search(f"{DRAWN}::{gallery.embeddings.paths[0]}")} == {3, 4}
    assert [paths(DRAWN, split)[0].split("/")[0] for split in ("train", "query")] == ["bounding_box_train", "query"]
    query = QueryImage.of(f"{DRAWN}::{paths(DRAWN, 'query')[0]}")
    assert (query.pid, query.sample.camid, query.image.size) == (3, 1, (16, 32))
    with pytest.raises(DatasetLayoutError, match=r"has no image 'missing\.jpg'"):
        QueryImage.of(f"{DRAWN}::missing.jpg")


def test_their_gallery_is_saved_and_opened(model: Model, tmp_path: Path) -> None:
    gallery = filled(model, DRAWN)
    gallery.save(tmp_path / "g.parquet")
    opened = Gallery.open(model, tmp_path / "g.parquet")
    hit = opened.search(f"{DRAWN}::{paths(DRAWN, 'query')[0]}")[0]
    assert opened.image(hit).tobytes() == gallery.image(hit).tobytes()
    opened.save(tmp_path / "again.parquet")
    assert Gallery.open(model, tmp_path / "again.parquet").image(hit).size == (16, 32)


def test_a_named_relative_root_is_found_from_elsewhere(
    model: Model, market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(market.parent)
    Gallery(model, filled(model, market).embeddings, f"market1501:{market.name}").save("g.parquet")
    monkeypatch.chdir("/")
    opened = Gallery.open(model, tmp_path / "g.parquet")
    assert opened.image(opened.search(market / "query" / "0001_c1s1_000010_00.jpg")[0]).size == (32, 64)


@pytest.mark.parametrize("keypoints", ["auto", "own"])
def test_keypoints_of_a_query_in_a_set_are_those_of_the_set(keypoints: str) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = create_model("attention_driven", num_classes=3, width=0.25)
    gallery = filled(Model(model, (64, 32), InferenceOptions(keypoints=keypoints)), DRAWN)
    name = gallery.embeddings.paths[-1]
    hit = gallery.search(f"{DRAWN}::{name}", k=1)[0]
    scale = gallery.embeddings.embedding.square().sum(dim=1).mean().item()
    assert (hit.path, hit.distance / scale) == (name, pytest.approx(0, abs=1e-5))


# adding and opening


def test_an_empty_gallery_says_so(model: Model, people: Path) -> None:
    gallery = Gallery(model)
    assert (len(gallery), len(gallery.embeddings), gallery.keypoints) == (0, 0, None)
    with pytest.raises(ProtocolError, match=r"the gallery is empty\. Fix: gallery\.add"):
        gallery.search(people / "0.png")


def test_images_are_added_from_several_places(model: Model, people: Path, tmp_path: Path) -> None:
    archive = zipped(people)
    single = tmp_path / "single.png"
    blobs(9).save(single)
    gallery = filled(model, archive)
    gallery.add([single, np.asarray(blobs(10)), blobs(11)])
    assert gallery.embeddings.paths == (
        *(f"{archive}::people/{name}.png" for name in ("0", "1", "2", "3", "4", "more/5")), str(single), "image 7",
        "image 8",
    )  # fmt: skip
    for seed, name in ((3, f"{archive}::people/3.png"), (9, str(single)), (10, "image 7"), (11, "image 8")):
        (hit,) = gallery.search(blobs(seed), k=1)
        assert hit.path == name
        assert hit.distance == pytest.approx(0, abs=1e-4)
        assert np.array_equal(np.asarray(gallery.image(hit)), np.asarray(blobs(seed)))
    gallery.save(tmp_path / "g.parquet")
    opened = Gallery.open(model, tmp_path / "g.parquet")
    assert opened.embeddings.paths == gallery.embeddings.paths
    hits = opened.search(blobs(3), k=2)
    assert [hit.path for hit in hits] == [hit.path for hit in gallery.search(blobs(3), k=2)]
    assert opened.image(hits[0]).size == (32, 64)
    (hit,) = opened.search(blobs(11), k=1)
    with pytest.raises(DatasetLayoutError, match="image 8"):  # it was in memory only
        opened.image(hit)


def test_the_gallery_is_prepared_once_and_again_when_images_are_added(
    model: Model, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared: list[int] = []
    of = PreparedColumns.of
    monkeypatch.setattr(PreparedColumns, "of", lambda y, **how: (prepared.append(len(y)), of(y, **how))[1])
    (people / "more" / "5.png").rename(people.parent / "5.png")
    gallery = filled(model, people)
    first = [gallery.search(blobs(seed)) for seed in range(4)]
    assert prepared == [5]
    gallery.add(people.parent / "5.png")
    assert [gallery.search(blobs(5))[0].path for _ in range(2)] == [gallery.embeddings.paths[-1]] * 2
    assert prepared == [5, 6]
    assert [[hit.distance for hit in hits] for hits in first] == [
        [hit.distance for hit in filled(model, people).search(blobs(seed))] for seed in range(4)
    ]


def test_a_second_folder_of_the_same_place_keeps_short_names(model: Model, market: Path) -> None:
    gallery = filled(model, market)
    gallery.add(market, split="query")
    assert gallery.splits == ("gallery",) * 5 + ("query",) * 2
    assert all("::" not in path for path in gallery.embeddings.paths)
    assert gallery.embeddings.pids is not None


def test_an_image_is_added_once(model: Model, people: Path) -> None:
    gallery = filled(model, people)
    with pytest.raises(DatasetLayoutError, match=r"'0\.png' is in the gallery already"):
        gallery.add(people)
    gallery.add(people / "0.png")  # the same image under another name
    with pytest.raises(DatasetLayoutError, match=r"0\.png' is in the gallery already"):
        gallery.add([people / "0.png"])
    assert len(gallery) == 7


def test_labels_that_only_some_images_have_are_dropped_with_a_warning(
    model: Model, people: Path, market: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gallery = filled(model, market)
    gallery.add(people)
    assert (gallery.embeddings.pids, gallery.embeddings.camids) == (None, None)
    assert len(gallery) == 10, "junk stays junk"
    assert [record.getMessage() for record in caplog.records] == [
        f"the gallery has no {what} IDs from now on: they are unknown for some of its images"
        for what in ("person", "camera")
    ]


def test_what_cannot_be_added(model: Model, people: Path) -> None:
    gallery = Gallery(model)
    with pytest.raises(ConfigError, match="single images belong to no split: got split 'query'"):
        gallery.add([people / "0.png"], split="query")
    with pytest.raises(ImageError, match="got an empty list"):
        gallery.add([])
    assert len(gallery) == 0


def test_one_split_of_a_file_is_opened(model: Model, market: Path, tmp_path: Path) -> None:
    gallery = filled(model, market, split="all")
    gallery.save(tmp_path / "g.parquet")
    assert len(Gallery.open(model, tmp_path / "g.parquet").embeddings) == 11
    only = Gallery.open(model, tmp_path / "g.parquet", split="query")
    assert [path.split("/")[0] for path in only.embeddings.paths] == ["query"] * 2
    assert only.splits == ("query", "query")
    only.save(tmp_path / "again.parquet")
    assert Gallery.open(model, tmp_path / "again.parquet").splits == ("query", "query")


def test_an_image_in_two_splits_is_found_in_one(model: Model, people: Path, tmp_path: Path) -> None:
    both = model.embed([people / "0.png", people / "1.png"])
    write_query_gallery(tmp_path / "g.parquet", both[:1], both, model.origin())
    with pytest.raises(DatasetLayoutError, match=r"holds an image in two splits.*split='gallery'"):
        Gallery.open(model, tmp_path / "g.parquet")
    assert len(Gallery.open(model, tmp_path / "g.parquet", split="gallery")) == 2


def test_precomputed_embeddings_of_unknown_origin_cannot_be_searched(
    model: Model, people: Path, tmp_path: Path
) -> None:
    write_embeddings(tmp_path / "g.parquet", model.embed(people))
    with pytest.raises(WeightsError, match="does not record which model embedded it"):
        Gallery.open(model, tmp_path / "g.parquet")


def test_an_image_is_not_added_twice_in_one_call(model: Model, people: Path) -> None:
    image = min(people.glob("*.png"))
    gallery = Gallery(model)
    with pytest.raises(DatasetLayoutError, match="is given twice"):
        gallery.add([image, image])
    assert len(gallery) == 0


def test_a_file_from_elsewhere_is_not_believed_where_its_images_are(
    model: Model, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(model, people).save(tmp_path / "g.parquet")
    monkeypatch.setenv("PASSERBY_CACHE", str(tmp_path / "another user"))
    opened = Gallery.open(model, tmp_path / "g.parquet")
    hit = opened.search(people / "0.png", k=1)[0]  # distances need no images
    message = (
        f"g.parquet' was not written here, so its images, as it says in '{people}', are not read without your word"
    )
    with pytest.raises(DatasetLayoutError, match=message):
        opened.image(hit)
    opened.save(tmp_path / "again.parquet")  # which does not make it one's own
    with pytest.raises(DatasetLayoutError, match="was not written here"):
        Gallery.open(model, tmp_path / "again.parquet").image(hit)
    opened.add(tmp_path / "people" / "more" / "5.png")
    with pytest.raises(DatasetLayoutError, match="was not written here"):
        opened.image(hit)
    assert Gallery.open(model, tmp_path / "g.parquet", root=people).image(hit).size == (32, 64)


def test_a_file_from_elsewhere_renders_nothing(
    model: Model, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embeddings = filled(model, people).embeddings
    world = "pedestrians:people=1000000,size=2000x1000"
    origin = replace(model.origin(), root=world)
    write_embeddings(tmp_path / "g.parquet", embeddings, origin, own=False)
    monkeypatch.setattr("passerby.data.registry.open_place", lambda _: pytest.fail("it was opened"))
    opened = Gallery.open(model, tmp_path / "g.parquet")
    with pytest.raises(DatasetLayoutError, match=f"as it says in '{world}'"):
        opened.image(opened.search(people / "0.png", k=1)[0])


@pytest.mark.parametrize("kind", ["above", "absolute", "link", "NUL", "long"])
def test_only_what_lies_in_the_named_folder_is_shown(model: Model, people: Path, tmp_path: Path, kind: str) -> None:
    secret = tmp_path / "secret.png"
    blobs(7).save(secret)
    (people / "link.png").symlink_to(secret)
    names = {"above": "../secret.png", "absolute": str(secret), "link": "link.png", "NUL": "\0", "long": "x" * 5000}
    embeddings = filled(model, people).embeddings[:1]
    origin = replace(model.origin(), root=str(people))
    write_embeddings(tmp_path / "g.parquet", replace(embeddings, paths=(names[kind],)), origin, own=False)
    opened = Gallery.open(model, tmp_path / "g.parquet", root=people)
    with pytest.raises(DatasetLayoutError, match=r"is not read: it lies outside of|cannot be read|has no file"):
        opened.image(opened.search(people / "0.png", k=1)[0])


def test_verdicts_speak_of_the_calibration_and_a_file_finds_itself(model: Model, people: Path, tmp_path: Path) -> None:
    step = Steps((1e-9, 1.0), (0.57, 0.4, 0.1))
    thresholds = tuple(Threshold(rate, 0.5) for rate in RATES)
    quality = CalibrationQuality(1, 1, 0.0, 0.0, ())
    calibration = Calibration(step, thresholds, 5, 5, model.protocol, model.fingerprint, "d:/x", "", 0, quality)
    calibrated = Model(model.network, model.size, calibration=calibration)
    gallery = filled(calibrated, people)
    shutil.copy(people / "0.png", people.parent / "copy.png")
    first, *others = gallery.search(people.parent / "copy.png", k=6)
    assert (first.path, first.verdict, first.same_person) == ("0.png", "same file", None)
    assert {hit.verdict for hit in others} <= {"possible", "unsure", "no evidence"}
    assert all(hit.same_person is not None for hit in others)
    blobs(0).save(tmp_path / "same pixels.bmp")
    (again,) = gallery.search(tmp_path / "same pixels.bmp", k=1)
    assert (again.path, again.verdict) == ("0.png", "possible")
    gallery.save(tmp_path / "g.parquet")
    people.rename(tmp_path / "moved")  # content tells, and nothing else
    (unknown,) = Gallery.open(calibrated, tmp_path / "g.parquet").search(tmp_path / "copy.png", k=1)
    assert (unknown.path, unknown.verdict) == ("0.png", "possible")
