"""From a clip to tracklets and crops, by a detector that knows where the people are; and the crops read again."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.data.video.conftest import HUMAN, WALKS, Scripted, frames, write_clip

from passerby.data import registry
from passerby.data.confined import open_confined
from passerby.data.images.open import QueryImage, list_images
from passerby.data.video.crop import as_file
from passerby.data.video.frames import Video
from passerby.data.video.options import TrackletOptions
from passerby.data.video.source import StreamCrops, VideoCrops
from passerby.data.video.tracklets import People, Tracklet
from passerby.errors import ConfigError, DatasetLayoutError


def found_in(clip: Path, every: int = 1, **options: int) -> list[Tracklet]:
    return list(People(Video(clip), Scripted(every=every), TrackletOptions(every=every, **options)).tracklets())


def test_each_walk_is_one_tracklet(clip: Path) -> None:
    found = sorted(found_in(clip), key=lambda each: each.number)
    assert [(each.first, each.last, each.boxes) for each in found] == [
        (0, pytest.approx(3900), 40),
        (0, pytest.approx(2900), 30),
        (pytest.approx(1200), pytest.approx(3900), 28),
    ]
    for tracklet, walk in zip(found, WALKS, strict=True):
        assert len(tracklet.crops) == 4
        for crop in tracklet.crops:
            assert crop.name.box == walk.box(crop.name.frame, HUMAN)
            assert crop.pixels.shape == (*HUMAN, 3)
        moments = [crop.milliseconds for crop in tracklet.crops]
        assert moments == sorted(moments)
        assert moments[-1] - moments[0] > 0.4 * (tracklet.last - tracklet.first)  # spread over time


def test_crops_avoid_moments_when_others_hide_the_person(clip: Path) -> None:
    (first, *_) = sorted(found_in(clip, crops=2), key=lambda each: each.number)
    for crop in first.crops:
        left = crop.name.box[0]
        others = [box[0] for walk in WALKS[1:] if (box := walk.box(crop.name.frame, HUMAN))]
        assert all(abs(left - other) > 0.5 * HUMAN[1] for other in others)


def test_short_and_small_ones_are_left_out(clip: Path) -> None:
    assert sorted(each.number for each in found_in(clip, least_boxes=29)) == [0, 1]
    assert found_in(clip, least_height=121) == []
    assert [each.boxes for each in sorted(found_in(clip, every=4), key=lambda each: each.number)] == [10, 8, 7]
    with pytest.raises(ConfigError, match="crops of tracklets: got 0, expected 1 or more"):
        TrackletOptions(crops=0)


def test_what_was_spent_is_counted(clip: Path) -> None:
    people = People(Video(clip), Scripted(), TrackletOptions())
    found = list(people.tracklets())
    spent = people.spent
    assert (spent.frames, spent.detections, spent.tracklets) == (40, 98, 3)
    assert spent.crops == sum(len(each.crops) for each in found)
    assert set(spent.seconds) == {"decode", "detect", "track", "crop"}
    assert all(seconds > 0 for seconds in spent.seconds.values())


def test_the_very_same_crop_is_read_again(clip: Path, tmp_path: Path) -> None:
    source = registry.open_place(str(clip))
    assert isinstance(source, VideoCrops)
    assert source.place == str(clip.resolve())
    crops = [crop for each in found_in(clip) for crop in each.crops]
    for crop in [*crops[::-3], *crops[:2]]:
        name = str(crop.name)
        assert source.has(name)
        assert source.read(name) == as_file(crop.pixels)
    name, content = str(crops[5].name), as_file(crops[5].pixels)
    assert pickle.loads(pickle.dumps(source)).read(name) == content
    assert open_confined(clip).read(name) == content
    assert QueryImage.of(f"{clip}::{name}").content == content
    with pytest.raises(DatasetLayoutError, match=r"is a video.*Fix: passerby ingest"):
        list_images(clip)
    assert not source.has("0000001_0-0-10-10_00000000.bmp")
    with pytest.raises(DatasetLayoutError, match="has no crop"):
        source.read("../secret.png")


def test_a_jump_that_misses_is_made_up_for(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crop = found_in(clip)[0].crops[2]
    at = Video.at
    monkeypatch.setattr(Video, "at", lambda self, number: at(self, number + 1))
    assert VideoCrops(clip).read(str(crop.name)) == as_file(crop.pixels)
    monkeypatch.setattr(Video, "at", lambda self, number: None)
    assert VideoCrops(clip).read(str(crop.name)) == as_file(crop.pixels)


def test_another_video_in_its_place_is_noticed(clip: Path, tmp_path: Path) -> None:
    crop = found_in(clip)[0].crops[0]
    other = tmp_path / "street.avi"
    write_clip(other, [255 - frame for frame in frames(WALKS, 40, HUMAN)])
    with pytest.raises(DatasetLayoutError, match="no longer holds the crop"):
        VideoCrops(other).read(str(crop.name))
    write_clip(other, frames(WALKS, 40, HUMAN)[:1])
    with pytest.raises(DatasetLayoutError, match="no longer holds the crop"):
        VideoCrops(other).read(str(found_in(clip)[0].crops[-1].name))
    other.unlink()
    assert not VideoCrops(other).has(str(crop.name))


def test_crops_of_a_stream_are_gone_when_it_is() -> None:
    source = StreamCrops("rtsp://me:word@host/live", {"a.bmp": b"content"})
    assert source.place == "rtsp://host/live"
    assert source.read("a.bmp") == b"content"
    with pytest.raises(DatasetLayoutError, match="cannot be read again"):
        source.read("b.bmp")
    with pytest.raises(DatasetLayoutError, match=r"cannot be read again.*record it to a file"):
        registry.open_place(source.place)


def test_an_image_of_a_crop_decodes(clip: Path) -> None:
    crop = found_in(clip)[0].crops[0]
    image = Image.open(io.BytesIO(VideoCrops(clip).read(str(crop.name))))
    np.testing.assert_array_equal(np.asarray(image), crop.pixels)
