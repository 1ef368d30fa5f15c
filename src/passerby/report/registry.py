"""The sections of a report: one file of ``sections/`` each, registered with ``@section`` and found by themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from passerby.registry import Registry
from passerby.report.inputs.run import Need, Run

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
    needs: Need | None = None
    """The requirement on a run to be shown; ``None``: nothing but its name."""

    def __call__(self, runs: Sequence[Run]) -> Section:
        """Build the section for those of some runs that have what it needs; it is empty if none has."""
        fitting = runs if self.needs is None else [run for run in runs if run.has(self.needs)]
        return Section(self.id, self.title, tuple(self.build(fitting)) if fitting else ())


SECTIONS: Registry[SectionBuilder] = Registry("report section", "passerby.report.sections")


def section(
    id: str,  # noqa: A002 - as HTML has it
    title: str,
    *,
    order: int,
    needs: Need | None = None,
) -> Callable[[Build], SectionBuilder]:
    """Register the decorated function as a section of every report.

    Args:
        id: the anchor in the table of contents.
        title: the heading.
        order: the place on the page: smaller is higher.
        needs: what a run must have to be shown: ``"folder"`` (settings, training log), ``"embeddings"`` (an evaluation)
            or ``"model"`` (an evaluation with model and images); ``None``: nothing. Precomputed embeddings have only
            ``"embeddings"``.
    """

    def enter(build: Build) -> SectionBuilder:
        return SECTIONS.register(id)(SectionBuilder(id, title, order, build, needs))

    return enter


def sections() -> tuple[SectionBuilder, ...]:
    """Return all sections in the order of the page."""
    found = [SECTIONS[name] for name in SECTIONS]
    return tuple(sorted(found, key=lambda each: (each.order, each.id)))
