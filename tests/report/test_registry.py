"""Sections: found by themselves, each in its own file, in an order that does not depend on chance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import passerby.report.sections
from passerby.report import registry, render_report
from passerby.report.inputs.record import Record
from passerby.report.inputs.run import Run
from passerby.report.registry import section, sections

TITLES = (
    "Metrics", "Training data and settings", "Evaluation protocol", "Training curves", "Retrieval", "Ranked lists",
    "Match explanations", "Saliency", "Attention", "Embedding map", "Subgroups", "Attributes", "Calibration",
    "Environment and commands", "Missing from this report",
)  # fmt: skip


def test_the_sections_in_the_order_of_the_page() -> None:
    assert tuple(each.title for each in sections()) == TITLES


def test_every_file_is_one_section() -> None:
    folder = Path(passerby.report.sections.__file__).parent
    assert len([file for file in folder.glob("*.py") if file.name != "__init__.py"]) == len(sections())


def test_no_two_sections_share_an_anchor_or_a_place() -> None:
    found = sections()
    assert len({each.id for each in found}) == len({each.order for each in found}) == len(found)
    assert "contents" not in {each.id for each in found}
    assert "content" not in {each.id for each in found}


def test_a_new_section_needs_no_other_change(monkeypatch: pytest.MonkeyPatch) -> None:
    sections()
    monkeypatch.setattr(registry.SECTIONS, "_entries", dict(registry.SECTIONS._entries))

    @section("weather", "Weather", order=35)
    def weather(runs: Sequence[Run]) -> Iterator[str]:
        """Yield one text per run, which is escaped."""
        for run in runs:
            yield f"<sunny> in {run.label}"

    page = render_report([Run(Record(Path("a"), "a", {}, {}, {}, {}, {}, {}, (), None), None)])
    assert '<a href="#weather">Weather</a>' in page
    assert "&lt;sunny&gt; in a" in page
    assert page.index('id="training"') < page.index('id="weather"') < page.index('id="environment"')
    assert 'id="subgroups"' not in page, "a section without content is left out"
