"""The registry of figures: each is found by its name, and what the help reads from the source is what is registered."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from matplotlib.figure import Figure

import passerby.figures
from passerby.errors import ConfigError, UnknownNameError
from passerby.explain.attention.capture import AttentionKind
from passerby.figures.registry import FIGURES, RegisteredFigure, attention_figure, figure, summaries

FOLDER = Path(passerby.figures.__file__).parent


def test_figures_are_found_by_name() -> None:
    entry = FIGURES["curves"]
    assert (entry.title, entry.needs, entry.several) == ("Training curves", "log", True)
    with pytest.raises(UnknownNameError, match=r"unknown figure 'curvs'\. Did you mean curves"):
        FIGURES["curvs"]


def test_every_kind_of_attention_has_a_figure() -> None:
    for kind in get_args(AttentionKind):
        assert attention_figure(kind).needs == "samples"
    with pytest.raises(ConfigError, match="no figure shows attention of kind 'none'"):
        attention_figure("none")  # type: ignore[arg-type]


def test_every_figure_takes_a_title_and_is_described() -> None:
    for name in FIGURES:
        entry = FIGURES[name]
        parameters = inspect.signature(entry.draw).parameters
        assert parameters["title"].kind is inspect.Parameter.KEYWORD_ONLY, name
        assert entry.summary.startswith("Draw"), name
        assert entry.summary.endswith("."), name


def test_the_summaries_of_the_source_are_those_of_the_registered_figures() -> None:
    registered = {name: FIGURES[name].summary for name in FIGURES if FIGURES[name].attention is None}
    assert registered.keys() >= {"curves", "cameras", "retrieval"}
    assert summaries() == registered


def test_summaries_import_no_figure() -> None:
    code = (
        "import sys; from passerby.figures.registry import summaries; assert 'curves' in summaries(); "
        "assert not {'torch', 'matplotlib'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_new_figure_is_one_decorated_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FIGURES, "_entries", dict(FIGURES._load()))
    monkeypatch.setattr("passerby.figures.registry._SUMMARIES", {})

    @figure("blank", title="Nothing", needs="samples")
    def blank_figure(view: object, *, title: str) -> Figure:
        """Draw nothing.

        More about it.
        """
        return Figure()

    entry = FIGURES["blank"]
    assert isinstance(entry, RegisteredFigure)
    assert entry.draw is blank_figure
    assert (entry.several, entry.attention, entry.section) == (False, None, None)
    assert summaries()["blank"] == "Draw nothing."
    with pytest.raises(ValueError, match="two entries of the figure registry are called 'blank'"):
        figure("blank", title="Nothing", needs="samples")(blank_figure)
