"""``passerby ingest`` of a video, as a user does it: detector, tracks, rows, search and deletion."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.data.video.conftest import SIZE, Walk, frames, write_clip

from passerby.gallery.store import Store

for _package in ("cv2", "onnxruntime"):
    pytest.importorskip(_package, reason="passerby[video,onnx] is not installed")
Run = Callable[..., Any]
LARGE = (SIZE[0] - 20, (SIZE[0] - 20) // 2)


@pytest.fixture
def video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two large people, 16 frames."""
    monkeypatch.setattr("os.fsync", lambda _: None)
    walks = (Walk(0, 60, 4, top=10), Walk(2, 250, 2, top=10))
    return write_clip(tmp_path / "cam3_2024-05-01_12-30-15.avi", frames(walks, 16, LARGE))


def test_a_video_is_added_searched_and_deleted(run: Run, trained: Path, video: Path, tmp_path: Path) -> None:
    gallery = tmp_path / "people.gallery"
    done = run("ingest", trained, gallery, video, "--create", "--crops", 2)
    assert done.code == 0, done.err
    assert "16 frames, 16 of them looked through, " in done.err
    assert "CPU ms per frame: decode" in done.err
    store = Store(gallery)
    columns = {name: [v for shard in store.shards for v in shard.column(name).to_pylist()]
               for name in ("camid", "tracklet", "taken", "place", "path")}  # fmt: skip
    assert 2 <= len(columns["path"]) <= 6
    assert set(columns["camid"]) == {3}
    assert None not in columns["taken"]
    again = run("ingest", trained, gallery, video, "--crops", 2)
    assert f"{len(columns['path'])} were there already" in again.out
    crop = f"{columns['place'][0]}::{columns['path'][0]}"
    found = run("gallery", "search", trained, gallery, crop, "-k", 2, "--one-per", "tracklet")
    assert found.code == 0, found.err
    assert columns["path"][0] in found.out.replace("\n", "")
    gone = run("gallery", "delete", gallery, "--camera", 3, "--yes")
    assert f"{len(columns['path'])} rows were deleted" in gone.out


def test_frames_can_be_skipped(run: Run, trained: Path, video: Path, tmp_path: Path) -> None:
    done = run("ingest", trained, tmp_path / "g", video, "--create", "--every", 2, "--taken", "2024-05-01")
    assert done.code == 0, done.err
    assert "16 frames, 8 of them looked through" in done.err


def test_what_is_wrong_is_told_before_the_model_is_loaded(run: Run, trained: Path, video: Path, tmp_path: Path) -> None:
    for arguments, message in (
        ((tmp_path / "none.mp4",), "there is no video"),
        ((video, "--detector", tmp_path / "none.onnx"), "there is no detector"),
        ((video, "--name-pattern", "{camera}/x_{date}"), "matches none of 1 names"),
    ):
        failed = run("ingest", trained, tmp_path / "g", *arguments, "--create")
        assert failed.code == 1
        assert message in failed.err
    assert not (tmp_path / "g").exists()
