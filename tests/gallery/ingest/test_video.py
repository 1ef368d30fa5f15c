"""Videos into galleries: rows, tracklets, moments; again, cut short, from a stream."""

from __future__ import annotations

import io
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.data.video.conftest import COUNT, HUMAN, WALKS, Scripted, clip, frames, stream, write_clip

import passerby
from passerby.data.images.open import QueryImage
from passerby.data.names.pattern import NamePattern
from passerby.data.video.options import TrackletOptions
from passerby.errors import ConfigError, DatasetLayoutError, WeightsError
from passerby.gallery import StoredGallery
from passerby.gallery.ingest.inputs import open_input
from passerby.gallery.ingest.options import IngestOptions
from passerby.gallery.ingest.result import AddedImages
from passerby.gallery.ingest.video import VideoInput, VideoKind
from passerby.gallery.retention import gone
from passerby.gallery.store.where import moment
from passerby.inference.model import Model

__all__ = ["clip", "stream"]  # fixtures
BEGIN = 1_700_000_000_000


@pytest.fixture(autouse=True)
def _unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda _: None)


@pytest.fixture
def gallery(model: Model, tmp_path: Path) -> StoredGallery:
    created = passerby.Gallery.create(model, tmp_path / "people.gallery")
    assert isinstance(created, StoredGallery)
    return created


def ingest(
    gallery: StoredGallery, address: str | Path, steps: list[int] | None = None, **options: object
) -> AddedImages:
    chosen = IngestOptions(**{"taken": BEGIN, "camera": 4, **options})  # type: ignore[arg-type]
    every = chosen.video.every
    opened = VideoInput(str(address), chosen, detector=Scripted(every=every))
    return gallery.ingest([opened], chosen, progress=None if steps is None else steps.append)


def column(gallery: StoredGallery, name: str) -> list[object]:
    gallery.store.refresh()
    return [value for shard in gallery.store.shards for value in shard.column(name).to_pylist()]


def test_each_person_is_a_tracklet_with_its_time(gallery: StoredGallery, clip: Path) -> None:
    steps: list[int] = []
    added = ingest(gallery, clip, steps)
    assert len(added.ids) == 12
    assert column(gallery, "camid") == [4] * 12
    assert sorted(Counter(column(gallery, "tracklet")).values()) == [4, 4, 4]
    spans = set(zip(column(gallery, "seen_from"), column(gallery, "seen_until"), strict=True))
    assert spans == {(BEGIN, BEGIN + 3900), (BEGIN, BEGIN + 2900), (BEGIN + 1200, BEGIN + 3900)}
    for path, taken, place in zip(*(column(gallery, name) for name in ("path", "taken", "place")), strict=True):
        assert taken == BEGIN + 100 * int(str(path)[:7])
        assert place == str(clip.resolve())
    assert sum(steps) == COUNT
    (note,) = added.notes
    assert re.search(r"40 frames, 40 of them looked through, 3 tracklets, 12 crops; CPU ms per frame: decode", note)
    assert "embed" in note


def test_a_crop_finds_its_tracklet_and_can_be_read(gallery: StoredGallery, clip: Path) -> None:
    ingest(gallery, clip)
    path = f"{clip.resolve()}::{column(gallery, 'path')[0]}"
    query = QueryImage.of(path)
    hits = gallery.search(query, 12)
    assert hits[0].path == path
    assert hits[0].distance == pytest.approx(0, abs=1e-3)
    for hit in hits[:3]:
        image = Image.open(io.BytesIO(gallery.source.read(hit.path)))
        assert image.size == HUMAN[::-1]
    assert gone(gallery.store, gallery.source).ids == []
    clip_elsewhere = clip.with_name("moved.avi")
    clip.rename(clip_elsewhere)
    try:
        assert len(gone(gallery.store, gallery.source).places[str(clip.resolve())]) == 12
        moved = StoredGallery.open(gallery.model, gallery.store.path, root=clip_elsewhere)
        assert moved.source.read(path) == query.content
    finally:
        clip_elsewhere.rename(clip)


def test_again_adds_nothing_and_a_killed_ingest_goes_on(
    gallery: StoredGallery, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("passerby.gallery.ingest.video._CROPS", 4)
    add, calls = gallery.store.add, []

    def dies(*args: object, **keywords: object) -> object:
        if calls:
            raise KeyboardInterrupt
        calls.append(1)
        return add(*args, **keywords)  # type: ignore[arg-type]

    options = TrackletOptions(patience=0.1)
    monkeypatch.setattr(gallery.store, "add", dies)
    with pytest.raises(KeyboardInterrupt):
        ingest(gallery, clip, video=options)
    monkeypatch.undo()
    monkeypatch.setattr("os.fsync", lambda _: None)
    before = column(gallery, "tracklet")
    assert len(before) == 4  # whole tracklets only
    further = ingest(gallery, clip, video=options)
    assert (len(further.ids), further.known) == (8, 4)
    again = ingest(gallery, clip, video=options)
    assert (again.ids, again.known) == ([], 12)
    assert len({*column(gallery, "tracklet")}) == 3


def test_names_tell_camera_and_moment(gallery: StoredGallery, clip: Path, tmp_path: Path) -> None:
    named = tmp_path / "cam3_2024-05-01_12-30-15.avi"
    named.write_bytes(clip.read_bytes())
    added = ingest(gallery, named, taken=None, camera=None)
    assert {*column(gallery, "camid")} == {3}
    assert min(t for t in column(gallery, "seen_from") if isinstance(t, int)) == moment("2024-05-01T12:30:15")
    assert "not known" not in added.notes[0]
    with pytest.raises(ConfigError, match="matches none of 1 names"):
        ingest(gallery, clip, names=NamePattern("{camera}_{date}"))


def test_an_unknown_beginning_is_said(gallery: StoredGallery, clip: Path) -> None:
    added = ingest(gallery, clip, taken=None)
    assert {*column(gallery, "taken")} == {*column(gallery, "seen_from")} == {None}
    assert "have no time: give --taken TIME" in added.notes[0]


def test_a_truncated_video_is_kept_and_said(gallery: StoredGallery, clip: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.avi"
    content = clip.read_bytes()
    cut.write_bytes(content[: 2 * len(content) // 3])
    steps: list[int] = []
    added = ingest(gallery, cut, steps)
    assert len(added.ids) >= 8
    assert "is cut short or damaged" in added.notes[0]
    assert sum(steps) == COUNT
    with pytest.raises(DatasetLayoutError, match=r"cut short.*or add it without --strict"):
        ingest(gallery, cut, strict=True)


def test_of_a_stream_thumbnails_stay(gallery: StoredGallery, stream: str) -> None:
    added = ingest(gallery, stream, taken=None, blur=False)
    assert len(added.ids) >= 8
    assert "the stream" in added.notes[0]
    assert "cannot be read again" in added.notes[0]
    small = [Image.open(io.BytesIO(content)) for content in column(gallery, "thumbnail") if isinstance(content, bytes)]
    assert len(small) == len(added.ids)
    assert {image.size for image in small} == {HUMAN[::-1]}
    assert not [place for place in column(gallery, "place") if "word" in str(place)]
    assert all(isinstance(moment, int) and moment > BEGIN for moment in column(gallery, "taken"))
    found = gone(gallery.store, gallery.source)
    assert (found.ids, [len(rows) for rows in found.places.values()]) == (
        [],
        [len(added.ids)],
    )  # only by --missing-places
    assert gallery.search(Image.fromarray(frames(WALKS, COUNT, HUMAN)[5]), 3)
    with pytest.raises(DatasetLayoutError, match="cannot be read again"):
        gallery.source.read(f"{column(gallery, 'place')[0]}::{column(gallery, 'path')[0]}")


def test_videos_are_told_from_places(tmp_path: Path, clip: Path) -> None:
    kind = VideoKind()
    (tmp_path / "folder.mp4").mkdir()
    assert kind.takes(str(clip))
    assert kind.takes("rtsp://camera/live")
    assert not kind.takes(str(tmp_path / "folder.mp4"))
    assert not kind.takes("people.zip")
    with pytest.raises(DatasetLayoutError, match="there is no video"):
        open_input(str(tmp_path / "none.mp4"), IngestOptions())
    with pytest.raises(WeightsError, match="there is no detector"):
        open_input(str(clip), IngestOptions(detector="none.onnx"))


def test_the_detector_in_the_package_finds_large_people(model: Model, tmp_path: Path) -> None:
    """From the file to hits, nothing replaced."""
    pytest.importorskip("onnxruntime", reason="passerby[onnx] is not installed")
    from tests.data.video.conftest import SIZE, Walk

    large = (SIZE[0] - 20, (SIZE[0] - 20) // 2)
    file = write_clip(tmp_path / "large.avi", frames((Walk(0, 60, 6, top=10), Walk(2, 240, 3, top=10)), 12, large))
    created = passerby.Gallery.create(model, tmp_path / "large.gallery")
    assert isinstance(created, StoredGallery)
    options = IngestOptions(taken=BEGIN)
    added = created.ingest([open_input(str(file), options)], options)
    assert 4 <= len(added.ids) <= 12
    assert 1 <= len({*column(created, "tracklet")}) <= 3
    heights = [int(re.split(r"[_-]", str(path))[4]) for path in column(created, "path")]
    assert np.median(heights) > 0.7 * large[0]
