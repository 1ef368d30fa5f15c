"""Markup: whatever is not made by a template or by ``format_html`` is text, and is escaped."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jinja2 import TemplateNotFound, UndefinedError
from markupsafe import Markup
from matplotlib.figure import Figure

import passerby.report
from passerby.report import figure
from passerby.report.components import (
    bullets,
    code,
    command,
    definitions,
    details,
    heading,
    number,
    paragraph,
    share,
    side_by_side,
    table,
)
from passerby.report.templates import environment, format_html, join_html, printable, render

HOSTILE = """<script>alert('x')</script>"&\x00\udcff{{ 7 * 7 }}</title>"""
PACKAGE = Path(passerby.report.__file__).parent


class ParsedMarkup(HTMLParser):
    """The tags, attributes and text of some markup."""

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


def shown(text: str) -> Markup:
    """Return a figure whose texts are all the same."""
    return figure.show_figure(Figure(figsize=(1, 1)), alt=text, caption=text)


COMPONENTS: dict[str, Callable[[str], Markup]] = {
    "paragraph": paragraph,
    "note": lambda bad: paragraph(bad, kind=bad),
    "heading": heading,
    "code": code,
    "command": command,
    "bullets": lambda bad: bullets([bad]),
    "definitions": lambda bad: definitions([(bad, bad)]),
    "details": lambda bad: details(bad, bad),
    "table": lambda bad: table(bad, (bad, bad), [(bad, bad)], kind=bad),
    "side_by_side": lambda bad: side_by_side([bad]),
    "number": lambda bad: number(0.5, bad, run=bad, key=bad, interval=bad, verdict=bad),
    "share": lambda bad: share(0.5, run=bad, key=bad, interval=(0.1, 0.2)),
    "figure": shown,
    "format_html": lambda bad: format_html("<i title='{}'>{}</i>", bad, bad),
    "join_html": lambda bad: join_html(bad, None, bad),
}


@pytest.mark.parametrize("name", COMPONENTS)
def test_no_text_becomes_a_tag_or_an_attribute(name: str) -> None:
    make = COMPONENTS[name]
    harmless, hostile = ParsedMarkup(make("name")), ParsedMarkup(make(HOSTILE))
    assert isinstance(make(HOSTILE), Markup)
    assert hostile.tags == harmless.tags
    assert [key for key, _ in hostile.attributes] == [key for key, _ in harmless.attributes]
    text = printable(HOSTILE)
    assert "\x00" not in text
    values = [value for _, value in hostile.attributes if value is not None]
    assert any(text in each for each in ["".join(hostile.words), *values])
    make(HOSTILE).encode()  # no half of a surrogate pair is left


def test_text_is_escaped_once_and_markup_is_left_alone() -> None:
    inner = code("a < b & c")
    assert inner == "<code>a &lt; b &amp; c</code>"
    assert paragraph(inner) == f"<p>{inner}</p>"
    assert join_html("x & ", inner, None, "y") == f"x &amp; {inner}y"
    assert bullets([inner]).count("&amp;") == 1


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="caption"):
        render("table", head=["a"], rows=[], kind=None)
    with pytest.raises(TemplateNotFound):
        render("nothing")
    assert environment().autoescape is True


def calls(tree: ast.AST, name: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
            yield node


def literal(node: ast.expr, scope: ast.AST) -> bool:
    """Return whether an expression is a string literal, or a variable that only holds string literals."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str)
    if isinstance(node, ast.Name):
        values = [
            each.value
            for each in ast.walk(scope)
            if (isinstance(each, ast.Assign) and any(isinstance(t, ast.Name) and t.id == node.id for t in each.targets))
            or (isinstance(each, ast.AugAssign) and isinstance(each.target, ast.Name) and each.target.id == node.id)
        ]
        return bool(values) and all(isinstance(value, ast.Constant) for value in values)
    return False


def unsafe_templates(source: str) -> list[int]:
    """Return the lines that format a template which is not a literal: a value could bring markup in."""
    found = []
    for scope in ast.walk(ast.parse(source)):
        if isinstance(scope, ast.FunctionDef):
            found += [each.lineno for each in calls(scope, "format_html") if not literal(each.args[0], scope)]
    return found


def test_templates_are_literals_and_markup_is_made_in_one_module() -> None:
    for module in PACKAGE.rglob("*.py"):
        source = module.read_text(encoding="utf-8")
        assert not unsafe_templates(source), module.name
        markup = [each.lineno for each in calls(ast.parse(source), "Markup") if not literal(each.args[0], each)]
        assert not markup or module.name == "templates.py", f"{module.name}:{markup}"
    for template in (PACKAGE / "templates").glob("*.j2"):
        assert "|safe" not in template.read_text(encoding="utf-8").replace(" ", ""), template.name


def test_an_unsafe_template_would_be_found() -> None:
    assert unsafe_templates("def f(x):\n    return format_html(f'<b>{x}</b>')") == [2]
    assert unsafe_templates("def f(x):\n    t = '<b>'\n    t += x\n    return format_html(t)") == [4]
    assert unsafe_templates("def f(x):\n    t = '<b>'\n    t += '{}</b>'\n    return format_html(t, x)") == []


def test_numbers_carry_their_value_for_programs() -> None:
    assert share(0.123456, run="a", key="k") == '<data value="0.123456" data-run="a" data-key="k">12.35</data>'
    both = share(0.5, run="a", key="k", digits=1, interval=(0.25, 0.75))
    assert both == (
        '<span class="both"><data value="0.5" data-run="a" data-key="k">50.0</data>'
        ' <span class="interval">25.0–75.0</span></span>'
    )
    assert share(None, run="a", key="k") == '<span title="not known">–</span>'


def test_tables_name_their_rows_and_columns_and_scroll_by_keyboard() -> None:
    made = table("Numbers", ("metric", "run"), [("rank-1", "0.5")])
    assert "<caption><span>Numbers</span></caption>" in made
    assert made.count('scope="col"') == 2
    assert '<th scope="row">rank-1</th><td>0.5</td>' in made
    assert 'tabindex="0"' in made
    assert 'aria-label="Numbers"' in made
    assert 'class="scroll"' in made
    assert 'class="scroll numbers"' in table("Numbers", ("a",), [], kind="numbers")
