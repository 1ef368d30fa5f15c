from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest

from passerby.data.names.cameras import cameras_in, number_in
from passerby.data.names.moments import milliseconds, moment_in, moment_of
from passerby.data.names.pattern import NameFacts, NamePattern
from passerby.data.names.read import ranges, read_names
from passerby.errors import ConfigError

NOON = milliseconds(datetime(2024, 5, 1, 12, 30, 15))


@pytest.mark.parametrize(
    ("name", "cameras"),
    [
        ("cam1/x", {1}),
        ("people/Camera_02/more/x", {2}),
        ("c03/x", {3}),
        ("ch 12/x", {12}),
        ("cam1_2024-05-01_12-30-15_0003", {1}),
        ("0007_cam3_12", {3}),
        ("p5-camera4-f7", {4}),
        ("0002_c1s1_000451_03", {1}),
        ("0001_c2_f0046182", {2}),
        ("-1_c6s3_1_0", {6}),
        ("cam1/0003_cam2", {1, 2}),
        ("cam_0003", set()),
        ("cam_12-30-15", set()),
        ("cam2024/x", set()),
        ("camera/x", set()),
        ("webcams1/x", set()),
        ("east_cam1_3", set()),
        ("entrance/3", set()),
        ("cam1a/x", set()),
        ("scam1/x", set()),
        ("c03", set()),
    ],
)
def test_cameras_of_names(name: str, cameras: set[int]) -> None:
    assert cameras_in(name) == cameras


@pytest.mark.parametrize(
    ("name", "is_noon"),
    [
        ("cam1_2024-05-01_12-30-15_0003", True),
        ("20240501_123015", True),
        ("20240501T123015", True),
        ("x 2024.05.01 12.30.15 y", True),
        ("cam1/2024-05-01/12-30-15", True),
        ("20240501123015", True),
        ("2024-05-01_12-30-15_2024-05-01_12-30-15", True),
        ("20240501_0003", False),
        ("2024-05-01", False),
        ("2024-05-01_12-30-15_2024-05-01_12-30-16", False),
        ("2024-13-01_12-30-15", False),
        ("2024-02-30_12-30-15", False),
        ("120240501_123015", False),
        ("0002_c1s1_000451_03", False),
    ],
)
def test_moments_of_names(name: str, is_noon: bool) -> None:
    assert moment_in(name) == (NOON if is_noon else None)


def test_fractions_and_minutes() -> None:
    assert moment_in("2024-05-01_12-30-15.250") == NOON + 250
    assert moment_in("2024-05-01_12-30_x") == NOON - 15_000
    assert moment_of("2024-05-01", None) == NOON - (12 * 3600 + 30 * 60 + 15) * 1000
    assert moment_of("2024-05-01", "12h30m15,5") == NOON + 500
    assert milliseconds(datetime(2024, 5, 1, tzinfo=timezone(timedelta(hours=2)))) == 1714514400000


UTC = milliseconds(datetime(2024, 5, 1, 12, 30, 15, tzinfo=timezone.utc))
HOUR = 3_600_000


@pytest.fixture(params=["Europe/Berlin", "America/New_York"])
def elsewhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set the zone of this computer."""
    if not hasattr(time, "tzset"):
        pytest.skip("this system does not let a process choose its zone")
    with monkeypatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("name", "moment"),
    [
        ("cam1/2024-05-01T12:30:15Z", UTC),
        ("20240501T123015Z_0003", UTC),
        ("2024-05-01_12-30-15Z", UTC),
        ("2024-05-01_12-30-15_UTC", UTC),
        ("2024-05-01T12:30:15+00:00", UTC),
        ("2024-05-01T12:30:15.250+02:00", UTC - 2 * HOUR + 250),
        ("2024-05-01 12:30:15.25+02", UTC - 2 * HOUR + 250),
        ("2024-05-01 12:30:15 +0530", UTC - 11 * HOUR // 2),
        ("2024-05-01T12:30:15-07:00", UTC + 7 * HOUR),
        ("20240501T123015-0700", UTC + 7 * HOUR),
        ("2024-05-01_12-30-15-07:00", UTC + 7 * HOUR),
        ("2024-05-01T12-30-15-123Z", UTC + 123),
        ("2024-05-01_12-30-15_UTC+02:00", UTC - 2 * HOUR),
        ("2024-05-01_12-30-15_UTC+2", None),
        ("2024-05-01T12:30:15+99:00", None),
        ("2024-05-01T12:30:15-07", None),
        ("20240501T123015-0003", None),
    ],
)
def test_a_zone_in_a_name_counts(name: str, moment: int | None) -> None:
    assert moment_in(name) == moment


@pytest.mark.usefixtures("elsewhere")
def test_a_zone_after_the_fields_of_a_pattern_counts() -> None:
    for text in ("{date}T{time}", "{date}T{time}Z", "{date}T{time}*"):
        assert NamePattern(text).match("2024-05-01T12:30:15Z.png") == NameFacts(taken=UTC), text
    east = NamePattern("{date}_{time}").match("20240501_123015+0200")
    assert east == NameFacts(taken=UTC - 2 * HOUR)
    counter = NamePattern("{date}_{time}-{frame}").match("20240501_123015-0100")
    assert counter == NameFacts(taken=milliseconds(datetime(2024, 5, 1, 12, 30, 15)), frame=100)
    assert NamePattern("{date}_{time}*").match("20240501_023015_PM.png") is None


@pytest.mark.parametrize(
    ("name", "after_noon"),
    [
        ("2024-05-01T12:30:15.1234567", 123),
        ("2024-05-01_12-30-15,123456789", 123),
        ("2024-05-01_12-30-15-0003", 0),
        ("2024-05-01_12-30-15-0700", 0),
        ("2024-05-01_12-30-15_amber", 0),
        ("2024-05-01_12-30_0003", -15_000),
        ("2024-05-01T12:30:15.1234567890", None),
        ("2024-05-01_12-30-15123", None),
        ("2024-05-01_12-30-15.1.2", None),
        ("2024-05-01_12-30-60", None),
        ("2024-05-01_12-30-0003", None),
        ("2024-05-01_12-30-5", None),
        ("2024-05-01_12-30:15", None),
        ("20240501_123015123", None),
        ("2024-05-01_02-30-15_PM", None),
        ("2024-05-01 02.30.15\u202fp.m.", None),
        ("2024-05-01_12-30-15am", None),
    ],
)
def test_seconds_are_never_left_out(name: str, after_noon: int | None) -> None:
    assert moment_in(name) == (None if after_noon is None else NOON + after_noon)


def test_numbers() -> None:
    assert [number_in(text) for text in ("cam1", "c03", "camera_02", "7", "p-12", "entrance", "1a", "cam", "")] == [
        1, 3, 2, 7, 12, None, None, None, None,
    ]  # fmt: skip
    assert ranges([4, 2, 1, 3, 9, 7]) == "1–4, 7, 9"


def test_a_pattern_of_the_issue() -> None:
    pattern = NamePattern("{camera}/{date}_{time}")
    expected = NameFacts(camera=2, taken=NOON)
    for name in ("camera_02/2024-05-01_12-30-15.png", "a/b/c2/20240501_123015.jpg", "2/2024.05.01_12.30.15"):
        assert pattern.match(name) == expected, name
    for name in ("2024-05-01_12-30-15.png", "cam1/2024-05-01_12-30-15_0003.png", "cam1/2024-13-01_12-30-15.png"):
        assert pattern.match(name) is None, name


def test_other_patterns() -> None:
    assert NamePattern("p{person}_*_{frame}").match("x/p0007_anything_f12.png") == NameFacts(person=7, frame=12)
    assert NamePattern("{camera}_{frame}").match("cam_1_0003.jpg") == NameFacts(camera=1, frame=3)
    assert NamePattern("{date}*").match("2024-05-01 a.b.png") == NameFacts(taken=moment_of("20240501", None))
    assert NamePattern("[{camera}]").match("[5].png") == NameFacts(camera=5), "characters are themselves"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{kamera}/*", r"unknown field: got \{kamera\}, expected \{camera\}"),
        ("{}", "unknown field"),
        ("{camera", "single brace"),
        ("camera}/{date}", "single brace"),
        ("*/*", "has no field"),
        ("", "has no field"),
        ("{camera}/{camera}", "twice"),
        ("{camera}/{time}", "time of no date"),
    ],
)
def test_wrong_patterns(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"{message}.*Fix: "):
        NamePattern(text)


def test_cameras_that_are_words_are_an_error_with_the_fix() -> None:
    pattern = NamePattern("{camera}/{frame}")
    with pytest.raises(ConfigError, match=r"'entrance/3\.png'.*camera is 'entrance'.*camera_02.*--camera-id N"):
        read_names(["cam1/3.png", "entrance/3.png"], pattern)
    read = read_names(["cam1/3.png", "entrance/3.png"], pattern, lenient=True)
    assert (read.facts[0].camera, read.unmatched) == (1, ("entrance/3.png",))


@pytest.mark.parametrize("text", ["{camera}_{date}_{time}", "*{camera}_{date}_{time}", "{camera}_*"])
def test_one_number_is_never_two_cameras(text: str) -> None:
    names = ["x/entrance1_20240501_123015.png", "x/exit2_20240501_123015.png", "x/exit_01_20240501_123015.png"]
    message = r"entrance1_.*exit_01_.*both be camera 1 .*got 'entrance1' and 'exit1'.*Fix: .*--camera-id N"
    with pytest.raises(ConfigError, match=message):
        read_names(names, NamePattern(text))
    pattern = NamePattern(text)
    assert [facts.camera for facts in read_names(names[:2], pattern).facts] == [1, 2]
    with pytest.raises(ConfigError, match="both be camera 1"):  # in another folder of the same command
        read_names(names[2:], pattern)
    read = read_names(names[2:], pattern, lenient=True)
    assert (read.facts[0].camera, read.unmatched) == (None, tuple(names[2:]))


def test_spellings_of_one_camera_are_one() -> None:
    names = ["cam1/3.png", "Camera_01/3.png", "c1/4.png", "001/5.png"]
    assert [facts.camera for facts in read_names(names, NamePattern("{camera}/{frame}")).facts] == [1] * 4
    with pytest.raises(ConfigError, match=r"'cam1/3\.png' and 'exit1/3\.png' would both be camera 1"):
        read_names([*names, "exit1/3.png"], NamePattern("{camera}/{frame}"))


def test_one_number_is_never_two_persons() -> None:
    with pytest.raises(ConfigError, match=r"both be person 7 .*'adult7' and 'child7'.*Fix: rename them"):
        read_names(["adult7_1.png", "child7_1.png"], NamePattern("{person}_{frame}"))


def test_what_is_of_no_interest_takes_no_digits_of_a_number() -> None:
    assert NamePattern("*{camera}_{frame}").match("hall-cam12_3.png") == NameFacts(camera=12, frame=3)


def test_a_pattern_that_matches_nothing_is_an_error() -> None:
    pattern = NamePattern("{date}_{time}")
    with pytest.raises(ConfigError, match=r"none of 2 names, for example 'a\.png'.*at the end"):
        read_names(["a.png", "b.png"], pattern)
    assert read_names(["a.png"], pattern, lenient=True).unmatched == ("a.png",)
    assert read_names([], pattern).facts == ()
    read = read_names(["cam1/2024-05-01_12-30-15.png", "cam2/b.png"], pattern)
    assert [(facts.camera, facts.taken) for facts in read.facts] == [(1, NOON), (2, None)], "cameras are not its field"
    assert read.unmatched == ("cam2/b.png",)


def test_without_a_pattern() -> None:
    read = read_names(["cam1/20240501_123015.jpg", "cam1/x_cam2.jpg", "cam1/2_cam1.png"])
    assert [(facts.camera, facts.taken) for facts in read.facts] == [(1, NOON), (1, None), (1, None)]
    assert read_names(["cam1/7_cam2.jpg"]).contradictory == ("cam1/7_cam2.jpg",)
