"""Settings as text: what is written is read again, and what cannot be is an error in one plain line."""

from __future__ import annotations

import json
import re
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerby.errors import ConfigError, PasserbyError, UnknownNameError
from passerby.synthetic.files import settings_json, short_hash
from passerby.synthetic.settings import DIFFICULTIES, PRESETS, Difficulty, Settings
from passerby.synthetic.spec import parse_difficulty, parse_size, settings_from, settings_text


def test_no_text_gives_the_default() -> None:
    assert settings_from() == settings_from("") == Settings()
    assert settings_text(Settings()) == ""


def test_every_setting_by_text() -> None:
    text = "people=60,cameras=4,images=3,size=256x128,seed=7,preset=hard,two_outfits=yes,background=0.5"
    assert settings_from(text) == Settings(
        people=60, cameras=4, images=3, size=(256, 128), seed=7, preset="hard", two_outfits=True,
        changes={"background": 0.5},
    )  # fmt: skip


def test_spaces_and_empty_parts_do_not_matter() -> None:
    assert settings_from(" people = 60 ,, size = 256 × 128 ,") == Settings(people=60, size=(256, 128))


def test_keywords_go_before_text() -> None:
    assert settings_from("people=60,crop=2", people=8, crop=0) == Settings(people=8, changes={"crop": 0.0})
    assert settings_from(size=[32, 16], separate_cameras=True) == Settings(size=(32, 16), separate_cameras=True)


def test_a_difficulty_changes_its_preset_only_there() -> None:
    difficulty = settings_from("preset=hard,twins=0.1").difficulty
    assert difficulty.twins == 0.1
    assert {n for n in DIFFICULTIES if getattr(difficulty, n) != getattr(PRESETS["hard"], n)} == {"twins"}


@pytest.mark.parametrize(("word", "value"), [("true", True), ("Yes", True), ("1", True), ("no", False), ("0", False)])
def test_switches(word: str, value: bool) -> None:
    assert settings_from(f"two_outfits={word}").two_outfits is value


SETTINGS = st.builds(
    Settings,
    people=st.integers(1, 10_000),
    cameras=st.integers(1, 99),
    images=st.integers(1, 99),
    size=st.tuples(st.integers(16, 2048), st.integers(16, 2048)),
    seed=st.integers(0, 2**70),
    preset=st.sampled_from(list(PRESETS)),
    two_outfits=st.booleans(),
    separate_cameras=st.booleans(),
    changes=st.dictionaries(st.sampled_from(DIFFICULTIES), st.floats(0, 1e9)),
)


@given(SETTINGS)
def test_what_is_written_as_text_is_read_again(settings: Settings) -> None:
    text = settings_text(settings)
    assert settings_from(text) == settings
    assert ":" not in text
    assert " " not in text


@given(SETTINGS)
def test_what_is_written_as_json_is_read_again(settings: Settings) -> None:
    assert Settings.from_dict(json.loads(settings_json(settings))) == settings


def test_every_setting_is_written() -> None:
    """A setting that the text left out would be lost on the way to a gallery's file."""
    other = {
        "people": 3, "cameras": 7, "images": 9, "size": (32, 16), "seed": 1, "preset": "easy", "two_outfits": True,
        "separate_cameras": True, "changes": {"crop": 0.0},
    }  # fmt: skip
    assert set(other) == {field.name for field in fields(Settings)}
    for name, value in other.items():
        settings = Settings(**{name: value})
        assert settings_from(settings_text(settings)) == settings != Settings()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("people=many", "people cannot be 'many'; it is a whole number"),
        ("people=2.5", "people cannot be '2.5'"),
        ("people=", "people cannot be ''"),
        ("people=0", "people must be at least 1, got 0"),
        ("seed=-1", "seed must be at least 0"),
        ("size=128", "HEIGHTxWIDTH, for example 256x128; got '128'"),
        ("size=8x8", "each of 16 to 2048"),
        ("preset=harder", "unknown preset: got 'harder', expected one of easy, default, hard"),
        ("two_outfits=perhaps", "it is true or false"),
        ("background=nan", "background cannot be 'nan'; it is a number"),
        ("background=inf", "background cannot be 'inf'"),
        ("background=-1", "0 or more"),
        ("people=1,people=2", "people is set twice"),
        ("color=1,colour=2", "color is set twice"),
        ("people", "NAME=VALUE,NAME=VALUE; got 'people'"),
    ],
)
def test_what_cannot_be(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        settings_from(text)


def test_a_difficulty_that_does_not_exist() -> None:
    with pytest.raises(ConfigError, match="unknown difficulty: got 'fog', expected one of clothes, color"):
        Settings(changes={"fog": 1.0})


@pytest.mark.parametrize(
    "options", [{"people": True}, {"people": 2.5}, {"size": 128}, {"size": (32.5, 16)}, {"crop": "soft"}]
)
def test_keywords_that_cannot_be(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="cannot be"):
        settings_from(**options)


def test_a_path_in_the_place_of_settings_names_the_way_to_open_files() -> None:
    with pytest.raises(ConfigError, match=r"got '/data/people'.*files.* alone"):
        settings_from("/data/people")


@pytest.mark.parametrize(("text", "near"), [("poeple=6", "people"), ("backgruond=1", "background")])
def test_near_misses(text: str, near: str) -> None:
    with pytest.raises(UnknownNameError, match=f"Did you mean {near}"):
        settings_from(text)


def test_size_and_difficulty_for_the_command_line() -> None:
    assert parse_size("256x128") == parse_size(" 256 × 128 ") == (256, 128)
    assert parse_difficulty(" crop = 0.5 ") == ("crop", 0.5)
    assert set(DIFFICULTIES) == {field.name for field in fields(Difficulty)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("crop", "NAME=VALUE, for example background"),
        ("crop=", "crop cannot be ''; it is a number"),
        ("crop=soft", "crop cannot be 'soft'"),
        ("corp=1", "unknown difficulty 'corp'. Did you mean crop"),
    ],
)
def test_difficulties_that_cannot_be(text: str, message: str) -> None:
    with pytest.raises(PasserbyError, match=re.escape(message)):
        parse_difficulty(text)


# Former names


def test_the_former_spelling_is_read_everywhere_and_written_only_to_json() -> None:
    settings = Settings(changes={"color": 2.0})
    assert settings_from("colour=2") == settings_from(colour=2) == settings_from("color=2") == settings
    assert parse_difficulty("colour=2") == ("color", 2.0)
    assert settings_text(settings) == "color=2.0"
    content = json.loads(settings_json(settings))
    assert content["changes"] == {"colour": 2.0}
    assert content["knobs"]["colour"] == 2.0
    assert Settings.from_dict(content) == settings


@pytest.mark.parametrize(
    ("settings", "recorded"),
    [
        (Settings(), "314585a6691d3183"),
        (Settings(preset="hard", two_outfits=True, changes={"color": 2.5, "twins": 0.5}), "942a665e0d51c186"),
    ],
)
def test_hashes_are_those_of_the_first_version(settings: Settings, recorded: str) -> None:
    """Caches, digests and keypoint files of former versions are found by them."""
    assert short_hash(settings) == recorded
