"""Markup as values: what is not made here can do no harm."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from passerby.report.components import Html, bullets, element, folded, joined, plain, table, text

HOSTILE = """<script>alert('x')</script>"&\x00\udcff</title>"""


class Seen(HTMLParser):
    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_text_is_escaped_once_and_markup_is_left_alone() -> None:
    inner = element("b", "a < b & c")
    assert inner == "<b>a &lt; b &amp; c</b>"
    assert element("p", "x", inner, None, ["y", [inner]]) == f"<p>x{inner}y{inner}</p>"
    assert text(text("&")) == "&amp;"


@pytest.mark.parametrize("make", [
    lambda bad: element("p", bad), lambda bad: element("img", alt=bad, src=bad), lambda bad: bullets([bad]),
    lambda bad: table(bad, (bad, bad), [(bad, bad)]), lambda bad: folded(bad, bad), lambda bad: joined([bad], bad),
])  # fmt: skip
def test_nobody_gets_a_tag_or_an_attribute_in(make) -> None:
    harmless, hostile = Seen(make("name")), Seen(make(HOSTILE))
    assert hostile.tags == harmless.tags
    assert [name for name, _ in hostile.attributes] == [name for name, _ in harmless.attributes]
    shown = HOSTILE.replace("\x00", "\ufffd").replace("\udcff", "\ufffd")
    assert shown in "".join(hostile.words) or ("alt", shown) in hostile.attributes
    make(HOSTILE).encode()  # there is no such thing as half a character


def test_attributes() -> None:
    assert element("td", class_="a", data_run="r", open=True, hidden=False, id=None, width=3) == (
        '<td class="a" data-run="r" open width="3"></td>'
    )
    assert element("br") == "<br>"


def test_tables_say_what_heads_what_and_scroll_by_keyboard() -> None:
    made = table("Numbers", ("metric", "run"), [("rank-1", "0.5")])
    assert "<caption><span>Numbers</span></caption>" in made
    assert made.count('scope="col"') == 2
    assert '<th scope="row">rank-1</th><td>0.5</td>' in made
    assert 'tabindex="0"' in made
    assert 'aria-label="Numbers"' in made


def test_the_text_alone() -> None:
    assert plain(Html("<b>a &lt; b</b> c")) == "a < b c"
