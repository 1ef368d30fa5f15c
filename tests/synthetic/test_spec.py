"""Settings as they are typed: what is written is read again, and what cannot be is refused in one plain line."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerby.errors import ConfigError, PasserbyError, UnknownNameError
from passerby.synthetic.settings import PRESETS, Knobs, Settings
from passerby.synthetic.spec import KNOBS, parse_knob, parse_size, settings_from, settings_text


def test_nothing_said_is_the_default() -> None:
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


def test_a_knob_changes_its_preset_only_there() -> None:
    knobs = settings_from("preset=hard,twins=0.1").knobs
    assert knobs.twins == 0.1
    assert {n for n in KNOBS if getattr(knobs, n) != getattr(PRESETS["hard"], n)} == {"twins"}


@pytest.mark.parametrize(("word", "value"), [("true", True), ("Yes", True), ("1", True), ("no", False), ("0", False)])
def test_switches(word: str, value: bool) -> None:
    assert settings_from(f"two_outfits={word}").two_outfits is value


@given(
    st.builds(
        Settings,
        people=st.integers(1, 10_000),
        cameras=st.integers(1, 99),
        images=st.integers(1, 99),
        size=st.tuples(st.integers(16, 2048), st.integers(16, 2048)),
        seed=st.integers(0, 2**70),
        preset=st.sampled_from(list(PRESETS)),
        two_outfits=st.booleans(),
        separate_cameras=st.booleans(),
        changes=st.dictionaries(st.sampled_from(KNOBS), st.floats(0, 1e9)),
    )
)
def test_what_is_written_is_read_again(settings: Settings) -> None:
    text = settings_text(settings)
    assert settings_from(text) == settings
    assert ":" not in text
    assert " " not in text


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
        ("preset=harder", "no preset 'harder'; there are easy, default, hard"),
        ("two_outfits=perhaps", "it is true or false"),
        ("background=nan", "background cannot be 'nan'; it is a number"),
        ("background=inf", "background cannot be 'inf'"),
        ("background=-1", "0 or more"),
        ("people=1,people=2", "people is set twice"),
        ("people", "NAME=VALUE,NAME=VALUE; got 'people'"),
    ],
)
def test_what_cannot_be(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        settings_from(text)


@pytest.mark.parametrize(
    "options", [{"people": True}, {"people": 2.5}, {"size": 128}, {"size": (32.5, 16)}, {"crop": "soft"}]
)
def test_keywords_that_cannot_be(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="cannot be"):
        settings_from(**options)


def test_a_path_in_the_place_of_settings_says_how_files_are_read() -> None:
    with pytest.raises(ConfigError, match=r"got '/data/people'.*files.* alone"):
        settings_from("/data/people")


@pytest.mark.parametrize(("text", "near"), [("poeple=6", "people"), ("backgruond=1", "background")])
def test_near_misses(text: str, near: str) -> None:
    with pytest.raises(UnknownNameError, match=f"Did you mean {near}"):
        settings_from(text)


def test_size_and_knob_for_the_command_line() -> None:
    assert parse_size("256x128") == parse_size(" 256 × 128 ") == (256, 128)
    assert parse_knob(" crop = 0.5 ") == ("crop", 0.5)
    assert set(KNOBS) == {field.name for field in fields(Knobs)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("crop", "NAME=VALUE, for example background"),
        ("crop=", "crop cannot be ''; it is a number"),
        ("crop=soft", "crop cannot be 'soft'"),
        ("corp=1", "unknown knob 'corp'. Did you mean crop"),
    ],
)
def test_knobs_that_cannot_be(text: str, message: str) -> None:
    with pytest.raises(PasserbyError, match=re.escape(message)):
        parse_knob(text)
