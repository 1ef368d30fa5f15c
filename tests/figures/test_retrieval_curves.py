"""Retrieval curves show the metrics, and nothing overlaps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.text import Text

from passerby.errors import ConfigError, ProtocolError, UnknownNameError
from passerby.explain.evaluated import EvaluatedEmbeddings
from passerby.figures.retrieval_curves import CURVES, Curve, parse_curves, reliability, retrieval_figure
from passerby.metrics.held_out import calibrate_embeddings
from passerby.metrics.open_set import supports, threshold_at, true_positive_rate_at
from passerby.types import Embeddings, Protocol

LONG = "a-baseline-whose-name-has-become-quite-a-long-one-since-it-says-all-of-its-settings"


def crowd(seed: int, people: int = 12, noise: float = 1.2) -> Embeddings:
    """Return six images of each person by three cameras."""
    draw = torch.Generator().manual_seed(seed)
    pids = torch.arange(people).repeat_interleave(6)
    camids = torch.arange(6).repeat(people) % 3
    centers = torch.randn(people, 8, generator=torch.Generator().manual_seed(9))
    features = centers[pids] + noise * torch.randn(len(pids), 8, generator=draw)
    return Embeddings(features, tuple(f"{seed}-{row}" for row in range(len(pids))), pids, camids)


def compared(name: str, seed: int = 0, *, calibrated: bool = False, **protocol: object) -> EvaluatedEmbeddings:
    query, gallery, how = crowd(seed), crowd(seed + 100), Protocol(**protocol)  # type: ignore[arg-type]
    calibration = calibrate_embeddings(crowd(seed + 7), crowd(seed + 8), how) if calibrated else None
    return EvaluatedEmbeddings(name, query, gallery, how, calibration)


@pytest.fixture(scope="module")
def runs() -> list[EvaluatedEmbeddings]:
    return [compared("ours", calibrated=True), compared(LONG, 3)]


@pytest.mark.parametrize("what", [CURVES, ("cmc",), ("roc", "pr"), ("histogram",)], ids=str)
def test_no_text_overlaps_or_leaves_the_figure(
    runs: list[EvaluatedEmbeddings], what: tuple[Curve, ...], legible: Callable[[Figure], None]
) -> None:
    legible(retrieval_figure(runs, what=what, title="runs on something whose name is long, too"))


def words(figure: Figure) -> str:
    """Return all texts."""
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text)]
    return " ".join(" ".join(text.get_text().split()) for text in texts)


def panel(figure: Figure, title: str) -> dict[str, list[float]]:
    """Return the values of each line that stands for a run."""
    [axes] = [axes for axes in figure.axes if axes.get_title().startswith(title)]
    return {str(line.get_label()).split(":")[0]: np.asarray(line.get_ydata()).tolist() for line in axes.lines}


def test_curves_are_the_metrics(runs: list[EvaluatedEmbeddings]) -> None:
    ours = runs[0]
    figure = retrieval_figure(runs[:1], what=("cmc", "pr"), title="t")
    assert panel(figure, "Cumulative")["ours"] == pytest.approx([100 * share for share in ours.result.cmc])
    assert panel(figure, "Precision")["ours"] == pytest.approx((100 * ours.precision_recall[1]).tolist())
    shown = words(figure)
    assert f"rank 1: {100 * ours.result.rank1:.1f}, 5: {100 * ours.result.rank(5):.1f}" in shown
    assert f"mAP {100 * (ours.result.mean_ap or 0):.1f} %" in shown
    assert str(ours.protocol) in shown


def test_the_roc_is_exact_at_each_rate(runs: list[EvaluatedEmbeddings]) -> None:
    ours = runs[0]
    [axes] = retrieval_figure(runs[:1], what=("roc",), title="t").axes
    curve = axes.lines[0]
    rates, shares = np.asarray(curve.get_xdata()), np.asarray(curve.get_ydata())
    assert rates[0] == pytest.approx(10 / ours.pairs.total)
    for place in range(0, len(rates), 13):
        assert shares[place] == pytest.approx(100 * true_positive_rate_at(ours.pairs, rates[place]))
    assert shares[-1] == 100
    assert [supports(ours.pairs, rate) for rate in (1e-2, 1e-3)] == [True, False]
    [text] = [t.get_text() for t in axes.figure.legends[0].get_texts()]  # type: ignore[union-attr]
    share = 100 * true_positive_rate_at(ours.pairs, 1e-2)
    assert text.endswith(f"at 0.01, 0.001, 0.0001: {share:.1f}, –, – %, d < {threshold_at(ours.pairs, 1e-2):.3g}, –, –")
    missed = retrieval_figure(runs[:1], what=("det",), title="t").axes[0].lines[0]
    known = np.isfinite(np.asarray(missed.get_ydata()))
    assert np.asarray(missed.get_ydata())[known] == pytest.approx((100 - shares)[known])
    assert (shares[~known] == 100).all()


def test_reliability_is_of_calibrated_runs(runs: list[EvaluatedEmbeddings]) -> None:
    bins = reliability(runs[0])
    assert bins is not None
    assert bins.pairs.sum() == pytest.approx(len(runs[0].pairs.same) + runs[0].pairs.total)
    assert runs[0].calibration is not None
    assert bins.error == pytest.approx(runs[0].calibration.evaluate(runs[0].pairs).ece_balanced)
    figure = retrieval_figure([replace(runs[0], fitted_on_these=True), runs[1]], what=("calibration",), title="t")
    [first, second] = [" ".join(text.get_text().split()) for text in figure.legends[0].get_texts()]
    assert first == f"ours: expected error {100 * bins.error:.1f} %, fitted on these same images"
    assert second.endswith("settings: not calibrated")
    with pytest.raises(ConfigError, match=r"none of these runs is calibrated .*--distance global, with --overwrite"):
        retrieval_figure(runs[1:], what=("calibration",), title="t")


def test_each_run_has_its_own_style(runs: list[EvaluatedEmbeddings]) -> None:
    figure = retrieval_figure(runs, what=("cmc", "histogram"), title="t")
    cmc, *histograms = figure.axes
    assert len({(line.get_color(), line.get_linestyle()) for line in cmc.lines}) == 2
    assert [axes.get_title() for axes in histograms] == ["Distances: ours", f"Distances: …{LONG[-44:]}"]


def test_a_common_protocol_is_in_the_title(runs: list[EvaluatedEmbeddings]) -> None:
    other = compared("other", normalize=False)
    text = " ".join(retrieval_figure([runs[0], other], title="here").texts[0].get_text().split())
    assert text == "here: each run under its own protocol"


def test_random_galleries_have_a_cmc_only() -> None:
    some = compared("ours", draws=3)
    assert panel(retrieval_figure([some], what=("cmc",), title="t"), "Cum")["ours"][0] == 100 * some.result.rank1
    with pytest.raises(ProtocolError, match="--draws 0"):
        retrieval_figure([some], what=("pr",), title="t")


def test_names_of_curves() -> None:
    assert parse_curves("roc, cmc,roc") == ("cmc", "roc")
    with pytest.raises(UnknownNameError, match=r"unknown curve 'rok'\. Did you mean roc\?"):
        parse_curves("cmc,rok")
    with pytest.raises(ConfigError, match="1 to 7 runs, got 0"):
        retrieval_figure([], title="t")
    with pytest.raises(ConfigError, match="no curves to draw"):
        retrieval_figure([compared("ours")], what=(), title="t")


def test_combined_embeddings_are_both_sides(runs: list[EvaluatedEmbeddings]) -> None:
    both = runs[0].combined
    assert both.paths == runs[0].query.paths + runs[0].gallery.paths
    assert both.pids is not None
    assert both.roles is None
    assert torch.equal(both.embedding[72:], runs[0].gallery.embedding)
