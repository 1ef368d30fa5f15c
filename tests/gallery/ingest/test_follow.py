from __future__ import annotations

import logging
import os
import shutil
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import passerby
from passerby.errors import DatasetLayoutError, ImageError, OutputError
from passerby.gallery import StoredGallery
from passerby.gallery.ingest import follow as follow_module
from passerby.gallery.ingest.follow import Watched, follow
from passerby.gallery.ingest.ingest import Ingest
from passerby.gallery.ingest.options import IngestOptions
from passerby.gallery.ingest.result import AddedImages
from passerby.inference.model import Model


@pytest.fixture(autouse=True)
def _unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda _: None)


@pytest.fixture
def gallery(model: Model, tmp_path: Path) -> StoredGallery:
    created = passerby.Gallery.create(model, tmp_path / "people.gallery")
    assert isinstance(created, StoredGallery)
    return created


def blob(seed: int, file: Path) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 2, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((32, 64), Image.Resampling.BICUBIC).save(file)
    return file.read_bytes()


class Script(threading.Event):
    """An event that takes one step of a script at each poll, and is set after the last."""

    def __init__(self, *steps: Callable[[], object]) -> None:
        super().__init__()
        self.steps = list(steps)
        self.pauses: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.pauses.append(timeout)
        if self.steps:
            self.steps.pop(0)()
        else:
            self.set()
        return self.is_set()


def nothing() -> None:
    """Let a poll pass."""


def run(
    gallery: StoredGallery,
    folder: Path,
    *steps: Callable[[], object],
    strict: bool = False,
    thumbnails: bool = False,
) -> list[AddedImages]:
    found: list[AddedImages] = []
    ingest = Ingest(gallery.model, gallery.store, IngestOptions(strict=strict, thumbnails=thumbnails))
    follow(ingest, folder, Script(*steps), poll=0.5, report=lambda added, _: found.append(added))
    return found


def test_a_file_is_ready_once_it_has_not_changed(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    (tmp_path / "a.png").write_bytes(b"1")
    (tmp_path / "notes.txt").write_bytes(b"1")
    (tmp_path / ".hidden.png").write_bytes(b"1")
    assert watched.poll() == []
    (tmp_path / "a.png").write_bytes(b"12")
    assert watched.poll() == [], "it has grown"
    assert watched.poll() == ["a.png"]
    watched.take(["a.png"])
    assert watched.poll() == []
    os.utime(tmp_path / "a.png", ns=(1, 1))
    assert watched.poll() == []
    assert watched.poll() == ["a.png"], "it was changed afterwards"
    (tmp_path / "a.png").unlink()
    assert watched.poll() == []


def test_files_are_added_once_and_broken_ones_tried_again(gallery: StoredGallery, tmp_path: Path) -> None:
    folder = tmp_path / "cam4"
    folder.mkdir()
    blob(0, folder / "a.png")
    whole = blob(1, tmp_path / "b.png")
    (folder / "b.png").write_bytes(whole[: len(whole) // 2])
    found = run(
        gallery,
        folder,
        nothing,
        nothing,
        lambda: shutil.copy(folder / "a.png", folder / "again.png"),
        nothing,
        lambda: (folder / "b.png").write_bytes(whole),
        nothing,
        nothing,
        nothing,
    )
    assert [(len(each.ids), each.known, list(each.broken)) for each in found] == [
        (1, 0, [f"{folder}::b.png"]),
        (0, 1, []),
        (1, 0, []),
    ]
    assert gallery.embeddings.camids is not None
    assert gallery.embeddings.camids.tolist() == [4, 4]
    again = run(gallery, folder, nothing, nothing)
    assert [(len(each.ids), each.known) for each in again] == [(0, 3)], "after a restart contents are known"


def test_files_are_not_read_at_each_poll(gallery: StoredGallery, people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    whole = follow_module.DirectorySource.read

    def counted(self: follow_module.DirectorySource, name: str) -> bytes:
        read.append(name)
        return whole(self, name)

    monkeypatch.setattr(follow_module.DirectorySource, "read", counted)
    run(gallery, people, *[nothing] * 6)
    assert len(read) == len(set(read)) == 6


def test_an_end_is_clean(gallery: StoredGallery, people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow_module, "MICRO_BATCH", 2)
    stop, found = threading.Event(), list[AddedImages]()

    def report(added: AddedImages, images: Sequence[str]) -> None:
        found.append(added)
        assert list(images) == [f"{people}::0.png", f"{people}::1.png"]
        stop.set()

    follow(Ingest(gallery.model, gallery.store, IngestOptions()), people, stop, poll=0.01, report=report)
    assert [len(each.ids) for each in found] == [2], "the micro-batch that was begun is written, no other begun"
    assert len(gallery) == 2


def test_where_the_gallery_cannot_be_written_images_wait(
    gallery: StoredGallery, people: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failures = [OutputError("the gallery is being written by another process"), OutputError("no room")]
    add = gallery.store.add

    def failing(*args: object, **kwargs: object) -> object:
        if failures:
            raise failures.pop(0)
        return add(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(gallery.store, "add", failing)
    script, found = Script(*[nothing] * 5), list[AddedImages]()
    with caplog.at_level(logging.WARNING):
        ingest = Ingest(gallery.model, gallery.store, IngestOptions())
        follow(ingest, people, script, poll=0.5, report=lambda added, _: found.append(added))
    assert sum(len(each.ids) for each in found) == 6
    assert script.pauses[:4] == [0.5, 1.0, 2.0, 0.5], "further and further apart"
    assert "no room. 6 images wait" in caplog.text


def test_a_folder_that_is_gone_for_a_while(
    gallery: StoredGallery, people: Path, caplog: pytest.LogCaptureFixture
) -> None:
    away = people.parent / "away"
    found = run(
        gallery, people, lambda: people.rename(away), nothing, lambda: away.rename(people), nothing, nothing
    )  # fmt: skip
    assert sum(len(each.ids) for each in found) == 6
    assert caplog.text.count("It is tried again") == 1
    with pytest.raises(DatasetLayoutError, match="no folder to follow"):
        run(gallery, people / "0.png")


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="these systems have no such names")
@pytest.mark.parametrize("thumbnails", [False, True])
def test_names_that_cannot_be_stored_are_said_once(
    gallery: StoredGallery, people: Path, caplog: pytest.LogCaptureFixture, *, thumbnails: bool
) -> None:
    shutil.copy(people / "0.png", os.fsencode(people) + b"/\xff.png")
    (people / "settings.json").write_text("{}")
    found = run(gallery, people, *[nothing] * 4, thumbnails=thumbnails)
    assert sum(len(each.ids) for each in found) == 6
    assert caplog.text.count("is not UTF-8") == 1


def test_strict_stops(gallery: StoredGallery, people: Path) -> None:
    (people / "2.png").write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"2\.png"):
        run(gallery, people, nothing, nothing, strict=True)
