"""The text of sections: runs that disagree, few people, easy subgroups, and models without errors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from markupsafe import Markup
from matplotlib.figure import Figure

from passerby.explain.evaluated import EvaluatedEmbeddings
from passerby.inference.model import Model
from passerby.metrics.held_out import calibrate_embeddings
from passerby.metrics.open_set import equal_error_rate, true_positive_rate_at
from passerby.metrics.protocol import evaluate_embeddings
from passerby.metrics.subgroups import Dimension, Subgroup
from passerby.models.registry import create_model
from passerby.report import figure, read_records, read_run
from passerby.report.inputs.comparison import comparable
from passerby.report.inputs.evaluation import Evaluation
from passerby.report.inputs.record import Record
from passerby.report.inputs.run import Run
from passerby.report.registry import SectionBuilder
from passerby.report.sections.matches import matches
from passerby.report.sections.metrics import metrics
from passerby.report.sections.protocol import protocol
from passerby.report.sections.ranked_lists import ranked
from passerby.report.sections.retrieval import _CAPTIONS, _VALUES, retrieval
from passerby.report.sections.subgroups import subgroups
from passerby.types import Embeddings, Protocol, QueryResults, Rerank


def written(label: str, **protocol: Any) -> Run:
    """Return a run that is known from its folder alone, which records its protocol."""
    numbers = {"cmc": {"1": 0.5}, "mean_ap": 0.4, "protocol": asdict(Protocol(**protocol))}
    return Run(Record(Path(label), label, {}, {}, {}, {}, numbers, {}, (), None), None)


def plain(content: Iterable[str]) -> str:
    """Return the text without tags."""
    return Markup("").join(content).striptags()


def text_of(runs: list[Run], *sections: SectionBuilder) -> str:
    """Return the text of some sections about some runs."""
    return " ".join(plain(section(runs).content) for section in sections)


@pytest.mark.parametrize("method", [{"normalize": False}, {"flip_tta": True}, {"distance": "local"}, {"name": "other"}])
def test_runs_with_the_distances_of_their_papers_are_compared(method: dict[str, Any]) -> None:
    words = text_of([written("a"), written("b", **method)], metrics, protocol)
    assert "Differences to a" in words
    assert "not comparable" not in words
    assert "as its paper does" in words


@pytest.mark.parametrize("count", [
    {"ignore_same_camera": False}, {"average_precision": "trapezoid"}, {"draws": 10}, {"rerank": Rerank()},
    {"multi_query": "mean"},
])  # fmt: skip
def test_runs_under_different_protocols_are_not(count: dict[str, Any]) -> None:
    runs = [written("a"), written("b", **count)]
    assert not comparable(runs)
    words = text_of(runs, metrics, protocol)
    assert "not comparable" in words
    assert "Differences" not in words


@pytest.fixture(scope="module")
def run(one: Path) -> Run:
    (record,) = read_records([one])
    return read_run(record)


def with_(run: Run, label: str | None = None, **changes: Any) -> Run:
    """Return the run with a changed evaluation."""
    record = replace(run.record, label=label or run.label)
    return replace(run, record=record, evaluation=replace(evaluated(run), **changes))


def evaluated(run: Run) -> Evaluation:
    assert run.evaluation is not None
    return run.evaluation


def queries(precision: torch.Tensor, pids: torch.Tensor) -> QueryResults:
    paths, ones = tuple(map(str, range(len(pids)))), torch.ones(len(pids), dtype=torch.int64)
    return QueryResults(paths, pids, None, ones, ones, precision, precision)


def differing(run: Run, change: torch.Tensor, each: int) -> str:
    """Return the verdicts on a run whose queries of a person all differ by the same value from another run's."""
    pids, change = (side.repeat_interleave(each) for side in (torch.arange(len(change)), change))
    before = 0.5 + torch.zeros(len(pids), dtype=torch.float64)
    runs = [
        with_(run, label, result=replace(evaluated(run).result, per_query=queries(precision, pids)))
        for label, precision in (("a", before), ("b", before + change))
    ]
    return text_of(runs, metrics)


def test_differences_are_significant_only_if_other_people_would_agree(run: Run) -> None:
    some = torch.tensor([0.1] * 8 + [-0.1] * 4, dtype=torch.float64)
    assert "higher" not in differing(run, some, 30).replace(
        "larger", ""
    )  # over 360 independent queries it would be significant
    assert "▲ higher" in differing(run, some.abs(), 30)
    assert "▼ lower" in differing(run, -some.abs(), 30)
    few = differing(run, some[:5], 30)
    assert "too few people to tell" in few
    assert "▲" not in few


def test_every_number_has_an_interval(run: Run) -> None:
    table = metrics([run]).content[0]
    rows = {metric: table.split(f">{metric}</th>")[1].split("</tr>")[0] for metric in (
        "rank-1", "rank-5", "rank-10", "rank-20", "mAP", "mINP")}  # fmt: skip
    assert all('class="interval"' in row for row in rows.values())


def cut(dimension: Dimension, value: str, mean_ap: float) -> Subgroup:
    return Subgroup(dimension, "1", value, 20, 5, mean_ap, mean_ap, (0.0, 1.0), (0.0, 1.0))


@pytest.mark.usefixtures("unrendered")
def test_only_subgroups_below_their_reference_are_named(run: Run) -> None:
    """Check with pairs of cameras that, as easier searches, are all above the mAP of all queries."""
    cameras = [cut("cameras", str(camera), 0.6 + camera / 10) for camera in (1, 2, 3)]
    keypoints = [cut("visibility", "all", 0.9), cut("visibility", "some", 0.3)]
    result = replace(evaluated(run).result, mean_ap=0.5)
    section = subgroups([with_(run, subgroups=(*cameras, *keypoints), result=result)])
    assert plain(section.content[:1]) == (
        f"{run.label}, lowest mAP in percent, pairs of cameras (80.0 is the mean of 3 pairs): camera 1 → 1 (70.0); "
        "visible keypoints (50.0 over all queries): some (30.0)."
    )
    section = subgroups([with_(run, subgroups=(keypoints[0],), result=result)])
    assert plain(section.content[:1]) == f"{run.label}: no subgroup with enough queries is below its reference."


def crowd(seed: int) -> Embeddings:
    pids = torch.arange(12).repeat_interleave(6)
    features = torch.eye(12)[pids] + 0.5 * torch.randn(72, 12, generator=torch.Generator().manual_seed(seed))
    return Embeddings(features, tuple(f"{seed}-{row}" for row in range(72)), pids, torch.arange(72) % 3)


def test_every_curve_has_its_values_in_words() -> None:
    calibration = calibrate_embeddings(crowd(2), crowd(3), Protocol())
    some = EvaluatedEmbeddings("ours", crowd(0), crowd(1), Protocol(), calibration)
    words = {what: _VALUES[what](some) for what in _CAPTIONS}
    assert len(set(words.values())) == len(_CAPTIONS)
    assert f"{100 * true_positive_rate_at(some.pairs, 0.01):.1f} % at 0.01" in words["roc"]
    assert f"equal error rate is {100 * equal_error_rate(some.pairs):.1f} %" in words["roc"]
    assert "expected calibration error" in words["calibration"]
    assert "median distance" in words["histogram"]
    assert not any("distance" in word for what, word in words.items() if what != "histogram")
    far = EvaluatedEmbeddings(
        "far", replace(crowd(0), embedding=60 * crowd(0).embedding), crowd(1), Protocol(normalize=False)
    )
    assert "e+" not in _VALUES["histogram"](far)


@pytest.mark.usefixtures("unrendered")
def test_the_protocol_stands_once_above_the_curves(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []

    def encode(drawn: Figure) -> tuple[str, bytes]:
        written.extend(text.get_text() for text in drawn.texts)
        return "image/png", b""

    monkeypatch.setattr(figure, "encode_figure", encode)
    name = str(evaluated(run).result.protocol)
    words = text_of([run], retrieval)
    assert words.count(name) == 1
    assert len(written) > 4
    assert sum(name in " ".join(text.split()) for text in written) == 1  # the matrices of cameras, inside <details>


@pytest.mark.usefixtures("unrendered")
def test_matches_are_called_what_they_are(run: Run) -> None:
    """Show no false match of a model without errors, and no true match of a model that always errs."""
    found = evaluated(run)
    for sign, shown, lacking in ((1, "true match", "false match"), (-1, "false match", "true match")):
        query, gallery = separated(found.query, found.query, 1), separated(found.gallery, found.query, sign)
        result = evaluate_embeddings(query, gallery, found.result.protocol)
        words = text_of([with_(run, query=query, gallery=gallery, result=result)], matches)
        assert f"No query has a {lacking} as its nearest image." in words
        assert f"A {shown}: of the queries whose nearest image is a {shown}" in words


def separated(some: Embeddings, like: Embeddings, scale: int) -> Embeddings:
    """Return one direction per person; its opposite is farther away than the direction of every other person."""
    assert some.pids is not None
    assert like.pids is not None
    known = like.pids.unique()
    features = scale * (some.pids[:, None] == known).to(some.embedding.dtype)
    return replace(some, embedding=features)


def test_remedies_are_sentences(run: Run) -> None:
    from passerby.report.inputs.evaluated_run import _grouping

    dataset = evaluated(run).dataset
    unlabeled = replace(dataset, query=tuple(replace(sample, camid=None) for sample in dataset.query))
    missing = [*_grouping(unlabeled, draws=0)[1], *_grouping(dataset, draws=3)[1]]
    assert missing
    assert all(each.remedy[0].isupper() and each.remedy.endswith(".") for each in missing)
    assert not any("Fix:" in each.why or each.why.endswith(".") for each in missing)


def test_a_model_without_attention_is_among_what_is_missing(run: Run) -> None:
    from passerby.report.inputs.evaluated_run import _attention
    from passerby.report.sections.attention import attention

    model = evaluated(run).model
    network = create_model("strong_baseline", num_classes=2, backbone="resnet18_half")
    without = Model(network, (64, 32))
    assert [each.what for each in _attention(without)] == ["attention maps"]
    assert attention([replace(run, evaluation=replace(evaluated(run), model=without))]).content == ()
    assert bool(_attention(model)) is not bool(attention([run]).content)


def test_lists_of_runs_with_different_distances_name_no_single_protocol(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    titles: list[str] = []

    def encode(drawn: Figure) -> tuple[str, bytes]:
        titles.extend(text.get_text() for text in drawn.texts if "lowest average" in text.get_text())
        return "image/png", b""

    monkeypatch.setattr(figure, "encode_figure", encode)
    result = evaluated(run).result
    other = replace(result, protocol=replace(result.protocol, normalize=False))
    ranked([run, with_(run, "b", result=other)])
    assert len(titles) == 2
    assert all("as its paper does" in title and "AP step" not in title for title in titles)
    titles.clear()
    ranked([run])
    assert "AP step" in titles[0]
