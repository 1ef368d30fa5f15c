"""A figure is saved in the format of its suffix, without a date or a path."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure

from passerby.errors import OutputError
from passerby.figures.save import check_figure, save_figure

FORMULA = r"cost$_{x$ of $\frac$.jpg"


def plot(words: str = FORMULA) -> Figure:
    figure = Figure(figsize=(2, 2))
    figure.suptitle(words)
    axes = figure.subplots()
    axes.plot([1, 2], [1e-3, 1e3], label=words)
    axes.set(yscale="log", xlabel=words, xticks=[1, 2], xticklabels=[words, "b"])
    axes.legend()
    return figure


@pytest.mark.parametrize(
    ("name", "begins"), [("a.png", b"\x89PNG"), ("a.PDF", b"%PDF-"), ("a.svg", b"<?xml"), ("a.b.svg", b"<?xml")]
)
def test_a_figure_is_what_its_name_says_and_tells_no_date(name: str, begins: bytes, tmp_path: Path) -> None:
    check_figure(tmp_path / name)
    save_figure(plot(), tmp_path / name, dpi=40)
    content = (tmp_path / name).read_bytes()
    assert content.startswith(begins)
    assert str(tmp_path).encode() not in content
    for word in (b"CreationDate", b"<dc:date>", b"tIME"):
        assert word not in content
    save_figure(plot(), tmp_path / f"again.{name}", dpi=40)
    assert (tmp_path / f"again.{name}").read_bytes() == content


def test_words_of_figures_are_no_formulas_but_powers_are(tmp_path: Path) -> None:
    figure = plot()
    save_figure(figure, tmp_path / "a.png", dpi=40)  # a formula that is none would end it
    axes = figure.axes[0]
    assert {label.get_parse_math() for label in axes.get_yticklabels()} == {True}
    assert not any(label.get_parse_math() for label in (*axes.get_xticklabels(), axes.xaxis.label, axes.yaxis.label))


@pytest.mark.parametrize("name", ["a.jpg", "a", ".png", "png", "a.png.txt"])
def test_other_formats_are_an_error(name: str, tmp_path: Path) -> None:
    for write in (check_figure, lambda path: save_figure(plot(), path)):
        with pytest.raises(OutputError, match=r"ends in \.png, \.pdf or \.svg"):
            write(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_control_characters_leave_an_svg_whole(tmp_path: Path) -> None:
    figure = Figure()
    figure.suptitle("a\x1b[2J\0\ufffeb")
    figure.text(0, 0, "two\nlines")
    save_figure(figure, tmp_path / "f.svg")
    ElementTree.parse(tmp_path / "f.svg")
    assert figure.get_suptitle() == r"a\x1b[2J\x00\ufffeb"
    assert figure.texts[-1].get_text() == "two\nlines"
