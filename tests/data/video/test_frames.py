"""Frames of files and streams: all of them, their moments, and what is said of damage and ends."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from tests.data.video.conftest import COUNT, HUMAN, RATE, WALKS, frames, opencv

from passerby.data.video.frames import Video
from passerby.errors import ConfigError, DatasetLayoutError


def test_frames_come_in_order_with_their_moments(clip: Path) -> None:
    video = Video(clip)
    found = list(video.frames())
    assert [frame.number for frame in found] == list(range(COUNT))
    np.testing.assert_allclose([frame.milliseconds for frame in found], np.arange(COUNT) * 1000 / RATE, atol=1)
    drawn = frames(WALKS, COUNT, HUMAN)
    for frame in found[::7]:  # RGB, as drawn, up to JPEG
        assert np.abs(frame.image.astype(int) - drawn[frame.number]).mean() < 6
    assert video.ending is None


def test_frames_can_be_skipped(clip: Path) -> None:
    video = Video(clip)
    assert [frame.number for frame in video.frames(every=7)] == [0, 7, 14, 21, 28, 35]
    assert video.read == COUNT
    with pytest.raises(ConfigError, match="every N-th: got 0"):
        next(Video(clip).frames(every=0))


def test_variable_frame_rates_have_the_moments_of_the_container(clip: Path) -> None:
    """The same file, whose header says that frames last twice as long."""
    content = clip.read_bytes()
    place = content.index(b"vids") + 20  # scale and rate of the stream's header
    scale, rate = (int.from_bytes(content[place + at : place + at + 4], "little") for at in (0, 4))
    assert rate / scale == RATE
    slow = clip.with_name("slow.avi")
    slow.write_bytes(content[:place] + (2 * scale).to_bytes(4, "little") + content[place + 4 :])
    moments = [frame.milliseconds for frame in Video(slow).frames()]
    np.testing.assert_allclose(moments, np.arange(COUNT) * 200, atol=1)


def test_a_truncated_video_gives_what_it_has_and_says_so(clip: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.avi"
    content = clip.read_bytes()
    cut.write_bytes(content[: len(content) // 2])
    video = Video(cut)
    found = list(video.frames())
    assert 10 < len(found) < COUNT - 10
    assert f"{len(found)} of {COUNT} frames could be decoded" in (video.ending or "")


def test_what_is_no_video_is_an_error(tmp_path: Path) -> None:
    opencv()
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"not a video" * 500)
    with pytest.raises(DatasetLayoutError, match=r"cannot be opened as a video.*Fix: check that it plays"):
        Video(bad)
    with pytest.raises(DatasetLayoutError, match="there is no video"):
        Video(tmp_path / "none.mp4")


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from passerby.data.video.opencv import import_opencv

    def absent(name: str) -> None:
        raise ImportError(f"No module named {name!r}")

    import_opencv.cache_clear()
    monkeypatch.setattr("importlib.import_module", absent)
    with pytest.raises(ConfigError, match=r"Fix: pip install 'passerby\[video\]'"):
        Video("any.mp4")
    import_opencv.cache_clear()


def test_a_stream_takes_the_same_path_and_its_end_is_said(stream: str) -> None:
    video = Video(stream)
    found = list(video.frames())
    assert len(found) in (COUNT, COUNT - 1)  # the last one may wait for a boundary that never comes
    assert all(a.milliseconds < b.milliseconds for a, b in itertools.pairwise(found))
    assert video.count is None
    assert f"ended after {len(found)} frames" in (video.ending or "")
    assert "word" not in f"{video.name}{video.ending}"


def test_a_stream_that_is_not_there_is_an_error() -> None:
    opencv()
    with pytest.raises(DatasetLayoutError, match="cannot be opened within 10 s") as error:
        Video("http://user:word@127.0.0.1:9/live.mjpg")
    assert "word" not in str(error.value).replace("password", "")
