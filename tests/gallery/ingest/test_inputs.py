from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

import passerby
from passerby.data.source import open_source
from passerby.errors import ConfigError, DatasetLayoutError
from passerby.gallery import StoredGallery
from passerby.gallery.ingest import ingest as ingest_module
from passerby.gallery.ingest.ingest import chunks
from passerby.gallery.ingest.inputs import INPUTS, Input, Known, Part, open_input
from passerby.gallery.ingest.options import IngestOptions
from passerby.gallery.ingest.places import OnePart
from passerby.inference.model import Model
from passerby.types import Sample


@pytest.fixture(autouse=True)
def _unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda _: None)


@pytest.fixture
def gallery(model: Model, tmp_path: Path) -> StoredGallery:
    created = passerby.Gallery.create(model, tmp_path / "people.gallery")
    assert isinstance(created, StoredGallery)
    return created


def parts_of(folder: Path, *tracklets: int | None) -> Part:
    samples = [Sample(path=f"{n}.png", camid=2) for n in range(len(tracklets))]
    known = [Known(tracklet=each, seen=None if each is None else (1000, 2000), taken=1500) for each in tracklets]
    return Part(open_source(folder), samples, known)


class Two:
    """An input of two parts whose number of images is not known before."""

    total = None

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def parts(self) -> Iterator[Part]:
        whole = parts_of(self.folder, 7, 7, 9, 9, None)
        yield Part(whole.source, whole.samples[:2], whole.known[:2])
        yield Part(whole.source, whole.samples[2:], whole.known[2:])


def test_an_input_tells_tracklets_moments_and_cameras(gallery: StoredGallery, people: Path) -> None:
    options = IngestOptions(taken=99, tags=("lobby",))
    added = gallery.ingest([Two(people)], options)
    assert added.ids == list(range(5))
    rows = {name: gallery.store.shards[0].column(name).to_pylist() for name in ("tracklet", "seen_from", "taken")}
    everything = [value for shard in gallery.store.shards for value in shard.column("tracklet").to_pylist()]
    assert everything == [0, 0, 2, 2, None]
    assert set(rows["seen_from"]) <= {1000, None}
    assert rows["taken"] == [1500] * len(rows["taken"]), "what the input tells wins over what holds for all"
    hit = gallery.search(people / "3.png", 1)[0]
    assert (hit.camid, hit.tracklet, hit.tags) == (2, 2, ("lobby",))  # type: ignore[attr-defined]
    assert gallery.ingest([Two(people)], options).known == 5


def test_a_camera_of_the_user_wins(gallery: StoredGallery, people: Path) -> None:
    gallery.ingest([Two(people)], IngestOptions(camera=8))
    assert set(gallery.embeddings.camids.tolist()) == {8}  # type: ignore[union-attr]


def test_tracklets_are_not_divided(gallery: StoredGallery, people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = parts_of(people, 1, 1, 1, 2, None)
    assert [len(chunk.samples) for chunk in chunks(part, 2)] == [3, 2]
    assert [len(chunk.samples) for chunk in chunks(parts_of(people, *[None] * 5), 2)] == [2, 2, 1]
    monkeypatch.setattr(ingest_module, "CHUNK", 2)
    gallery.ingest([OnePart(part)], IngestOptions())
    found = [value for shard in gallery.store.shards for value in shard.column("tracklet").to_pylist()]
    assert found == [0, 0, 0, 3, None]


def test_the_kind_that_takes_a_text_opens_it(
    gallery: StoredGallery, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, IngestOptions]] = []

    class Film:
        def takes(self, text: str) -> bool:
            return text.endswith(".film")

        def open(self, text: str, options: IngestOptions) -> Input:
            asked.append((text, options))
            return Two(people)

    list(INPUTS)
    monkeypatch.setitem(INPUTS._entries, "film", Film)
    assert len(gallery.add("monday.film", camera=3).ids) == 5
    assert [(text, options.camera) for text, options in asked] == [("monday.film", 3)]
    assert open_input(str(people), IngestOptions()).total == 6


def test_images_in_memory_and_wrong_inputs(gallery: StoredGallery, people: Path) -> None:
    added = gallery.add([Image.new("RGB", (32, 64), "red"), people / "1.png"])
    assert len(added.ids) == 2
    with pytest.raises(ConfigError, match="no split"):
        gallery.add([people / "1.png"], split="query")
    with pytest.raises(DatasetLayoutError, match="does not exist"):
        gallery.add(people / "nowhere")
    with pytest.raises(ConfigError, match="one line"):
        IngestOptions(collection=" ")
