"""Sections: found by themselves, each in its own file, in an order that does not depend on chance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from markupsafe import Markup
from matplotlib.figure import Figure

import passerby.report.sections
from passerby.errors import ConfigError
from passerby.explain.evaluated import EvaluatedEmbeddings
from passerby.explain.images import ModelView
from passerby.figures.registry import FIGURES, figure
from passerby.figures.training_curves import TrainingHistory
from passerby.report import read_records, read_run, registry, render_report
from passerby.report.inputs.record import Record
from passerby.report.inputs.run import Run
from passerby.report.registry import section, sections
from passerby.report.sections.further_figures import further_figures

TITLES = (
    "Metrics", "Training data and settings", "Evaluation protocol", "Training curves", "Retrieval", "Ranked lists",
    "Match explanations", "Saliency", "Attention", "Embedding map", "Subgroups", "Attributes", "Further figures",
    "Calibration", "Environment and commands", "Missing from this report",
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


def test_figures_name_sections_of_the_report() -> None:
    named = {FIGURES[name].section for name in FIGURES} - {None}
    assert named <= {each.id for each in sections()}
    assert "attention" in named


@pytest.mark.usefixtures("unrendered")
def test_a_new_figure_is_shown(one: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    list(FIGURES)  # complete, before it is replaced
    monkeypatch.setattr(FIGURES, "_entries", {})
    monkeypatch.setattr("passerby.figures.registry._SUMMARIES", {})  # or other tests find commands of these figures

    @figure("counts", title="Counts of <images>", needs="embeddings")
    def counts(run: EvaluatedEmbeddings, *, title: str) -> Figure:
        """Draw the number of images."""
        assert title.startswith("Counts of <images>: aap_reid on ")
        return Figure()

    @figure("steps", title="Steps", needs="log", several=True)
    def steps(runs: Sequence[TrainingHistory], *, title: str) -> Figure:
        """Draw the number of steps."""
        assert [each.name for each in runs] == ["aap_reid"]
        return Figure()

    @figure("views", title="Views", needs="samples")
    def views(view: ModelView, *, title: str) -> Figure:
        """Draw the images."""
        assert len(view.samples) == 4
        raise ConfigError("no such module")

    @figure("elsewhere", title="Elsewhere", needs="log", section="curves")
    def elsewhere(run: TrainingHistory, *, title: str) -> Figure:
        """Draw nothing here."""
        raise AssertionError("another section shows it")

    (record,) = read_records([one])
    words = Markup("").join(further_figures([read_run(record)]).content)
    assert words.count("<figure>") == 2
    assert "Counts of &lt;images&gt;: aap_reid on" in words
    assert "Draw the number of steps." in words
    assert "no such module" in words
    assert further_figures([]).content == ()


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
