"""HTML as values: whatever is not made here is text, and escaped.

``element("p", "a < b", element("b", "c"), class_="note")`` → ``<p class="note">a &lt; b<b>c</b></p>``
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape, unescape
from typing import TypeAlias

_VOID = frozenset({"br", "col", "img", "link", "meta"})
_NEVER = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""No character of HTML, or of UTF-8: a file's name may hold it."""


class Html(str):
    """Markup that is whole: it is put in as it is."""

    __slots__ = ()


Content: TypeAlias = "str | Iterable[Content] | None"
"""Text, markup, nothing, or some of them after each other."""


def text(value: str) -> Html:
    """Anybody's text, which can do no harm.

    >>> text("<b> & co")
    '&lt;b&gt; &amp; co'
    """
    return value if isinstance(value, Html) else Html(escape(printable(value)))


def printable(value: str) -> str:
    """Without characters that no page can hold."""
    return _NEVER.sub("\N{REPLACEMENT CHARACTER}", value)


def joined(*content: Content) -> Html:
    """One after the other."""
    return Html("".join(text(each) if isinstance(each, str) else joined(*each) for each in content if each is not None))


def element(name: str, /, *content: Content, **attributes: str | float | bool | None) -> Html:
    """An element; of its attributes ``class_`` is ``class``, ``data_run`` is ``data-run``; ``None`` leaves one out.

    >>> element("td", "1 < 2", class_="number", data_run=None)
    '<td class="number">1 &lt; 2</td>'
    """
    shown = (_attribute(key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items())
    opened = f"<{name}{''.join(shown)}>"
    return Html(opened if name in _VOID else f"{opened}{joined(*content)}</{name}>")


def _attribute(name: str, value: str | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{text(str(value))}"'


def paragraph(*content: Content, class_: str | None = None) -> Html:
    return element("p", *content, class_=class_)


def code(value: str) -> Html:
    return element("code", value)


def folded(summary: Content, *content: Content, open_: bool = False) -> Html:
    """What is there for those who ask; paper shows all of it."""
    return element("details", element("summary", summary), *content, open=open_)


def bullets(items: Iterable[Content]) -> Html:
    return element("ul", [element("li", item) for item in items])


def described(rows: Iterable[tuple[Content, Content]]) -> Html:
    """Names and what they stand for."""
    return element("dl", [element("div", element("dt", name), element("dd", value)) for name, value in rows])


def table(
    caption: Content, head: Sequence[Content], rows: Iterable[Sequence[Content]], *, class_: str | None = None
) -> Html:
    """A table that scrolls in a box of its own where it is wider than the page; the first cell names the row."""
    columns = [element("th", name, scope="col") for name in head]
    body = [
        element("tr", element("th", first, scope="row"), [element("td", cell) for cell in rest])
        for first, *rest in rows
    ]
    inside = element(
        "table",
        element("caption", element("span", caption)),
        element("thead", element("tr", columns)),
        element("tbody", body),
    )
    label = plain(caption)
    return element("div", inside, class_=f"scroll {class_ or ''}".rstrip(), tabindex=0, role="group", aria_label=label)


_TAG = re.compile(r"<[^>]*>")


def plain(content: Content) -> str:
    """The text alone, as people read it."""
    return unescape(_TAG.sub("", joined(content)))
