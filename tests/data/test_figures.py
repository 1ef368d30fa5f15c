"""Drawn people are deterministic, look like themselves from camera to camera, and read as Market-1501."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from passerby.data.dataset import people
from passerby.data.figures import draw_figure, look, write_figures
from passerby.data.registry import load
from passerby.errors import OutputError


def pixels(**which: int) -> NDArray[np.int16]:
    defaults = {"seed": 0, "person": 0, "camera": 0, "shot": 0}
    return np.asarray(draw_figure(**(defaults | which)), dtype=np.int16)


def test_a_picture_is_a_function_of_its_numbers() -> None:
    assert np.array_equal(pixels(person=3, camera=1, shot=2), pixels(person=3, camera=1, shot=2))


@pytest.mark.parametrize("what", ["seed", "person", "camera", "shot"])
def test_every_number_matters(what: str) -> None:
    assert np.abs(pixels() - pixels(**{what: 1})).mean() > 2


def test_size_is_height_and_width() -> None:
    picture = draw_figure(seed=0, person=0, camera=0, shot=0, size=(96, 40))
    assert (picture.height, picture.width, picture.mode) == (96, 40, "RGB")


def test_shots_of_a_person_are_closer_than_other_people() -> None:
    same = np.mean([np.abs(pixels(person=p) - pixels(person=p, shot=1)).mean() for p in range(12)])
    other = np.mean([np.abs(pixels(person=p) - pixels(person=p + 1)).mean() for p in range(12)])
    assert same < other


def test_people_are_distinct() -> None:
    looks = [look(0, person) for person in range(60)]
    assert len({(w.upper, w.lower, w.hair, w.pattern, w.legs, w.bag) for w in looks}) >= 59


def test_the_folder_reads_as_market1501(tmp_path: Path) -> None:
    root = write_figures(tmp_path / "figures", people=6, cameras=2, images=3, size=(48, 24))
    dataset = load(str(root))
    assert dataset.name == "market1501"
    assert [len(dataset.split(s)) for s in ("train", "query", "gallery")] == [3 * 2 * 3, 3 * 2, 3 * 2 * 2]
    assert people(dataset.train) == [1, 2, 3]
    assert people(dataset.query) == people(dataset.gallery) == [4, 5, 6]
    assert {s.camid for s in dataset.query} == {s.camid for s in dataset.gallery}
    with Image.open(root / dataset.query[0].path) as picture:
        assert picture.size == (24, 48)


def test_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write figures"):
        write_figures(tmp_path)
    assert list(tmp_path.iterdir()) == []
