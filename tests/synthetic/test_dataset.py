"""A dataset that is rendered when it is read: names at once, contents on demand, files whole or not at all."""

from __future__ import annotations

import io
import json
import pickle
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from passerby.data import load
from passerby.data.dataset import Dataset, people, queries_without_match
from passerby.data.datasets.market1501 import FOLDERS
from passerby.data.source import cache_root
from passerby.errors import ConfigError, DatasetLayoutError, OutputError, UnknownNameError
from passerby.synthetic.dataset import PedestrianSource, open_pedestrians
from passerby.synthetic.files import NAME, keys, short_hash
from passerby.synthetic.settings import Settings
from passerby.synthetic.shot import encode
from passerby.synthetic.street.world import World

SMALL: dict[str, Any] = {"people": 5, "cameras": 3, "images": 2, "size": (32, 16), "preset": "easy"}


@pytest.fixture
def source(tmp_path: Path) -> PedestrianSource:
    return PedestrianSource(Settings(**SMALL), cache=tmp_path / "cache")


@pytest.fixture
def forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make rendering fail."""

    def shot(*_: object) -> None:
        raise AssertionError("an image was rendered")

    monkeypatch.setattr(World, "shot", shot)


def files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def dataset(**settings: Any) -> Dataset:
    return load("pedestrians", **{**SMALL, **settings})


# names and splits


def test_names_are_markets(source: PedestrianSource, forbidden: None) -> None:
    names = source.names()
    assert len(names) == len(set(names)) == 5 * 3 * 2
    assert list(names) == sorted(names)
    assert {name.split("/")[0] for name in names} == set(FOLDERS)
    assert names[0].startswith("bounding_box_test/0003_c1s1_")
    assert names[-1].startswith("query/0005_c3s1_")


def test_training_and_test_people_are_others(forbidden: None) -> None:
    data = dataset()
    assert data.name == "pedestrians"
    assert people(data.train) == [1, 2]
    assert people(data.query) == people(data.gallery) == [3, 4, 5]
    assert {s.camid for s in data.train} == {s.camid for s in data.gallery} == {1, 2, 3}


def test_the_query_is_each_cameras_first_image(forbidden: None) -> None:
    data = dataset(images=3)
    assert Counter((s.pid, s.camid) for s in data.query) == dict.fromkeys(
        ((pid, camid) for pid in (3, 4, 5) for camid in (1, 2, 3)), 1
    )
    assert Counter((s.pid, s.camid) for s in data.gallery) == {(s.pid, s.camid): 2 for s in data.query}
    for query in data.query:
        later = [s.time for s in data.gallery if (s.pid, s.camid) == (query.pid, query.camid)]
        assert all(query.time is not None and t is not None and query.time < t for t in later)


def test_more_people_are_more_of_the_same(forbidden: None) -> None:
    few, many = dataset(people=4), dataset(people=8)
    assert {s.time for s in few.train} < {s.time for s in many.train}
    assert len(many.train) == 2 * len(few.train)


def test_one_person_is_a_test_person(forbidden: None) -> None:
    data = dataset(people=1)
    assert (len(data.train), len(data.query), len(data.gallery)) == (0, 3, 3)


# separate cameras, two outfits


@pytest.mark.parametrize(("cameras", "training", "test"), [(4, {1, 2}, {3, 4}), (5, {1, 2}, {3, 4, 5})])
def test_separate_cameras(cameras: int, training: set[int], test: set[int], forbidden: None) -> None:
    data = dataset(cameras=cameras, separate_cameras=True)
    assert {s.camid for s in data.train} == training
    assert {s.camid for s in data.query} == {s.camid for s in data.gallery} == test
    assert queries_without_match(data.query, data.gallery) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cameras": 3}, "at least 4, got 3"),
        ({"cameras": 4, "two_outfits": True}, "second outfit"),
    ],
)
def test_cameras_that_cannot_be_separate(settings: dict[str, Any], message: str) -> None:
    for attempt in (lambda s: PedestrianSource(s, cache=None), lambda s: list(keys(s))):
        with pytest.raises(ConfigError, match=message):
            attempt(Settings(**{**SMALL, **settings}, separate_cameras=True))


def test_two_outfits_change_the_second_half_of_the_cameras_only() -> None:
    one, two = (
        PedestrianSource(Settings(**{**SMALL, "people": 2, "cameras": 2}, two_outfits=two), cache=None)
        for two in (False, True)
    )
    assert one.names() == two.names()
    changed = {name for name in one.names() if one.read(name) != two.read(name)}
    assert changed == {name for name in one.names() if "_c2s1_" in name}


# reading


def test_a_image_is_that_of_the_world(source: PedestrianSource) -> None:
    name = source.names()[0]
    shot = World(Settings(**SMALL)).shot(2, 0, 1)
    assert source.read(name) == encode(shot)
    assert source.labels(name).time == shot.labels.time == int(name.split("_")[-2])
    with Image.open(io.BytesIO(source.read(name))) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (16, 32))
    assert len(encode(replace(shot, quality=30))) < 0.9 * len(encode(replace(shot, quality=95)))


def test_only_what_is_read_is_rendered_and_kept(source: PedestrianSource, tmp_path: Path) -> None:
    assert not (tmp_path / "cache").exists()
    name = source.names()[3]
    content = source.read(name)
    assert source.folder == tmp_path / "cache" / short_hash(source.settings)
    assert files(source.folder) == sorted([name, "settings.json"])
    assert (source.folder / name).read_bytes() == content
    assert json.loads((source.folder / "settings.json").read_text()) == source.settings.to_dict()


def test_what_is_kept_is_not_rendered_again(source: PedestrianSource, request: pytest.FixtureRequest) -> None:
    name = source.names()[0]
    content = source.read(name)
    request.getfixturevalue("forbidden")
    assert source.read(name) == content
    with pytest.raises(AssertionError, match="was rendered"):
        source.read(source.names()[1])


def test_threads_and_an_interruption_leave_whole_files(
    source: PedestrianSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ThreadPoolExecutor(4) as pool:
        contents = set(pool.map(source.read, [source.names()[0]] * 8))
    assert len(contents) == 1

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        source.read(source.names()[1])
    assert source.folder is not None
    assert files(source.folder) == sorted([source.names()[0], "settings.json"])


def test_without_a_cache_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSERBY_CACHE", str(tmp_path / "cache"))
    data = dataset(cache=None)
    content = data.source.read(data.query[0].path)
    assert list(tmp_path.iterdir()) == []
    assert dataset().source.read(data.query[0].path) == content
    assert (tmp_path / "cache").exists()


def test_the_cache_is_where_one_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert open_pedestrians("people=4").cache == cache_root() / NAME
    assert open_pedestrians("people=4", cache=tmp_path).cache == tmp_path
    assert open_pedestrians("people=4", cache="~/images").cache == tmp_path / "images"
    monkeypatch.delenv("PASSERBY_CACHE")
    assert open_pedestrians("people=4").cache == tmp_path / ".cache" / "passerby" / "pedestrians"


@pytest.mark.parametrize("spoil", ["a file for a folder", "a folder for a file", "no room"])
def test_a_cache_that_cannot_be_written(
    source: PedestrianSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: str
) -> None:
    name = source.names()[0]
    assert source.folder is not None
    if spoil == "a file for a folder":
        (tmp_path / "cache").touch()
    elif spoil == "a folder for a file":
        (source.folder / name).mkdir(parents=True)
    else:
        monkeypatch.setattr(Path, "write_bytes", _no_room)
    with pytest.raises(OutputError, match="another folder in PASSERBY_CACHE"):
        source.read(name)
    assert all(p.is_dir() or p.name in ("cache", "settings.json") for p in tmp_path.rglob("*"))


def _no_room(*_: object) -> int:
    raise OSError(28, "No space left on device")


def test_a_file_that_does_not_exist(source: PedestrianSource) -> None:
    for ask in (source.read, source.labels):
        with pytest.raises(DatasetLayoutError, match=r"pedestrians:people=5.* has no file 'query/missing\.jpg'"):
            ask("query/missing.jpg")


# the hash


@pytest.mark.parametrize(
    "change",
    [
        {"people": 6}, {"cameras": 4}, {"images": 3}, {"size": (48, 24)}, {"seed": 1}, {"preset": "hard"},
        {"two_outfits": True}, {"separate_cameras": True}, {"changes": {"crop": 0.0}},
    ],
)  # fmt: skip
def test_other_settings_have_another_folder(change: dict[str, Any]) -> None:
    assert short_hash(Settings(**{**SMALL, **change})) != short_hash(Settings(**SMALL))


def test_equal_settings_share_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Settings(**SMALL, changes={"crop": 0.0, "light": 0.5})
    assert short_hash(one) == short_hash(Settings(**SMALL, changes={"light": 0.5, "crop": 0.0}))
    before = short_hash(one)
    monkeypatch.setattr("passerby.synthetic.settings.VERSION", 0)
    assert short_hash(one) != before, "of another renderer"


# by name


def test_keywords_and_one_string_say_the_same(forbidden: None) -> None:
    text = "pedestrians:people=5,cameras=3,images=2,size=32x16,preset=easy"
    named, both = load(text), load("pedestrians:people=5,cameras=3", images=2, size=(32, 16), preset="easy")
    assert named.train == both.train == dataset().train
    assert named.source.place == both.source.place == dataset().source.place == text


def test_the_bare_name_is_the_default_set(forbidden: None) -> None:
    data = load("pedestrians")
    assert data.summary().startswith("train 2,400 images of 100 people")
    assert load(data.source.place).train == data.train


def test_its_place_opens_it_again(forbidden: None) -> None:
    data = dataset(two_outfits=True, crop=0.25)
    again = load(data.source.place)
    assert isinstance(again.source, PedestrianSource)
    assert again.source.settings == Settings(**SMALL, two_outfits=True, changes={"crop": 0.25})


def test_names_and_values_that_cannot_be() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean people"):
        load("pedestrians", poeple=6)
    with pytest.raises(ConfigError, match="people cannot be 'six'"):
        load("pedestrians:people=six")


# other processes


def test_it_travels_to_another_process(source: PedestrianSource) -> None:
    name = source.names()[0]
    content = source.read(name)
    other = pickle.loads(pickle.dumps(source))
    assert (other.settings, other.cache, other.names()) == (source.settings, source.cache, source.names())
    bare = PedestrianSource(source.settings, cache=None)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert pool.submit(bare.read, name).result() == content
