"""The Jinja2 templates of a report: every value is escaped, and a value that is missing is an error."""

from __future__ import annotations

import re
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

_INVALID = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""The characters that neither HTML nor UTF-8 can hold; a file name may contain them."""


@cache
def environment() -> Environment:
    """Return the Jinja2 environment of ``passerby/report/templates``."""
    return Environment(
        loader=PackageLoader("passerby.report"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(name: str, **values: object) -> Markup:
    """Render ``templates/NAME.html.j2``. Strings are escaped, :class:`~markupsafe.Markup` is inserted unchanged."""
    return Markup(printable(environment().get_template(f"{name}.html.j2").render(**values)))


def format_html(template: str, *values: object) -> Markup:
    """Return ``template``, a literal of this package, with the escaped values in place of its ``{}``.

    >>> format_html("<b>{}</b>: {}", "a < b", format_html("<i>x</i>"))
    Markup('<b>a &lt; b</b>: <i>x</i>')
    """
    return Markup(printable(Markup(template).format(*values)))


def join_html(*parts: str | None) -> Markup:
    """Concatenate strings, which are escaped, and markup; ``None`` is left out."""
    return Markup(printable(Markup("").join(part for part in parts if part is not None)))


def printable(value: str) -> str:
    """Replace the characters that no page can hold by U+FFFD."""
    return _INVALID.sub("\N{REPLACEMENT CHARACTER}", value)
