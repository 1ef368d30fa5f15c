"""The whole page: one file that asks nothing of any network."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from importlib.resources import files

from passerby.report.components import Content, Html, bullets, code, element, paragraph
from passerby.report.inputs.run import Run, Section
from passerby.report.sections.metrics import headline

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""A browser refuses whatever is not in the file, should anything ask for it."""
_VERSION = version("passerby")
_LIMITS = (
    "Re-identification errs, and errs more for some than for others. A hit is a lead for a human to judge, never an "
    "identity, and never the sole ground of a decision about a person."
)


def page(runs: Sequence[Run], sections: Sequence[Section], *, made: str) -> str:
    """The HTML of a report.

    Args:
        made: when, in words.
    """
    title = f"Report of {_labels(runs)}"
    filled = [section for section in sections if section.content]
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="generator", content=f"passerby {_VERSION}"),
        element("title", f"{title} · passerby"),
        element("link", rel="icon", href="data:,"),
        element("style", Html(_style())),
    )
    body = element(
        "body",
        element("a", "Skip to the numbers", href="#content", class_="skip"),
        _header(runs, title, made),
        element("div", _contents(filled), _main(filled), class_="page"),
        element("footer", paragraph(_LIMITS), paragraph(f"Made by passerby {_VERSION}, {made}.")),
    )
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def _style() -> str:
    return files("passerby.report").joinpath("templates/style.css").read_text(encoding="utf-8")


def _labels(runs: Sequence[Run]) -> str:
    labels = [run.label for run in runs]
    return labels[0] if len(labels) == 1 else f"{', '.join(labels[:-1])} and {labels[-1]}"


def _header(runs: Sequence[Run], title: str, made: str) -> Html:
    tiles = headline(runs[0]) if len(runs) == 1 else None
    lines = [[element("b", run.label), ": ", _in_a_line(run)] for run in runs]
    return element(
        "header", element("p", "passerby · person re-identification", class_="brand"), element("h1", title),
        bullets(lines) if len(runs) > 1 else paragraph(lines[0]), tiles, element("p", f"Made {made}.", class_="note"),
    )  # fmt: skip


def _in_a_line(run: Run) -> Content:
    record = run.record
    place = record.setting("data.train")
    unfinished = "; not finished" if not record.model else None
    if place and run.tested and run.tested.spec == place:
        return [f"model {record.name}, trained on the training people of ", code(place), ", evaluated on the others."]
    trained: Content = [" trained on ", code(str(place))] if place else " imported"
    evaluated: Content = ["; evaluated on ", code(run.tested.spec)] if run.tested else None
    return [f"model {record.name},", trained, evaluated, unfinished, "."]


def _contents(sections: Sequence[Section]) -> Html:
    links = bullets(element("a", section.title, href=f"#{section.id}") for section in sections)
    return element("nav", element("h2", "Contents", id="contents"), links, aria_labelledby="contents")


def _main(sections: Sequence[Section]) -> Html:
    parts = [
        element("section", element("h2", section.title, id=section.id), section.content, aria_labelledby=section.id)
        for section in sections
    ]
    return element("main", parts, id="content", tabindex=-1)


def missing(runs: Sequence[Run]) -> Section:
    """What a reader may look for in vain, why, and how to get it."""
    items = [
        [element("b", f"{run.label}: {each.what}"), f": {each.why}. ", element("span", each.remedy, class_="remedy")]
        for run in runs
        for each in run.missing
    ]
    return Section("missing", "What is missing, and how to get it", (bullets(items),) if items else ())
