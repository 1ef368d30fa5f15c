from __future__ import annotations

import doctest

import pytest

from passerby.data.attributes import query as module
from passerby.data.attributes.query import attribute_query
from passerby.data.attributes.schema import MARKET
from passerby.errors import ConfigError


@pytest.mark.parametrize(
    "asked",
    [
        "backpack=yes,upper_color=red",
        " Backpack = YES , upper-color = Red,",
        {"upper color": "red", "backpack": "yes"},
    ],
)
def test_what_is_asked_for_is_read_however_it_is_spelt(asked: str | dict[str, str]) -> None:
    query = attribute_query(asked, MARKET)
    assert query.values == {"backpack": "yes", "upper color": "red"}
    assert query.classes == {6: 1, 10: 2}


def test_it_is_printed_in_the_order_given() -> None:
    assert str(attribute_query("upper_color=red,backpack=yes", MARKET)) == "upper color = red, backpack = yes"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("hut=yes", "Market-1501 has no attribute 'hut'; it has gender, hair_length, .*lower_color"),
        ("upper_color=orange", "upper color has no value 'orange'; it has black, white, red, .*green"),
        ("hat=yes,hat=no", "hat is given twice"),
        ("hat=yes,Hat=yes", "hat is given twice"),
        ("hat", "GROUP=VALUE.*got 'hat'"),
        ("hat=", "GROUP=VALUE.*got 'hat='"),
        ("=yes", "GROUP=VALUE.*got '=yes'"),
        ("", "no attribute is given"),
        (" , ", "no attribute is given"),
        ({}, "no attribute is given"),
    ],
)
def test_invalid_queries_are_errors(asked: str | dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        attribute_query(asked, MARKET)


def test_the_example() -> None:
    assert doctest.testmod(module).failed == 0
