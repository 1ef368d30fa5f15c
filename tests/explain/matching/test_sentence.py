"""A comparison in words: right English, and nothing that the values do not hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from passerby.data.attributes.schema import DUKE, MARKET
from passerby.explain.matching.alignment import Alignment, Step
from passerby.explain.matching.attributes import Agreement, AttributePair
from passerby.explain.matching.explanation import MatchExplanation
from passerby.explain.matching.parts import PartDistance
from passerby.explain.matching.sentence import join_words
from passerby.types import Protocol, Role, Sample


def match(**known: Any) -> MatchExplanation:
    image = Image.new("RGB", (16, 32), "gray")
    nothing: dict[str, Any] = {
        "a": Sample("query/a.jpg", 1, 1),
        "b": Sample("gallery/b.jpg", 1, 2),
        "model": "osnet_x0_25",
        "protocol": Protocol(),
        "distance": 0.25,
        "same_person": None,
        "verdict": None,
        "false_match_rate": None,
        "alignment": None,
        "stripes": (),
        "blocks": (),
        "attributes": (),
        "confident": 0.8,
        "images": (image, image),
        "crops": {},
        "maps": None,
    }
    return MatchExplanation(**{**nothing, **known})


def pairs(judged: Agreement = "agrees", /, **values: str) -> tuple[AttributePair, ...]:
    """``upper_color="red"``, or ``"red|blue"`` where they differ."""
    found = []
    for name, value in values.items():
        a, _, b = value.partition("|")
        found.append(AttributePair(name.replace("_", " "), a, 0.9, b or a, 0.9, "conflicts" if b else judged))
    return tuple(found)


def sentence_of(**known: Any) -> str:
    return match(same_person=0.97, verdict="possible", **known).sentence


def test_what_both_show_and_what_one_does() -> None:
    worn = pairs(upper_color="red", lower_color="black", type_of_lower="pants", backpack="yes|no", hat="no", age="old")
    assert sentence_of(attributes=worn) == (
        "Possibly the same person (P = 0.97): both seem to show a red upper garment and black trousers; "
        "a backpack seems to be on the first image only."
    )


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"sleeve_length": "long", "upper_color": "white"},
            "both seem to show a white upper garment with long sleeves",
        ),
        ({"sleeve_length": "short"}, "both seem to show short sleeves"),
        ({"length_of_lower": "short", "type_of_lower": "dress"}, "both seem to show a short dress"),
        ({"lower_color": "blue"}, "both seem to show a blue lower garment"),
        ({"length_of_upper": "long"}, "both seem to show a long upper garment"),
        ({"boots": "yes", "shoe_color": "dark", "hat": "yes"}, "both seem to show boots, dark shoes and a hat"),
        ({"coat": "plain"}, "both seem to show coat plain"),
        ({"gender": "male", "hat": "no"}, "they agree in gender and hat"),
        ({"boots": "no|yes"}, "boots seem to be on the second image only"),
        ({"hat": "yes|no", "bag": "yes|no"}, "a hat and a bag seem to be on the first image only"),
        ({"age": "young|old"}, "age (young, old) differs"),
        ({"age": "young|old", "gender": "male|female"}, "age (young, old) and gender (male, female) differ"),
    ],
)
def test_attributes_in_words(values: dict[str, str], words: str) -> None:
    assert sentence_of(attributes=pairs(**values)) == f"Possibly the same person (P = 0.97): {words}."


def test_many_conflicts_are_counted() -> None:
    sentence = sentence_of(attributes=pairs(**{f"group{i}": "a|b" for i in range(6)}))
    assert "group3 (a, b) and 2 more differ" in sentence
    assert "group4" not in sentence


@pytest.mark.parametrize("schema", [MARKET, DUKE])
@pytest.mark.parametrize("last", [False, True])
def test_every_attribute_of_the_papers_has_words(schema: Any, last: bool) -> None:
    values = {group.name.replace(" ", "_"): group.values[-1 if last else 0] for group in schema.groups}
    sentence = sentence_of(attributes=pairs(**values))
    assert "  " not in sentence
    assert "a a" not in sentence
    assert (" no" in sentence) is False


def test_uncertain_attributes_are_left_out() -> None:
    sentence = sentence_of(attributes=pairs("uncertain", upper_color="red", hat="yes"))
    assert sentence == "Possibly the same person (P = 0.97): no attribute is predicted confidently for both images."


def test_without_attributes_it_speaks_of_distance_and_parts() -> None:
    parts = (
        PartDistance("whole", 1.0, 0.1),
        PartDistance("head", 0.1, 0.5, "the head"),
        PartDistance("legs", 9.0, 0.2, "the legs"),
    )
    rare = match(same_person=0.999, verdict="possible", false_match_rate=1e-3, blocks=parts)
    assert rare.sentence == (
        "Possibly the same person (P > 0.99): the distance is 0.2500, and at most 1 in 1,000 pairs of different people "
        "was as close in the calibration; the two are most alike in the legs and least in the head."
    )
    assert replace(rare, false_match_rate=None).sentence.startswith(
        "Possibly the same person (P > 0.99): the distance is 0.2500; the two"
    )
    equal = tuple(part._replace(dissimilarity=0.0) for part in parts)
    assert replace(rare, blocks=equal).sentence.endswith("; no part differs.")


def test_stripes_are_counted() -> None:
    stripes = tuple(PartDistance(f"stripe {i}", 0.1 * i, 0.1 * i, f"stripe {i} of 3") for i in (1, 2, 3))
    assert match(stripes=stripes, alignment=Alignment((Step(0, 0, 0.1),))).sentence.endswith(
        "most alike in stripe 1 and least in stripe 3 of 3, counted from the top and compared at the same height."
    )


def test_without_a_calibration_there_is_no_verdict() -> None:
    assert match().sentence == "The distance is 0.2500, and the run has no calibration to tell what it means."


def test_the_same_file_is_called_that() -> None:
    assert match(same_person=None, verdict="same file").sentence == "Both are the same file."


@pytest.mark.parametrize(
    ("verdict", "begins"),
    [
        ("unsure", "It is not clear whether this is the same person (P = 0.40)"),
        ("possible", "Possibly the same person (P = 0.40)"),
        ("no evidence", "No evidence that this is the same person (P = 0.40)"),
    ],
)
def test_every_verdict_is_called_what_it_is(verdict: Any, begins: str) -> None:
    assert match(same_person=0.4, verdict=verdict).sentence.startswith(begins)


def test_pieces() -> None:
    assert [join_words(words) for words in ([], ["a"], ["a", "b"])] == ["", "a", "a and b"]


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        (Sample("a", 1), Sample("b", 1), True),
        (Sample("a", 1), Sample("b", 2), False),
        (Sample("a", 1), Sample("b", 0, role=Role.DISTRACTOR), False),
        (Sample("a", 0), Sample("b", 0, role=Role.DISTRACTOR), False),
        (Sample("a", 0, role=Role.DISTRACTOR), Sample("b", 0, role=Role.DISTRACTOR), None),
        (Sample("a", 1), Sample("b", -1, role=Role.JUNK), None),
        (Sample("a", 1), Sample("b"), None),
    ],
)
def test_distractors_are_not_one_person(a: Sample, b: Sample, same: bool | None) -> None:
    found = match(a=a, b=b)
    assert found.same is same
    assert found.to_dict()["b"]["pid"] == (b.pid if b.role is Role.PERSON else None)
