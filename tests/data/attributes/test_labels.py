"""Attributes from every place: the published files, tables, synthetic datasets on disk and generated; and errors."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from passerby.data.attributes.labels import read_attributes
from passerby.data.attributes.schema import MARKET, SCHEMAS, UNKNOWN, Schema
from passerby.data.dataset import people
from passerby.data.registry import load
from passerby.data.source import open_source
from passerby.errors import ConfigError, DatasetLayoutError
from passerby.synthetic.dataset import open_pedestrians
from passerby.types import Role, Sample

DUKE = SCHEMAS["dukemtmc"]


def columns(schema: Schema, rows: dict[str, list[int]], *, reverse: bool = False) -> dict[str, Any]:
    """One half of the published struct: a row of codes a column, and the people's names as a cell of strings."""
    codes = {pid: schema.to_columns(classes) for pid, classes in rows.items()}
    order = list(schema.columns)[:: -1 if reverse else 1]
    half: dict[str, Any] = {name: np.array([[codes[pid][name] for pid in rows]], np.uint8) for name in order}
    return half | {"image_index": np.array([list(rows)], dtype=object)}


TRAIN = {"0002": [1, 0, 1, 0, 1, 0, 1, 0, 0, 3, 2, 6], "0007": [0] * 10 + [UNKNOWN, 8]}
TEST = {"1501": [1] * 9 + [0, 7, UNKNOWN]}


@pytest.fixture
def market(tmp_path: Path) -> Path:
    """A file as Lin et al. write it; its halves have their columns in different orders."""
    halves = {"test": columns(MARKET, TEST, reverse=True), "train": columns(MARKET, TRAIN)}
    savemat(tmp_path / "market_attribute.mat", {"market_attribute": halves})
    return tmp_path / "market_attribute.mat"


def test_market(market: Path) -> None:
    found = read_attributes(market)
    assert found.schema is MARKET
    assert {pid: row.tolist() for pid, row in found.people.items()} == {
        2: TRAIN["0002"],
        7: TRAIN["0007"],
        1501: TEST["1501"],
    }
    assert {row.dtype for row in found.people.values()} == {np.dtype(np.int64)}
    assert not found.images
    with pytest.raises(ValueError, match="read-only"):
        found.people[2][0] = 0


@pytest.mark.parametrize("kind", ["folder", "zip", "str", "source"])
def test_the_place_may_be_what_holds_it(market: Path, tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "set" / "annotations"
    folder.mkdir(parents=True)
    market.rename(folder / market.name)
    place: Any = tmp_path / "set"
    if kind == "zip":
        place = shutil.make_archive(str(tmp_path / "packed"), "zip", place)
    if kind == "source":
        place = open_source(place)
    assert sorted(read_attributes(str(place) if kind == "str" else place).people) == [2, 7, 1501]


def test_duke_with_its_gaps(tmp_path: Path) -> None:
    half = columns(DUKE, {"0001": [1] * 10, "0008": [0] * 10})
    half["top"][0, 0] = 0
    half["downblack"][0, 1], half["downblue"][0, 1] = 2, 2
    savemat(tmp_path / "duke_attribute.mat", {"duke_attribute": {"train": half}})
    found = read_attributes(tmp_path)
    assert found.schema is DUKE
    assert found.people[1].tolist() == [1] * 7 + [UNKNOWN, 1, 1]
    assert found.people[8].tolist() == [0] * 9 + [UNKNOWN]


def test_a_single_person(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"market_attribute": {"train": columns(MARKET, {"0002": TRAIN["0002"]})}})
    assert list(read_attributes(tmp_path / "a.mat").people) == [2]


def test_published_files_that_are_not_in_order(tmp_path: Path) -> None:
    def read(content: dict[str, Any]) -> None:
        savemat(tmp_path / "a.mat", content)
        read_attributes(tmp_path / "a.mat")

    with pytest.raises(DatasetLayoutError, match=r"none of the variables market_attribute, duke_attribute; got people"):
        read({"people": [1]})
    with pytest.raises(DatasetLayoutError, match="not a struct of train and test"):
        read({"market_attribute": [1]})
    half = columns(MARKET, TRAIN)
    with pytest.raises(DatasetLayoutError, match="train has no hat; Market-1501 has 27 columns"):
        read({"market_attribute": {"train": {name: codes for name, codes in half.items() if name != "hat"}}})
    with pytest.raises(DatasetLayoutError, match="hat has 1 codes for 2 people"):
        read({"market_attribute": {"train": half | {"hat": [[1]]}}})
    with pytest.raises(DatasetLayoutError, match="train, person 0007: column 'hat' holds codes 1 to 2, got 3"):
        read({"market_attribute": {"train": half | {"hat": [[1, 3]]}}})
    with pytest.raises(DatasetLayoutError, match=r"person ann: .* is not a number"):
        read({"market_attribute": {"train": half | {"image_index": np.array([["ann", "bob"]], object)}}})
    savemat(tmp_path / "a.mat", {"market_attribute": {"train": half}})
    with pytest.raises(ConfigError, match="are Market-1501's, not DukeMTMC-reID's"):
        read_attributes(tmp_path / "a.mat", DUKE)


# Tables


def test_ones_own_table_of_people(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("pid,hat,upper_color,age\n3,yes,red,adult\n1,no,,old\n")
    found = read_attributes(tmp_path / "mine.csv", MARKET)
    assert list(found.people) == [1, 3]
    known = {group: value for group, value in MARKET.to_values(found.people[3].tolist()).items() if value != "unknown"}
    assert known == {"hat": "yes", "upper color": "red", "age": "adult"}
    assert found.people[1][MARKET.index("upper color")] == UNKNOWN
    assert found.people[1][MARKET.index("gender")] == UNKNOWN


def test_ones_own_table_of_images(tmp_path: Path) -> None:
    (tmp_path / "attributes.csv").write_text("path,pid,hat,age\na/1.jpg,3,yes,old\na/2.jpg,3,no,old\nb/1.jpg,,no,\n")
    found = read_attributes(tmp_path, MARKET)
    hat, age = MARKET.index("hat"), MARKET.index("age")
    assert {path: row[hat] for path, row in found.images.items()} == {"a/1.jpg": 1, "a/2.jpg": 0, "b/1.jpg": 0}
    assert (found.people[3][hat], found.people[3][age]) == (UNKNOWN, 3), "what her pictures agree about"


def test_samples(tmp_path: Path) -> None:
    (tmp_path / "attributes.csv").write_text("path,pid,hat,age\na.jpg,3,yes,old\nb.jpg,3,no,old\n,0,no,old\n")
    found = read_attributes(tmp_path, MARKET)
    hat = MARKET.index("hat")
    image, person, junk, unknown = (
        Sample("a.jpg", 3),
        Sample("c.jpg", 3),
        Sample("d.jpg", 0, role=Role.DISTRACTOR),
        Sample("e.jpg"),
    )
    assert found.of(image)[hat] == 1
    assert found.of(person)[hat] == UNKNOWN
    assert found.of(junk) is found.of(unknown) is None
    table = found.of_all([image, person, junk, unknown])
    assert (table.shape, table.dtype) == ((4, 12), np.int64)
    assert table[0, hat] == 1
    assert (table[2:] == UNKNOWN).all()
    assert found.of_all([]).shape == (0, 12)


def test_attributes_of_another_data_set_are_no_attributes(market: Path) -> None:
    with pytest.raises(
        DatasetLayoutError, match=r"describes none of 1 images \(a\.jpg\), but people 2, 7, 1501\. Fix: give"
    ):
        read_attributes(market).of_all([Sample("a.jpg", 3)])


def test_no_file_two_files_and_no_such_file(market: Path) -> None:
    folder = market.parent
    with pytest.raises(DatasetLayoutError, match=r"nowhere\.csv does not exist\. Fix: give a \.mat or \.csv"):
        read_attributes(folder / "nowhere.csv")
    (folder / "attributes.csv").write_text("pid,hat\n1,yes\n")
    with pytest.raises(DatasetLayoutError, match="more than one file of attributes"):
        read_attributes(folder)
    (folder / "attributes.csv").unlink()
    market.unlink()
    with pytest.raises(
        DatasetLayoutError, match=r"no file of attributes; expected one attributes\.csv or market_attribute"
    ):
        read_attributes(folder)


# Synthetic people


@pytest.fixture(scope="module")
def generated(draw_people: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    return lambda **settings: draw_people(
        tmp_path_factory.mktemp("generated") / "people", people=4, cameras=2, images=1, **settings
    )


@pytest.mark.parametrize("two_outfits", [False, True])
def test_a_dataset_on_disk_and_the_generated_one_agree(generated: Callable[..., Path], two_outfits: bool) -> None:
    folder = generated(two_outfits=two_outfits)
    written = read_attributes(folder)
    live = read_attributes(
        open_pedestrians("people=4,cameras=2,images=1,size=32x16,preset=easy", two_outfits=two_outfits, cache=None)
    )
    assert {pid: row.tolist() for pid, row in written.people.items()} == {
        pid: row.tolist() for pid, row in live.people.items()
    }
    assert {path: row.tolist() for path, row in written.images.items()} == {
        path: row.tolist() for path, row in live.images.items()
    }
    assert bool(live.images) == two_outfits
    dataset = load(folder)
    assert sorted(written.people) == sorted({*people(dataset.train), *people(dataset.query)})


def test_all_generated_people_have_every_group() -> None:
    found = read_attributes("pedestrians:people=6,size=32x16")
    table = found.of_all(load("pedestrians:people=6,size=32x16").train)
    assert (table >= 0).all()
    assert (table < np.array(MARKET.sizes)).all()


def test_two_outfits_are_told_apart_by_image(generated: Callable[..., Path]) -> None:
    folder = generated(two_outfits=True)
    found = read_attributes(folder)
    upper = MARKET.index("upper color")
    shown = {path: row[upper] for path, row in found.images.items()}
    assert UNKNOWN not in shown.values()
    changed = [pid for pid, row in found.people.items() if row[upper] == UNKNOWN]
    for pid in changed:
        assert len({color for path, color in shown.items() if int(path.split("/")[1][:4]) == pid}) == 2
    assert changed, "at least one color changes"
    broken = folder / "keypoints.json"
    broken.write_text(json.dumps({"images": [{"file_name": "a.jpg"}]}))
    with pytest.raises(DatasetLayoutError, match=r"keypoints\.json does not tell who wears which outfit"):
        read_attributes(folder)
    broken.unlink()
    assert not read_attributes(folder).images


def test_generated_people_have_markets_groups() -> None:
    with pytest.raises(ConfigError, match="are Market-1501's, not DukeMTMC-reID's"):
        read_attributes("pedestrians:people=2,size=32x16", DUKE)


# The real files


def test_the_real_market_file(shared: Path) -> None:
    found = read_attributes(shared / "data" / "market1501_attribute")
    table = np.stack(list(found.people.values()))
    assert table.shape == (751 + 750, 12)
    assert (table == UNKNOWN).sum(axis=0).tolist() == [0] * 10 + [147, 74]
    dataset = load(str(shared / "data" / "Market-1501-v15.09.15.zip"))
    samples = dataset.train + dataset.query
    assert all(found.of(sample) is not None for sample in samples)
    assert not [s.path for s in dataset.gallery if s.role is not Role.PERSON and found.of(s) is not None]


def test_the_real_duke_file(shared: Path) -> None:
    found = read_attributes(shared / "data" / "duke_attribute" / "duke_attribute.mat")
    table = np.stack(list(found.people.values()))
    assert table.shape == (702 + 1110, 10)
    assert (table == UNKNOWN).sum(axis=0).tolist() == [0] * 7 + [2, 15, 34]
