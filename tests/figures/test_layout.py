"""Captions of images, wrapped names and titles, and tables of images."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from matplotlib.figure import Figure
from PIL import Image

from passerby.figures.layout import ImageCell, break_name, caption_lines, image_table, sample_caption, wrap_text
from passerby.types import Role, Sample


@pytest.mark.parametrize(
    ("pid", "camid", "role", "lines"),
    [
        (7, 3, Role.PERSON, ["person 7", "camera 3"]),
        (0, 3, Role.PERSON, ["person 0", "camera 3"]),  # MSMT17 has one
        (0, 3, Role.DISTRACTOR, ["distractor", "camera 3"]),
        (-1, None, Role.JUNK, ["junk"]),
        (None, None, Role.PERSON, []),
    ],
)
def test_junk_and_distractors_have_no_identity(
    pid: int | None, camid: int | None, role: Role, lines: list[str]
) -> None:
    assert caption_lines(pid, camid, role) == lines
    assert sample_caption(Sample("a.jpg", pid, camid, role)) == (lines or ["a.jpg"])


def test_a_title_is_broken_to_fit() -> None:
    lines = wrap_text("word " * 40, 4.0).splitlines()
    assert len(lines) > 1
    assert max(map(len, lines)) <= 4 * 72 / (0.55 * 9)


def test_names_are_broken_between_words() -> None:
    assert break_name("attention_driven", 11) == ["attention_", "driven"]
    assert break_name("attention_driven", 16) == ["attention_driven"]
    assert break_name("runs/some, filtered by hand", 15) == ["runs/some,", "filtered by", "hand"]
    assert break_name("0123456789", 4) == ["0123", "4567", "89"]
    assert break_name("", 4) == []


def test_a_table_of_images_has_equal_images_and_no_overlaps(legible: Callable[[Figure], None]) -> None:
    image = Image.new("RGB", (16, 32), "navy")
    rows = [[ImageCell(image, ["0.00–0.99"] * (1 + column % 2)) for column in range(5)] for _ in range(3)]
    heads = ["image", "a head of several words", "b", "c", "d"]
    figure = image_table(rows, heads, title="a title that is wrapped " * 8, foot="a remark below the table " * 12)
    legible(figure)
    boxes = [axes.get_window_extent() for axes in figure.axes]
    assert len({(round(box.width), round(box.height)) for box in boxes}) == 1
    assert min(box.height for box in boxes) / figure.dpi > 1.4
