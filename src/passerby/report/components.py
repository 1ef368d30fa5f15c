"""The building blocks of a section as markup: paragraphs, tables, lists, numbers and commands.

Strings are escaped; what should not be escaped comes from here or from :func:`~passerby.report.templates.format_html`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from markupsafe import Markup

from passerby.report.templates import format_html, render

DASH = "–"
"""The text of a value that is not known."""


def paragraph(content: str, *, kind: str | None = None) -> Markup:
    """Return a paragraph; ``kind`` is ``"note"`` (small print) or ``"warn"`` (a warning)."""
    if kind is None:
        return format_html("<p>{}</p>", content)
    return format_html('<p class="{}">{}</p>', kind, content)


def heading(text: str) -> Markup:
    """Return a heading inside a section."""
    return format_html("<h3>{}</h3>", text)


def code(text: str) -> Markup:
    """Return text in a fixed-width font: a path, a setting, a file name."""
    return format_html("<code>{}</code>", text)


def command(line: str) -> Markup:
    """Return a command line in a box of its own."""
    return format_html("<pre><code>{}</code></pre>", line)


def bullets(items: Iterable[str]) -> Markup:
    """Return a list of items."""
    return render("bullets", items=list(items))


def definitions(rows: Iterable[tuple[str, str]]) -> Markup:
    """Return terms with their meanings."""
    return render("definitions", rows=list(rows))


def details(summary: str, *content: str) -> Markup:
    """Return content that a reader unfolds; print shows all of it."""
    return render("details", summary=summary, content=content)


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]], *, kind: str | None = None) -> Markup:
    """Return a table whose first column names the rows; ``kind`` is a class of ``style.css``."""
    return render("table", caption=caption, head=head, rows=list(rows), kind=kind)


def side_by_side(figures: Iterable[str]) -> Markup:
    """Return figures in as many columns as the screen has room for."""
    return format_html('<div class="side">{}</div>', Markup("").join(figures))


def percent(share: float | None, *, digits: int = 1) -> str:
    """Format a share in percent, without the sign.

    >>> percent(0.98765), percent(0.5, digits=2), percent(None)
    ('98.8', '50.00', '–')
    """
    return DASH if share is None else f"{100 * share:.{digits}f}"


def points(difference: float) -> str:
    """Format a difference of shares in percentage points, with its sign.

    >>> points(0.0123), points(-0.5)
    ('+1.23', '−50.00')
    """
    return f"{100 * difference:+.2f}".replace("-", "−")


def count(value: int) -> str:
    """Format a count.

    >>> count(1234567)
    '1,234,567'
    """
    return f"{value:,}"


def interval_text(interval: Sequence[float] | None, *, digits: int = 1) -> str | None:
    """Format an interval of shares in percent; ``None`` without one.

    >>> interval_text((0.1, 0.25))
    '10.0–25.0'
    """
    return None if interval is None else "–".join(percent(end, digits=digits) for end in interval)


def number(
    value: float,
    text: str,
    *,
    run: str,
    key: str,
    interval: str | None = None,
    verdict: str | None = None,
) -> Markup:
    """Return a number as readers see it (``text``), with its exact value, run and key in the markup, for programs."""
    values = {"run": run, "key": key, "interval": interval, "verdict": verdict}
    return render("number", value=repr(value), text=text, **values)


def share(
    value: float | None,
    *,
    run: str,
    key: str,
    digits: int = 2,
    interval: Sequence[float] | None = None,
) -> Markup:
    """Return a share in percent with its interval; a dash where it is not known."""
    if value is None:
        return format_html('<span title="not known">{}</span>', DASH)
    shown = interval_text(interval, digits=digits)
    return number(value, percent(value, digits=digits), run=run, key=key, interval=shown)
