"""``passerby ingest``: sources of all kinds, what is said of them, a folder that grows, and kills."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from passerby.gallery.store import Store
from passerby.gallery.store.verify import verify

Run = Callable[..., Any]
SYNCED = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
_IN_SMALL_CHUNKS = """
import sys, time
from passerby.cli import main
from passerby.gallery.ingest import ingest
from passerby.gallery.store import Store

add, ingest.CHUNK = Store.add, 2

def slowly(*arguments, **options):
    time.sleep(0.1)  # else a fast machine would be done before it is killed
    return add(*arguments, **options)

Store.add = slowly
main(sys.argv[1:])
"""


@pytest.fixture
def unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda _: None)


@pytest.fixture
def crops(figures: Path, tmp_path: Path) -> Path:
    """The synthetic dataset's gallery, as crops of two cameras: ``cam1/…``, ``camera_02/…``."""
    folder = tmp_path / "crops"
    for file in sorted((figures / "bounding_box_test").glob("*.jpg")):
        camera = file.name.partition("_c")[2][0]
        place = folder / ("cam1" if camera == "1" else "camera_02")
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place / f"2024-05-01_12-30-{len(list(place.iterdir())):02}.jpg")
    return folder


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.jpg"))


def rows(gallery: Path, name: str) -> list[Any]:
    return [value for shard in Store(gallery).shards for value in shard.column(name).to_pylist()]


@pytest.mark.usefixtures("unsynced")
def test_a_gallery_is_created_on_request_only(run: Run, trained: Path, crops: Path, tmp_path: Path) -> None:
    gallery = tmp_path / "g"
    missing = run("ingest", trained, gallery, crops)
    assert missing.code == 1
    assert "--create" in missing.err
    misspelled = run("ingest", trained, gallery, crops / "nowhere", "--create")
    assert misspelled.code == 1
    assert not gallery.exists()
    done = run("ingest", trained, gallery, crops, "--create", "--thumbnails", "--blur")
    assert done.code == 0, done.err
    n = len(files(crops))
    assert f"passerby: {n} images: cameras 1, 2 from names, moments from names" in done.err
    assert done.out == f"{n} images were added to {gallery}.\n"
    assert set(rows(gallery, "camid")) == {1, 2}
    assert None not in rows(gallery, "taken")
    assert all(Image.open(io.BytesIO(each)).format == "JPEG" for each in rows(gallery, "thumbnail"))
    again = run("ingest", trained, gallery, crops, "--create")
    assert f"{n} were there already" in again.out


@pytest.mark.usefixtures("unsynced")
@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="these systems have no such names")
@pytest.mark.parametrize("packed", [False, True])
def test_a_name_that_cannot_be_stored_is_skipped(
    run: Run, trained: Path, crops: Path, tmp_path: Path, *, packed: bool
) -> None:
    n, gallery = len(files(crops)), tmp_path / "g"
    shutil.copy(files(crops)[0], os.fsencode(crops) + b"/cam1/caf\xe9.jpg")
    place = shutil.make_archive(str(tmp_path / "packed"), "tar", crops) if packed else str(crops)
    strict = run("ingest", trained, gallery, place, "--create", "--strict")
    assert strict.code == 1
    assert "is not UTF-8" in strict.err
    done = run("ingest", trained, gallery, place, "--create", "--thumbnails", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["added"] == n
    assert ["is not UTF-8" in each["error"] for each in found["broken"]] == [True]
    assert done.err.count("is not UTF-8") == 1
    assert f"{n} were there already" in run("gallery", "add", trained, gallery, place).out


@pytest.mark.usefixtures("unsynced")
def test_given_facts_are_said_and_known_images_keep_theirs(
    run: Run, trained: Path, crops: Path, tmp_path: Path
) -> None:
    n, gallery = len(files(crops)), tmp_path / "g"
    done = run("ingest", trained, gallery, crops, "--create", "--camera-id", 5, "--taken", "2024-05-01T12:30")
    assert f"{n} images: camera 5 as given, their moment as given\n" in done.err
    again = ("ingest", trained, gallery, crops, "--camera-id", 6, "--tag", "vip")
    assert f"{n} were there already and keep their camera, tags." in run(*again).out
    assert json.loads(run(*again, "--json").out)["known_keep"] == ["camera", "tags"]
    assert set(rows(gallery, "camid")) == {5}
    assert json.loads(run("ingest", trained, gallery, crops, "--json").out)["known_keep"] == []


@pytest.mark.usefixtures("unsynced")
def test_it_fails_where_no_image_can_be_read(run: Run, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no image")
    gallery = tmp_path / "g"
    done = run("ingest", trained, gallery, tmp_path / "text.jpg", "--create")
    assert (done.code, "1 that cannot be read were skipped" in done.out) == (1, True)
    assert run("gallery", "add", trained, gallery, tmp_path / "text.jpg").code == 1
    negative = run("ingest", trained, gallery, tmp_path / "text.jpg", "--camera-id", -3)
    assert negative.code == 1
    assert "got -3, expected 0 or more" in negative.err
    strict = run("ingest", trained, gallery, tmp_path / "text.jpg", "--strict")
    assert strict.err.count("Fix: ") == 1


@pytest.mark.usefixtures("unsynced")
def test_several_sources_and_lists(
    run: Run, trained: Path, crops: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery = tmp_path / "g"
    archive = shutil.make_archive(str(tmp_path / "cam7"), "zip", crops / "cam1")
    (crops / "broken.jpg").write_bytes(b"no image")
    single = files(crops / "camera_02")[0]
    listed = tmp_path / "list.txt"
    listed.write_text("\n".join(map(str, [*files(crops / "camera_02"), crops / "broken.jpg"])))
    done = run("ingest", trained, gallery, archive, single, "--list", listed, "--create", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert (found["added"], found["known"]) == (len(files(crops)) - 1, 1)
    assert [each["image"] for each in found["broken"]] == [str(crops / "broken.jpg")]
    assert "passerby: skipped: " in done.err
    assert set(rows(gallery, "camid")) == {7, 2}
    assert found["images_per_second"] > 0
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(f"{single}\n".encode())))
    again = run("ingest", trained, gallery, "--list", "-")
    assert "1 were there already" in again.out
    strict = run("ingest", trained, gallery, crops, "--strict")
    assert strict.code == 1
    assert "broken.jpg" in strict.err
    assert "without --strict" in strict.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "there is nothing to add"),
        (["crops", "--name-pattern", "{kamera}"], "unknown field"),
        (["crops", "--name-pattern", "{frame}x"], "matches none of"),
        (["crops", "--no-blur"], "add --thumbnails"),
        (["--list", "missing.txt"], "the list 'missing.txt' cannot be read"),
        (["--follow", "missing"], "no folder to follow"),
        (["crops", "--taken", "yesterday"], "no moment"),
        (["crops", "--name-pattern", "*/{camera}"], "its camera is"),
    ],
)
@pytest.mark.usefixtures("unsynced")
def test_wrong_calls(
    run: Run, trained: Path, crops: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(crops.parent)
    done = run("ingest", trained, "g", *arguments, "--create")
    assert done.code == 1
    assert message in done.err
    assert "Fix: " in done.err
    assert not Path("g").exists()


@pytest.mark.usefixtures("unsynced")
def test_add_is_the_simple_form(run: Run, trained: Path, crops: Path, tmp_path: Path) -> None:
    gallery = tmp_path / "g"
    assert run("gallery", "create", trained, gallery).code == 0
    done = run("gallery", "add", trained, gallery, crops, "--name-pattern", "{camera}/{date}_{time}", "--tag", "door")
    assert done.code == 0, done.err
    assert set(rows(gallery, "tags")) == {"door"}
    assert set(rows(gallery, "camid")) == {1, 2}


def test_killed_at_random_moments_it_goes_on(trained: Path, crops: Path, tmp_path: Path) -> None:
    gallery, wanted, chance = tmp_path / "g", len(files(crops)), random.Random(0)
    command = [sys.executable, "-c", _IN_SMALL_CHUNKS, "ingest", trained, gallery, crops, "--create"]
    held, kills = 0, 0
    while held < wanted and kills < 2:
        process = subprocess.Popen(command, env=SYNCED, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        end = time.monotonic() + 120
        version = _version(gallery)
        while process.poll() is None and time.monotonic() < end and _version(gallery) == version:
            time.sleep(0.02)
        time.sleep(chance.random() * 0.15)
        process.kill()
        _, said = process.communicate(timeout=30)
        assert process.returncode in (-signal.SIGKILL, 0), said
        kills += process.returncode == -signal.SIGKILL
        found = _held(gallery)
        assert found >= held, "nothing that was written is lost"
        assert found == wanted or found % 2 == 0, "a chunk is there as a whole"
        held = found
    assert kills == 2, "it was done before it was killed"
    assert held > 0
    done = subprocess.run(command, env=SYNCED, capture_output=True, text=True, check=True)
    assert f"{wanted - held} images were added to {gallery}; {held} were there already." in done.stdout
    assert sorted(rows(gallery, "path")) == sorted(str(file.relative_to(crops)) for file in files(crops))
    assert not verify(gallery).problems


def _version(gallery: Path) -> int:
    """Return the version of a gallery, read without opening its shards; 1 where it is not there or empty."""
    manifest = gallery / "manifest.json"
    return int(json.loads(manifest.read_text())["version"]) if manifest.is_file() else 1


def _held(gallery: Path) -> int:
    return len(Store(gallery)) if (gallery / "manifest.json").is_file() else 0


@pytest.fixture
def followed(trained: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path, Path]]:
    """A running ``passerby ingest --follow``, with its folder and its gallery."""
    folder, gallery = tmp_path / "cam3", tmp_path / "g"
    folder.mkdir()
    command = [sys.executable, "-m", "passerby", "ingest", trained, gallery, "--follow", folder, "--create", "--json"]
    process = subprocess.Popen(
        [*command, "--poll", "0.1"], env=SYNCED, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    yield process, folder, gallery
    if process.poll() is None:
        process.kill()
        process.communicate(timeout=30)


def _wait_for(holds: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.05)


def test_a_folder_that_grows(followed: tuple[subprocess.Popen[str], Path, Path], crops: Path) -> None:
    process, folder, gallery = followed
    first, second, third, *_ = files(crops)
    shutil.copy(first, folder / "a.jpg")
    _wait_for(lambda: _held(gallery) == 1)
    content = second.read_bytes()
    (folder / "b.jpg").write_bytes(content[: len(content) // 2])
    (folder / "deep").mkdir()
    shutil.copy(first, folder / "deep" / "copy.jpg")
    shutil.copy(third, folder / "c.jpg")
    _wait_for(lambda: _held(gallery) == 2)
    time.sleep(0.5)  # the half-written file was looked at
    assert _held(gallery) == 2
    (folder / "b.jpg").write_bytes(content)
    _wait_for(lambda: _held(gallery) == 3)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    found = json.loads(out)
    assert (found["added"], found["known"], found["broken"]) == (3, 1, [])
    assert err.count("passerby: skipped: b.jpg") >= 1
    assert sorted(rows(gallery, "path")) == ["a.jpg", "b.jpg", "c.jpg"]
    assert set(rows(gallery, "camid")) == {3}, "the folder's name tells the camera"
