"""Contact sheets of synthetic people, and of exported files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from passerby.data.attributes.twins import twin_groups
from passerby.data.dataset import Dataset
from passerby.data.images.decode import decode
from passerby.data.keypoints.in_pixels import keypoints_in_pixels
from passerby.data.keypoints.skeleton import OUTSIDE
from passerby.data.registry import load
from passerby.errors import DatasetLayoutError, OutputError
from passerby.figures.contact_sheet import GAP, MARGIN, contact_sheet, save_sheet
from passerby.synthetic.export import write_pedestrians
from passerby.synthetic.settings import Settings

HEIGHT, WIDTH = 64, 32
SETTINGS = Settings(people=8, cameras=2, images=2, size=(HEIGHT, WIDTH), changes={"twins": 0.8, "crop": 2.0})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pedestrians(tmp_path_factory.mktemp("sheet") / "data", SETTINGS)


@pytest.fixture(scope="module")
def written(folder: Path) -> Dataset:
    return load(folder)


@pytest.fixture(scope="module")
def drawn() -> Dataset:
    return load("pedestrians", people=8, cameras=2, images=2, size=(HEIGHT, WIDTH), twins=0.8, crop=2.0, cache=None)


def cell(sheet: Image.Image, column: int, row: int) -> np.ndarray:
    x, y = MARGIN + column * (WIDTH + GAP), MARGIN + row * (HEIGHT + GAP)
    return np.asarray(sheet.crop((x, y, x + WIDTH, y + HEIGHT)))


def test_people_stand_across_and_cameras_down(written: Dataset) -> None:
    sheet = contact_sheet(written, count=3)
    assert sheet.size == (MARGIN + 3 * (WIDTH + GAP), MARGIN + 2 * (HEIGHT + GAP))
    for sample in (s for s in written.train if s.pid in (1, 2, 3)):
        image = np.asarray(decode(written.source.read(sample.path), name=sample.path))
        assert sample.pid is not None
        assert sample.camid is not None
        first = sample.path == min(s.path for s in written.train if (s.pid, s.camid) == (sample.pid, sample.camid))
        assert np.array_equal(cell(sheet, sample.pid - 1, sample.camid - 1), image) == first


def test_a_split_and_fewer_cameras(written: Dataset) -> None:
    sheet = contact_sheet(written, split="query", cameras=1)
    assert sheet.size == (MARGIN + 4 * (WIDTH + GAP), MARGIN + HEIGHT + GAP)


def test_who_was_not_seen_leaves_a_gap(written: Dataset) -> None:
    fewer = Dataset("some", written.source, train=tuple(s for s in written.train if (s.pid, s.camid) != (2, 1)))
    assert (cell(contact_sheet(fewer, count=3), 1, 0) == 0xDD).all()


def test_drawn_and_written_sheets_are_one(written: Dataset, drawn: Dataset) -> None:
    assert np.array_equal(contact_sheet(written), contact_sheet(drawn))


def test_keypoints_lie_over_the_images(written: Dataset, drawn: Dataset) -> None:
    plain, joined = (cell(contact_sheet(written, keypoints=on), 0, 0).astype(int) for on in (False, True))
    keypoints = keypoints_in_pixels(written.source)
    first = min((s for s in written.train if (s.pid, s.camid) == (1, 1)), key=lambda s: s.time or 0)
    changed = np.abs(plain - joined).max(-1) > 20
    pose = keypoints[first.path]
    inside = pose.xy[pose.visibility != OUTSIDE].round().astype(int)
    near = [changed[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3].any() for x, y in inside]
    assert len(near) > 4
    assert all(near)
    assert changed.mean() < 0.5


def test_drawn_and_written_keypoints_are_one(written: Dataset, drawn: Dataset) -> None:
    ours, theirs = keypoints_in_pixels(drawn.source), keypoints_in_pixels(written.source)
    assert set(ours) == set(theirs)
    for name in [*ours][::7]:
        assert np.array_equal(ours[name].visibility, theirs[name].visibility)
        seen = ours[name].visibility != OUTSIDE
        np.testing.assert_allclose(ours[name].xy[seen], theirs[name].xy[seen], atol=0.006)


def test_twins_stand_side_by_side(written: Dataset, drawn: Dataset) -> None:
    groups = twin_groups(written.source)
    assert groups == twin_groups(drawn.source)
    assert len(groups) >= 2
    sheet = contact_sheet(written, twins=True)
    assert sheet.width == MARGIN + len(groups) * (WIDTH + GAP)


def test_unknown_people_twins_and_keypoints_are_an_error(folder: Path, written: Dataset, tmp_path: Path) -> None:
    bare = Dataset("bare", load(_only_pictures(folder, tmp_path / "bare")).source, train=written.train)
    with pytest.raises(DatasetLayoutError, match=r"no keypoints\.json"):
        contact_sheet(bare, keypoints=True)
    with pytest.raises(DatasetLayoutError, match=r"no attributes\.csv"):
        contact_sheet(bare, twins=True)
    with pytest.raises(DatasetLayoutError, match="no people to draw"):
        contact_sheet(Dataset("empty", written.source))


def test_broken_labels_are_an_error(folder: Path, tmp_path: Path) -> None:
    broken = _only_pictures(folder, tmp_path / "broken")
    whole = json.loads((folder / "keypoints.json").read_text())
    whole["annotations"][0]["keypoints"].pop()
    (broken / "keypoints.json").write_text(json.dumps(whole))
    (broken / "attributes.csv").write_text("person,twin_group\n1,first\n")
    with pytest.raises(DatasetLayoutError, match=r"keypoints\.json is not COCO's with 18 keypoints"):
        keypoints_in_pixels(load(broken).source)
    with pytest.raises(DatasetLayoutError, match=r"attributes\.csv has no columns"):
        twin_groups(load(broken).source)


def test_a_sheet_is_an_image_file(written: Dataset, tmp_path: Path) -> None:
    sheet = contact_sheet(written, count=2)
    save_sheet(sheet, tmp_path / "sheet.png")
    assert np.array_equal(Image.open(tmp_path / "sheet.png"), sheet)
    with pytest.raises(OutputError, match=r"\.png or \.jpg"):
        save_sheet(sheet, tmp_path / "sheet.pdf")
    assert [p.name for p in tmp_path.iterdir()] == ["sheet.png"]


def _only_pictures(folder: Path, to: Path) -> Path:
    (to / "query").mkdir(parents=True)
    for image in (folder / "query").iterdir():
        (to / "query" / image.name).write_bytes(image.read_bytes())
    return to


def test_images_may_be_opened_otherwise(written: Dataset) -> None:
    asked: list[str] = []

    def red(name: str) -> Image.Image:
        asked.append(name)
        return Image.new("RGB", (WIDTH, HEIGHT), "red")

    sheet = contact_sheet(written, count=2, image=red)
    assert len(asked) == 4
    assert (cell(sheet, 0, 0) == (255, 0, 0)).all()
    assert (cell(sheet, 0, 0) == cell(sheet, 1, 1)).all()
