"""A dataset on disk: the generated source's images, Market-1501's attributes, COCO's keypoints; whole or not at all."""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from passerby.data import load
from passerby.data.attributes.schema import MARKET
from passerby.data.keypoints.skeleton import KEYPOINT_NAMES, OUTSIDE, PARTS
from passerby.errors import ConfigError, OutputError
from passerby.synthetic import export
from passerby.synthetic.annotations import COLUMNS, attribute_table
from passerby.synthetic.dataset import PedestrianSource
from passerby.synthetic.export import CHUNK, write_pedestrians
from passerby.synthetic.settings import Settings
from passerby.synthetic.street.world import World

SETTINGS = Settings(people=4, cameras=2, images=3, size=(32, 16), preset="hard", seed=3)
IMAGES = 4 * 2 * 3
FEW = Settings(people=2, cameras=1, images=2, size=(32, 16), preset="easy")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With part masks, by one process."""
    return write_pedestrians(tmp_path_factory.mktemp("one") / "people", SETTINGS, masks=True)


@pytest.fixture(scope="module")
def whole(written: Path) -> dict[str, Any]:
    """The content of keypoints.json."""
    content: dict[str, Any] = json.loads((written / "keypoints.json").read_text())
    return content


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def rows(table: str) -> list[dict[str, str]]:
    return list(csv.DictReader(table.splitlines()))


def mask(written: Path, image: dict[str, Any]) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(written / "masks" / Path(image["file_name"]).with_suffix(".png").name))


# the files


def test_files_are_the_lazy_sources(written: Path) -> None:
    source = PedestrianSource(SETTINGS, cache=None)
    images = {name: content for name, content in contents(written).items() if name.endswith(".jpg")}
    assert images == {name: source.read(name) for name in source.names()}
    assert len(images) == IMAGES


def test_two_processes_write_the_same_bytes(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert IMAGES > 2 * CHUNK, "or one process did all"
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    done: list[int] = []
    write_pedestrians(tmp_path / "two", SETTINGS, workers=2, masks=True, progress=done.append)
    assert contents(tmp_path / "two") == contents(written)
    assert done == [CHUNK] * (IMAGES // CHUNK)
    assert os.environ["OMP_NUM_THREADS"] == "3"
    assert "MKL_NUM_THREADS" not in os.environ


def test_it_is_read_as_market1501(written: Path) -> None:
    data, lazy = load(written), load(PedestrianSource(SETTINGS, cache=None).place)
    assert data.name == "market1501"
    assert (data.train, data.query, data.gallery) == (lazy.train, lazy.query, lazy.gallery)


def test_settings_are_beside_it(written: Path) -> None:
    assert json.loads((written / "settings.json").read_text()) == SETTINGS.to_dict()


def test_its_path_is_returned(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert write_pedestrians("~/new/people", FEW) == tmp_path / "new" / "people"
    assert not (tmp_path / "new" / "people" / "masks").exists(), "masks are written on request only"


def test_the_training_half_alone(written: Path, tmp_path: Path) -> None:
    out = write_pedestrians(tmp_path / "people", SETTINGS, train_only=True)
    every = contents(written)
    train = {name for name in every if name.startswith("bounding_box_train/")}
    made = contents(out)
    assert {name: made.pop(name) for name in train} == {name: every[name] for name in train}
    assert set(made) == {"attributes.csv", "keypoints.json", "settings.json"}
    assert [row["person"] for row in rows((out / "attributes.csv").read_text())] == ["1", "2"]
    assert {i["file_name"] for i in json.loads((out / "keypoints.json").read_text())["images"]} == train


# attributes


def test_attributes_are_markets(written: Path) -> None:
    table = rows((written / "attributes.csv").read_text())
    assert tuple(table[0]) == COLUMNS == ("person", "outfit", "twin_group", *MARKET.columns)
    assert len(MARKET.columns) == 27
    assert [(row["person"], row["outfit"]) for row in table] == [(str(n), "1") for n in range(1, 5)]
    for row in table:
        codes = {column: int(row[column]) for column in MARKET.columns}
        assert MARKET.to_columns(MARKET.from_columns(codes)) == codes


def test_a_row_for_each_outfit() -> None:
    table = rows(attribute_table(Settings(two_outfits=True), range(20)))
    assert [(row["person"], row["outfit"]) for row in table[:3]] == [("1", "1"), ("1", "2"), ("2", "1")]
    first, second = table[::2], table[1::2]
    for column in ("person", "gender", "age", "hair", "twin_group"):
        assert [row[column] for row in first] == [row[column] for row in second], "clothes change no person"
    assert sum(a[c] != b[c] for a, b in zip(first, second, strict=True) for c in MARKET.columns) > 20


def test_twins_share_a_group() -> None:
    table = rows(attribute_table(Settings(changes={"twins": 1.0}), range(6)))
    groups = [row["twin_group"] for row in table]
    assert len(set(groups)) < 6
    assert all(groups.count(group) > 1 for group in groups)
    assert {row["twin_group"] for row in rows(attribute_table(Settings(changes={"twins": 0.0}), range(6)))} == {""}


# keypoints


def test_every_image_has_an_entry(whole: dict[str, Any]) -> None:
    images, people = whole["images"], whole["annotations"]
    assert [i["id"] for i in images] == [p["id"] for p in people] == list(range(1, IMAGES + 1))
    assert [p["image_id"] for p in people] == [i["id"] for i in images]
    assert sorted(i["file_name"] for i in images) == list(PedestrianSource(SETTINGS, cache=None).names())
    assert {(i["height"], i["width"]) for i in images} == {(32, 16)}


def test_entries_agree_with_the_file_names(whole: dict[str, Any]) -> None:
    for image in whole["images"]:
        name = image["file_name"].split("/")[1]
        assert name == f"{image['person']:04d}_c{image['camera']}s1_{image['time']:06d}_00.jpg"
        assert image["outfit"] == 1
        assert image["viewpoint"] in ("front", "back", "left", "right")
        assert 0 <= image["heading"] < 6.284


def test_keypoints_are_in_cocos_format(whole: dict[str, Any]) -> None:
    codes = []
    for person in whole["annotations"]:
        x, y, code = np.array(person["keypoints"], dtype=float).reshape(len(KEYPOINT_NAMES), 3).T
        assert person["num_keypoints"] == (code > 0).sum()
        assert ((x >= 0) & (x <= 16) & (y >= 0) & (y <= 32)).all()
        assert not x[code == OUTSIDE].any()
        assert not y[code == OUTSIDE].any()
        codes += code.tolist()
    assert set(codes) == {0, 1, 2}


def test_boxes_are_around_the_keypoints(whole: dict[str, Any]) -> None:
    for person in whole["annotations"]:
        x0, y0, width, height = person["bbox"]
        assert width > 0
        assert height > width / 2
        x, y, code = np.array(person["keypoints"]).reshape(len(KEYPOINT_NAMES), 3).T
        x, y = x[code > 0], y[code > 0]
        assert ((x > x0 - 2) & (x < x0 + width + 2) & (y > y0 - 2) & (y < y0 + height + 2)).all()
        assert person["iscrowd"] == 0


def test_boxes_have_width_and_height(whole: dict[str, Any]) -> None:
    source = PedestrianSource(SETTINGS, cache=None)
    x0, y0, x1, y1 = source.labels(whole["images"][0]["file_name"]).box
    assert whole["annotations"][0]["bbox"] == pytest.approx([x0, y0, x1 - x0, y1 - y0], abs=0.01)


def test_the_category_names_keypoints_and_bones(whole: dict[str, Any]) -> None:
    (category,) = whole["categories"]
    assert category["keypoints"] == list(KEYPOINT_NAMES)
    assert {p["category_id"] for p in whole["annotations"]} == {category["id"]}
    named = {tuple(category["keypoints"][number - 1] for number in bone) for bone in category["skeleton"]}
    assert len(named) == len(KEYPOINT_NAMES) - 1
    assert {("neck", "left_hip"), ("left_knee", "left_ankle"), ("nose", "right_eye")} <= named


def test_two_outfits_are_told_apart(tmp_path: Path) -> None:
    out = write_pedestrians(
        tmp_path / "people", Settings(people=1, cameras=2, images=1, size=(32, 16), two_outfits=True)
    )
    images = json.loads((out / "keypoints.json").read_text())["images"]
    assert [(i["camera"], i["outfit"]) for i in images] == [(1, 1), (2, 2)]


# masks


def test_masks_are_of_the_images(written: Path, whole: dict[str, Any]) -> None:
    assert len(list((written / "masks").iterdir())) == IMAGES
    for image, person in zip(whole["images"], whole["annotations"], strict=True):
        parts = mask(written, image)
        assert (parts.shape, parts.dtype) == ((32, 16), np.uint8)
        assert parts.max() < len(PARTS)
        assert person["area"] == (parts > 0).sum() > 0


# what goes wrong


def test_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "people").mkdir()
    (tmp_path / "people" / "kept").touch()
    with pytest.raises(OutputError, match="people exists"):
        write_pedestrians(tmp_path / "people", FEW)
    assert contents(tmp_path) == {"people/kept": b""}


@pytest.mark.parametrize(
    ("failure", "reported"),
    [(OSError(28, "No space left on device"), OutputError), (KeyboardInterrupt(), KeyboardInterrupt)],
)
def test_a_failure_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException, reported: type[BaseException]
) -> None:
    shot = World.shot

    def second_fails(world: World, pid: int, camid: int, number: int) -> Any:
        if number:
            assert any(name.endswith(".jpg") for name in contents(tmp_path)), "the first image is there"
            raise failure
        return shot(world, pid, camid, number)

    monkeypatch.setattr(World, "shot", second_fails)
    with pytest.raises(reported):
        write_pedestrians(tmp_path / "people", FEW)
    assert [file.name for file in tmp_path.iterdir() if file.suffix != ".lock"] == []


def test_an_interruption_ends_the_workers_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "CHUNK", 2)  # little is under way

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_pedestrians(tmp_path / "people", SETTINGS, workers=2, progress=interrupt)
    assert multiprocessing.active_children() == []
    assert list(tmp_path.iterdir()) == []


def test_a_worker_that_is_killed_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "CHUNK", 2)  # much is still to do

    def kill(_: int) -> None:
        for child in multiprocessing.active_children():
            child.kill()

    with pytest.raises(OutputError, match="use fewer workers"):
        write_pedestrians(tmp_path / "people", SETTINGS, workers=2, progress=kill)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_a_program_that_is_killed_leaves_neither_workers_nor_files(number: int, code: int, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "passerby", "data", "synthesize", str(tmp_path / "people")]
    options = ["--people", "400", "--size", "32x16", "--workers", "2"]
    with subprocess.Popen([*command, *options], stderr=subprocess.PIPE, start_new_session=True) as program:
        until(lambda: any(tmp_path.rglob("*.jpg")))
        program.send_signal(number)
        assert program.wait(timeout=60) == code

    def gone() -> bool:
        try:
            os.killpg(program.pid, 0)
        except ProcessLookupError:
            return True
        return False

    until(gone)
    assert [file.name for file in tmp_path.iterdir() if file.suffix != ".lock"] == []


def until(condition: Callable[[], bool], *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings(people=1), "ask for 2 or more"),
        (Settings(cameras=2, separate_cameras=True), "separate cameras need at least 4"),
    ],
)
def test_contradicting_settings_are_an_error_before_any_work(tmp_path: Path, settings: Settings, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        write_pedestrians(tmp_path / "people", settings, train_only=True)
    assert list(tmp_path.iterdir()) == []
