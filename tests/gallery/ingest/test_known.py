from __future__ import annotations

import io
import logging
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import passerby
from passerby.data.names.moments import milliseconds
from passerby.data.source import open_source
from passerby.errors import ConfigError, DatasetLayoutError
from passerby.gallery import StoredGallery, Where
from passerby.gallery.ingest import contents as contents_module
from passerby.gallery.ingest.contents import Contents, Read, content_digest
from passerby.gallery.ingest.lists import open_list
from passerby.gallery.ingest.options import IngestOptions
from passerby.gallery.ingest.places import OnePart
from passerby.gallery.ingest.understood import Understood
from passerby.inference.model import Model
from passerby.types import Sample

NOON = milliseconds(datetime(2024, 5, 1, 12, 30, 15))


@pytest.fixture(autouse=True)
def _unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda _: None)


@pytest.fixture
def gallery(model: Model, tmp_path: Path) -> StoredGallery:
    created = passerby.Gallery.create(model, tmp_path / "people.gallery")
    assert isinstance(created, StoredGallery)
    return created


def blob(seed: int, file: Path, **kwargs: Any) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 2, 3), dtype=np.uint8)
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).resize((32, 64), Image.Resampling.BICUBIC).save(file, **kwargs)
    return file


@pytest.fixture
def cameras(tmp_path: Path) -> Path:
    folder = tmp_path / "crops"
    blob(0, folder / "cam1" / "2024-05-01_12-30-15.png")
    blob(1, folder / "cam1" / "a.png")
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2024:05:01 12:30:16"
    blob(2, folder / "camera_02" / "b.jpg", exif=exif)
    blob(3, folder / "c.png")
    return folder


def rows(gallery: StoredGallery, *names: str) -> dict[str, tuple[Any, ...]]:
    found = {}
    for shard in gallery.store.shards:
        columns = [shard.column(name).to_pylist() for name in names]
        found |= dict(zip(shard.column("path").to_pylist(), zip(*columns, strict=True), strict=True))
    return found


def test_cameras_and_moments_of_names_and_files(gallery: StoredGallery, cameras: Path) -> None:
    added = gallery.add(cameras)
    assert added.from_exif == 1
    assert rows(gallery, "camid", "taken") == {
        "cam1/2024-05-01_12-30-15.png": (1, NOON),
        "cam1/a.png": (1, None),
        "camera_02/b.jpg": (2, NOON + 1000),
        "c.png": (None, None),
    }
    assert len(gallery.search(cameras / "c.png", 4, where=Where(cameras=[1]))) == 2


def test_the_user_wins(gallery: StoredGallery, cameras: Path) -> None:
    added = gallery.add(cameras, camera=5, taken=7)
    assert set(rows(gallery, "camid", "taken").values()) == {(5, 7)}
    assert added.from_exif == 0


def test_the_folder_itself_may_be_named_after_a_camera(gallery: StoredGallery, cameras: Path) -> None:
    gallery.add(cameras / "cam1")
    gallery.add(cameras / "camera_02", names="{camera}/*")
    assert [camid for (camid,) in rows(gallery, "camid").values()] == [1, 1, 2]


def test_labels_of_a_dataset_win(gallery: StoredGallery, market: Path, tmp_path: Path) -> None:
    moved = tmp_path / "cam9" / "20240501_123015"
    moved.parent.mkdir()
    market.rename(moved)
    gallery.add(moved, names="*_c{camera}s*_{frame}_*")
    before = rows(gallery, "camid", "pid", "time")
    assert {camid for camid, _, _ in before.values()} == {1, 2, 3}
    assert len(before) == 5


def test_a_pattern(gallery: StoredGallery, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "p"
    for n, name in enumerate(("p3_k7_0012.png", "p3_k7_0013.png", "other.png")):
        blob(n, folder / name)
    with caplog.at_level(logging.WARNING):
        gallery.add(folder, names="p{person}_k{camera}_{frame}")
    assert "1 of 3 names do not match the name pattern" in caplog.text
    assert "other.png" in caplog.text
    assert rows(gallery, "pid", "camid") == {
        "p3_k7_0012.png": (3, 7),
        "p3_k7_0013.png": (3, 7),
        "other.png": (None, None),
    }
    with pytest.raises(ConfigError, match="matches none of 3 names"):
        gallery.add(folder, names="{date}/{camera}")


def test_lists(gallery: StoredGallery, cameras: Path, people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(cameras.parent)
    lines = ["crops/cam1/a.png\n", "\n", "crops/c.png\r\n", "./crops/cam1/a.png\n", "crops/gone.png\n", "people\n"]
    options = IngestOptions()
    inputs = open_list(lines, options)
    assert [each.total for each in inputs] == [3, 1, 6]
    added = gallery.ingest(inputs, options)
    assert (len(added.ids), added.known) == (6, 3), "c.png and a.png have the content of 3.png and 1.png"
    assert list(added.broken) == [str(cameras / "gone.png")]
    assert rows(gallery, "camid")[str(cameras / "cam1" / "a.png")] == (1,)
    with pytest.raises(DatasetLayoutError, match="no line"):
        open_list(["\n"], options)


def test_a_list_that_begins_in_a_folder_of_a_camera(
    gallery: StoredGallery, cameras: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(cameras / "cam1")
    gallery.ingest(open_list(["a.png"], IngestOptions()), IngestOptions())
    assert list(rows(gallery, "camid").values()) == [(None,)], "folders that the list does not name tell nothing"


def test_what_was_understood(cameras: Path, market: Path) -> None:
    from passerby.gallery.ingest.inputs import open_input

    found = Understood()
    assert str(found) == "0 images: their cameras and moments are not known"
    for place in (cameras, market):
        part = open_input(str(place), IngestOptions())
        assert isinstance(part, OnePart)
        found.add(part.part.samples, part.part.known)
    found.with_exif = 1
    assert str(found) == (
        "9 images: cameras 1, 2 from names (3 of them), cameras 1–3 from labels (5 of them), "
        "moments from names (1 of them), moments from EXIF (1 of them)"
    )


def test_each_file_is_read_once(gallery: StoredGallery, people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    whole = type(open_source(people)).read

    def counted(self: Any, name: str) -> bytes:
        read.append(name)
        return whole(self, name)

    monkeypatch.setattr("passerby.data.source.DirectorySource.read", counted)
    assert len(gallery.add(people).ids) == 6
    assert sorted(read) == sorted(["0.png", "1.png", "2.png", "3.png", "4.png", "more/5.png"])
    monkeypatch.setattr(contents_module, "KEPT", 0)
    read.clear()
    gallery.delete(range(6))
    assert len(gallery.add(people).ids) == 6, "what is not kept is read again"
    assert len(read) == 12


def test_contents_are_forgotten(people: Path) -> None:
    source = open_source(people)
    contents = Contents(source)
    samples = [Sample(path=name) for name in ("0.png", "1.png", "2.png", "nothing.png")]
    *read, missing = contents.read_ahead(samples)
    assert isinstance(missing, DatasetLayoutError)
    assert [each.digest for each in read if isinstance(each, Read)] == [
        content_digest(source, sample.path) for sample in samples[:3]
    ]
    assert contents.image("0.png").size == (32, 64)
    contents.forget(["1.png"])
    assert (set(contents._kept), contents._bytes) == ({"2.png"}, (people / "2.png").stat().st_size)


def test_thumbnails_of_real_people_are_blurred(gallery: StoredGallery, tmp_path: Path) -> None:
    folder = tmp_path / "large"
    blob(0, folder / "0.png")
    Image.open(folder / "0.png").resize((300, 600)).save(folder / "0.png")
    gallery.add(folder, thumbnails=True, tags=["blurred"])
    (hit,) = gallery.search(folder / "0.png", 1)
    content = gallery.thumbnail(hit.id)  # type: ignore[attr-defined]
    assert content is not None
    image = Image.open(io.BytesIO(content))
    assert (image.format, image.size) == ("JPEG", (64, 128))
    plain = Image.open(folder / "0.png").resize((64, 128))
    change = np.abs(np.asarray(image, float) - np.asarray(plain, float))[:38].mean()
    gallery.delete([hit.id])  # type: ignore[attr-defined]
    gallery.add(folder, thumbnails=True, blur=False)
    unblurred = gallery.thumbnail(1)
    assert unblurred is not None
    kept = np.abs(np.asarray(Image.open(io.BytesIO(unblurred)), float) - np.asarray(plain, float))[:38].mean()
    assert change > 4 * kept


def test_thumbnails_of_synthetic_people_are_not_blurred(
    gallery: StoredGallery, tmp_path: Path, draw_people: Any
) -> None:
    folder = Path(draw_people(tmp_path / "drawn", people=2, cameras=1, images=1))
    gallery.add(folder, split="all", thumbnails=True)
    for shard in gallery.store.shards:
        for row, path in zip(shard.ids.tolist(), shard.column("path").to_pylist(), strict=True):
            content = gallery.thumbnail(row)
            assert content is not None
            whole = Image.open(folder / path).convert("RGB")
            whole.thumbnail((128, 128))
            assert np.abs(np.asarray(Image.open(io.BytesIO(content)), float) - np.asarray(whole, float)).mean() < 6
    with pytest.raises(DatasetLayoutError, match="no row 99"):
        gallery.thumbnail(99)


def test_no_thumbnails_by_default(gallery: StoredGallery, people: Path) -> None:
    gallery.add(people)
    assert gallery.thumbnail(0) is None
