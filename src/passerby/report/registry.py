"""The sections of a report: one file of ``sections/`` each, registered with ``@section`` and found by themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from passerby.registry import Registry
from passerby.report.inputs.run import Run

Build = Callable[[Sequence[Run]], Iterable[str]]
"""A function that yields the blocks of a section: markup, or text, which is escaped. No block: no section."""


@dataclass(frozen=True)
class Section:
    """A section of the page; one without content is left out."""

    id: str
    """The anchor in the table of contents."""
    title: str
    content: tuple[str, ...]


@dataclass(frozen=True)
class SectionBuilder:
    """A registered section; calling it with the runs of a report makes its content."""

    id: str
    title: str
    order: int
    """The place on the page: smaller is higher."""
    build: Build

    def __call__(self, runs: Sequence[Run]) -> Section:
        """Build the section for some runs."""
        return Section(self.id, self.title, tuple(self.build(runs)))


SECTIONS: Registry[SectionBuilder] = Registry("report section", "passerby.report.sections")


def section(id: str, title: str, *, order: int) -> Callable[[Build], SectionBuilder]:  # noqa: A002 - as HTML has it
    """Register the decorated function as a section of every report.

    Args:
        id: the anchor in the table of contents.
        title: the heading.
        order: the place on the page: smaller is higher.
    """

    def enter(build: Build) -> SectionBuilder:
        return SECTIONS.register(id)(SectionBuilder(id, title, order, build))

    return enter


def sections() -> tuple[SectionBuilder, ...]:
    """Return all sections in the order of the page."""
    found = [SECTIONS[name] for name in SECTIONS]
    return tuple(sorted(found, key=lambda each: (each.order, each.id)))
