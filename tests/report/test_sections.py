"""What sections say of runs that disagree, of few people, of easy slices, and of models that never err."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.figure import Figure

from passerby.explain.evaluated import EvaluatedEmbeddings
from passerby.metrics.held_out import calibrate_embeddings
from passerby.metrics.open_set import equal_error_rate, true_positive_rate_at
from passerby.metrics.protocol import evaluate_embeddings
from passerby.metrics.subgroups import Dimension, Subgroup
from passerby.report import read_records, read_run
from passerby.report.components import plain
from passerby.report.inputs.evaluated_run import Tested as Evaluated
from passerby.report.inputs.record import Record
from passerby.report.inputs.run import Run
from passerby.report.sections.matches import why
from passerby.report.sections.metrics import numbers
from passerby.report.sections.protocol import alike
from passerby.report.sections.ranked_lists import ranked
from passerby.report.sections.retrieval import _CAPTIONS, _SAID, retrieval
from passerby.report.sections.subgroups import slices
from passerby.types import Embeddings, Protocol, QueryResults, Rerank


def written(label: str, **protocol: Any) -> Run:
    """Of a folder alone, which says how it was counted."""
    metrics = {"cmc": {"1": 0.5}, "mean_ap": 0.4, "protocol": asdict(Protocol(**protocol))}
    return Run(Record(Path(label), label, {}, {}, {}, {}, metrics, {}, (), None), None, None)


def said(runs: list[Run], section: Callable[..., Any]) -> str:
    return plain(section(runs).content)


@pytest.mark.parametrize("method", [{"normalize": False}, {"flip_tta": True}, {"distance": "local"}, {"name": "other"}])
def test_runs_that_compare_as_their_papers_do_are_still_compared(method: dict[str, Any]) -> None:
    words = said([written("a"), written("b", **method)], numbers)
    assert "Differences to a" in words
    assert "do not compare" not in words
    assert "as its paper does" in words


@pytest.mark.parametrize("count", [
    {"ignore_same_camera": False}, {"average_precision": "trapezoid"}, {"draws": 10}, {"rerank": Rerank()},
    {"multi_query": "mean"},
])  # fmt: skip
def test_runs_that_were_counted_otherwise_are_not(count: dict[str, Any]) -> None:
    runs = [written("a"), written("b", **count)]
    assert not alike(runs)
    words = said(runs, numbers)
    assert "do not compare" in words
    assert "Differences" not in words


@pytest.fixture(scope="module")
def run(one: Path) -> Run:
    (record,) = read_records([one])
    return read_run(record)


def with_(run: Run, label: str | None = None, **changes: Any) -> Run:
    """The run, had its evaluation been another."""
    assert run.tested is not None
    record = replace(run.record, label=label or run.label)
    return replace(run, record=record, tested=replace(run.tested, **changes))


def evaluated(run: Run) -> Evaluated:
    assert run.tested is not None
    return run.tested


def queries(precision: torch.Tensor, pids: torch.Tensor) -> QueryResults:
    paths, ones = tuple(map(str, range(len(pids)))), torch.ones(len(pids), dtype=torch.int64)
    return QueryResults(paths, pids, None, ones, ones, precision, precision)


def differing(run: Run, change: torch.Tensor, each: int) -> str:
    """The verdicts on a run whose queries of each person all differ alike from another's."""
    pids, change = (side.repeat_interleave(each) for side in (torch.arange(len(change)), change))
    before = 0.5 + torch.zeros(len(pids), dtype=torch.float64)
    runs = [
        with_(run, label, result=replace(evaluated(run).result, per_query=queries(precision, pids)))
        for label, precision in (("a", before), ("b", before + change))
    ]
    return said(runs, numbers)


def test_differences_are_sure_only_if_other_people_would_agree(run: Run) -> None:
    some = torch.tensor([0.1] * 8 + [-0.1] * 4, dtype=torch.float64)
    assert "higher" not in differing(run, some, 30).replace("larger", "")  # of 360 queries it would be sure
    assert "▲ higher" in differing(run, some.abs(), 30)
    assert "▼ lower" in differing(run, -some.abs(), 30)
    few = differing(run, some[:5], 30)
    assert "too few people to say" in few
    assert "▲" not in few


def test_every_number_has_an_interval(run: Run) -> None:
    rows = {metric: str(numbers([run]).content[0]).split(f">{metric}</th>")[1].split("</tr>")[0] for metric in (
        "rank-1", "rank-5", "rank-10", "rank-20", "mAP", "mINP")}  # fmt: skip
    assert all('class="interval"' in row for row in rows.values())


def cut(dimension: Dimension, value: str, mean_ap: float) -> Subgroup:
    return Subgroup(dimension, "1", value, 20, 5, mean_ap, mean_ap, (0.0, 1.0), (0.0, 1.0))


@pytest.mark.usefixtures("undrawn")
def test_only_what_is_below_its_like_is_called_worse(run: Run) -> None:
    """Pairs of cameras are easier searches than the whole: all of these are above its mAP of a half."""
    cameras = [cut("cameras", str(camera), 0.6 + camera / 10) for camera in (1, 2, 3)]
    keypoints = [cut("visibility", "all", 0.9), cut("visibility", "some", 0.3)]
    result = replace(evaluated(run).result, mean_ap=0.5)
    section = slices([with_(run, slices=(*cameras, *keypoints), result=result)])
    assert plain(section.content[0]) == (
        f"{run.label}, lowest mAP in per cent, pairs of cameras (80.0 is the mean of 3 pairs): camera 1 → 1 (70.0); "
        "visible joints (50.0 over all queries): some (30.0)."
    )
    section = slices([with_(run, slices=(keypoints[0],), result=result)])
    assert plain(section.content[0]) == f"{run.label}: no slice of enough queries lies below the rest."


def crowd(seed: int) -> Embeddings:
    pids = torch.arange(12).repeat_interleave(6)
    features = torch.eye(12)[pids] + 0.5 * torch.randn(72, 12, generator=torch.Generator().manual_seed(seed))
    return Embeddings(features, tuple(f"{seed}-{row}" for row in range(72)), pids, torch.arange(72) % 3)


def test_every_curve_says_what_it_is_worth() -> None:
    calibration = calibrate_embeddings(crowd(2), crowd(3), Protocol())
    some = EvaluatedEmbeddings("ours", crowd(0), crowd(1), Protocol(), calibration)
    words = {what: _SAID[what](some) for what in _CAPTIONS}
    assert len(set(words.values())) == len(_CAPTIONS)
    assert f"{100 * true_positive_rate_at(some.pairs, 0.01):.1f} % at 0.01" in words["roc"]
    assert f"equal error rate is {100 * equal_error_rate(some.pairs):.1f} %" in words["roc"]
    assert "errs by" in words["calibration"]
    assert "apart" in words["histogram"]
    assert not any("apart" in word for what, word in words.items() if what != "histogram")
    far = EvaluatedEmbeddings(
        "far", replace(crowd(0), embedding=60 * crowd(0).embedding), crowd(1), Protocol(normalize=False)
    )
    assert "e+" not in _SAID["histogram"](far)


@pytest.mark.usefixtures("undrawn")
def test_how_pairs_are_compared_is_said_once_above_the_curves(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from passerby.report import figure as picture

    written: list[str] = []

    def encoded(figure: Figure) -> tuple[str, bytes]:
        written.extend(text.get_text() for text in figure.texts)
        return "image/png", b""

    monkeypatch.setattr(picture, "encoded", encoded)
    protocol = str(evaluated(run).result.protocol)
    words = said([run], retrieval)
    assert words.count(protocol) == 1
    assert len(written) > 4
    assert sum(protocol in " ".join(text.split()) for text in written) == 1  # the matrices of cameras, folded away


@pytest.mark.usefixtures("undrawn")
def test_answers_are_called_what_they_are(run: Run) -> None:
    """Of a model that never errs no wrong answer is shown; of one that always does no right one."""
    found = evaluated(run)
    for sign, shown, lacking in ((1, "true match", "false match"), (-1, "false match", "true match")):
        query, gallery = told_apart(found.query, found.query, 1), told_apart(found.gallery, found.query, sign)
        result = evaluate_embeddings(query, gallery, found.result.protocol)
        words = said([with_(run, query=query, gallery=gallery, result=result)], why)
        assert f"There is no query whose nearest picture is a {lacking}." in words
        assert f"A {shown}: of the queries whose nearest picture is a {shown}" in words


def told_apart(some: Embeddings, like: Embeddings, scale: int) -> Embeddings:
    """A direction a person; the opposite of it is farther than anybody else's."""
    assert some.pids is not None
    assert like.pids is not None
    known = like.pids.unique()
    features = scale * (some.pids[:, None] == known).to(some.embedding.dtype)
    return replace(some, embedding=features)


def test_remedies_are_sentences(run: Run) -> None:
    from passerby.report.inputs.evaluated_run import _slicing

    dataset = evaluated(run).dataset
    nobody = replace(dataset, query=tuple(replace(sample, camid=None) for sample in dataset.query))
    lacking = [*_slicing(nobody, draws=0)[1], *_slicing(dataset, draws=3)[1]]
    assert lacking
    assert all(each.remedy[0].isupper() and each.remedy.endswith(".") for each in lacking)


def test_lists_of_runs_that_compare_otherwise_are_of_no_one_protocol(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from passerby.report import figure as picture

    titles: list[str] = []

    def encoded(figure: Figure) -> tuple[str, bytes]:
        titles.extend(text.get_text() for text in figure.texts if "lowest average" in text.get_text())
        return "image/png", b""

    monkeypatch.setattr(picture, "encoded", encoded)
    result = evaluated(run).result
    other = replace(result, protocol=replace(result.protocol, normalize=False))
    ranked([run, with_(run, "b", result=other)])
    assert len(titles) == 2
    assert all("as its paper does" in title and "AP step" not in title for title in titles)
    titles.clear()
    ranked([run])
    assert "AP step" in titles[0]
