"""A calibration as a value: its verdicts, its file, and its quality on held-out people."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from passerby.errors import ConfigError, ProtocolError
from passerby.metrics.calibration import Calibration, read_calibration, write_calibration
from passerby.metrics.held_out import calibrate_embeddings, split_people
from passerby.metrics.pairs import pair_distances
from passerby.metrics.probability import Method, Sigmoid, Steps
from passerby.metrics.verification import CalibrationQuality, Threshold, fit_thresholds
from passerby.types import Embeddings, Protocol, Rerank, Role

HOW = Protocol(normalize=False)


def people(count: int, *, seed: int, images: int = 2, noise: float = 0.35) -> tuple[Embeddings, Embeddings]:
    """Return embeddings of two Gaussians: people are points of one, their images lie around them by another."""
    draw = torch.Generator().manual_seed(seed)
    centers = torch.randn(count, 16, generator=draw).repeat(images, 1)
    pids = torch.arange(count).repeat(images)

    def side(camera: int) -> Embeddings:
        features = centers + noise * torch.randn(centers.shape, generator=draw)
        return Embeddings(features, ("",) * len(pids), pids, torch.full_like(pids, camera))

    return side(0), side(1)


@pytest.fixture(scope="module")
def made() -> Calibration:
    query, gallery = people(40, seed=3, noise=0.8)
    return calibrate_embeddings(query, gallery, HOW, fingerprint="0f", data="here", content="abc", seed=5)


@pytest.mark.parametrize("method", ["isotonic", "logistic"])
def test_held_out_people_of_two_gaussians(method: Method) -> None:
    found = calibrate_embeddings(*people(400, seed=0, noise=0.7), HOW, method=method)
    assert (found.same, found.different) == (400 * 4, 800 * 800 - 400 * 4)
    held_out = found.held_out
    assert (held_out.same, held_out.different) == (200 * 4, 400 * 400 - 200 * 4)
    assert held_out.ece <= 0.03
    assert held_out.ece_balanced <= 0.03
    at = {each.rate: each for each in held_out.at}
    assert at[1e-3].false_match_rate is not None
    assert 0.5e-3 <= at[1e-3].false_match_rate <= 2e-3
    assert 0.2 < (at[1e-3].true_positive_rate or 0) < (at[1e-2].true_positive_rate or 0) < 1


def test_the_balanced_error_detects_a_wrong_curve() -> None:
    query, gallery = people(200, seed=0, noise=0.7)
    pairs = pair_distances(query, gallery, HOW)
    good = calibrate_embeddings(query, gallery, HOW)
    assert isinstance(good.curve, Steps)
    bold = replace(good, curve=Steps(good.curve.edges, tuple(p**0.5 for p in good.curve.probabilities)))
    assert good.evaluate(pairs).ece_balanced < 0.02 < 0.05 < bold.evaluate(pairs).ece_balanced


def test_halves_share_no_person() -> None:
    query, gallery = people(9, seed=0)
    gallery = replace(gallery, roles=torch.where(gallery.pids == 4, int(Role.DISTRACTOR), 0))  # type: ignore[arg-type]
    (q1, g1), (q2, g2) = split_people(query, gallery, 0)
    assert len(q1) + len(q2) == len(query)
    assert len(g1) + len(g2) == len(gallery)

    def persons(*sides: Embeddings) -> set[int]:
        return {int(p) for side in sides for p in side.pids[side.roles == 0 if side.roles is not None else ...]}  # type: ignore[index,misc]

    assert persons(q1, g1) & persons(q2, g2) == set()
    assert len(persons(q1, g1)) == 4
    again, other = (split_people(query, gallery, seed)[0][0].pids for seed in (0, 1))
    assert torch.equal(again, q1.pids)  # type: ignore[arg-type]
    assert not torch.equal(other, again)  # type: ignore[arg-type]


def test_json_keeps_all_values_exactly(made: Calibration, tmp_path: Path) -> None:
    logistic = replace(made, curve=Sigmoid(1 / 3, 0.1), protocol=replace(HOW, distance="local", flip_tta=True))
    for calibration in (made, logistic):
        write_calibration(tmp_path, calibration)
        assert read_calibration(tmp_path) == calibration
    assert [f.name for f in tmp_path.iterdir()] == ["calibration.json"]
    assert {"fingerprint": "0f", "data": "here", "content": "abc", "seed": 5}.items() <= made.to_dict().items()


def test_a_damaged_file_raises(made: Calibration, tmp_path: Path) -> None:
    assert read_calibration(tmp_path) is None
    file, whole = tmp_path / "calibration.json", json.dumps(made.to_dict())
    for damaged in (whole[:-9], "[]", "{}", whole.replace('"edges"', '"hedges"'), whole.replace('"seed"', '"sees"')):
        file.write_text(damaged)
        with pytest.raises(ConfigError, match=r"calibration\.json .* Fix: delete it, and calibrate the run again"):
            read_calibration(tmp_path)
    file.write_text(whole.replace('"format": 2', '"format": 3'))
    with pytest.raises(ConfigError, match="has format 3, expected at most 2"):
        read_calibration(tmp_path)


WRONG: dict[str, dict[str, Any]] = {
    "no text": {"fingerprint": 3},
    "pairs of text": {"same": "20"},
    "no pairs": {"different": 0},
    "a flag of text": {"protocol": {"flip_tta": "no"}},
    "another protocol": {"protocol": {"speed": 3}},
    "edges of text": {"curve": {"edges": ["a", "b", "c"]}},
    "edges that fall": {"curve": {"edges": [3.0, 1.0, 5.0]}},
    "an edge too few": {"curve": {"edges": [1.0, 3.0]}},
    "edges without end": {"curve": {"edges": [1.0, 3.0, float("inf")]}},
    "a probability above 1": {"curve": {"probabilities": [9.0, 0.6, 0.4, 0.1]}},
    "rates that are none": {"thresholds": [{"rate": float("nan"), "distance": 1.0}]},
    "a distance of text": {"thresholds": [{"rate": 0.1, "distance": "near"}]},
    "thresholds that are none": {"thresholds": [1, 2]},
    "an error of text": {"held_out": {"ece": "low"}},
    "no table": {"held_out": 3},
    "a curve that is none": {"curve": 3},
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_values_of_a_file_are_checked_where_it_is_read(change: dict[str, Any], tmp_path: Path) -> None:
    values = json.loads(json.dumps(calibration().to_dict()))
    write_calibration(tmp_path, calibration())
    assert read_calibration(tmp_path) == calibration()
    for key, value in change.items():
        values[key] = {**values[key], **value} if isinstance(value, dict) else value
    (tmp_path / "calibration.json").write_text(json.dumps(values))
    with pytest.raises(ConfigError, match=r"calibration\.json is damaged .* Fix: delete it") as caught:
        read_calibration(tmp_path)
    assert len(str(caught.value)) < 400 + len(str(tmp_path))


def calibration(near: float | None = 2.0, far: float | None = 4.0) -> Calibration:
    """Return a calibration whose P is 0.9 up to 1, 0.4 up to 3, and 0.1 beyond."""
    return Calibration(
        curve=Steps((1.0, 3.0, 5.0), (0.9, 0.6, 0.4, 0.1)),
        thresholds=(Threshold(1e-2, far), Threshold(1e-3, near), Threshold(1e-4, None)),
        same=20,
        different=80,
        protocol=HOW,
        fingerprint="",
        data="",
        content="",
        seed=0,
        held_out=CalibrationQuality(1, 1, 0.0, 0.0, ()),
    )


@pytest.mark.parametrize(
    ("near", "far", "distance", "expected"),
    [
        (2.0, 4.0, 1.5, (0.6, "possible")),
        (2.0, 4.0, 2.0, (0.6, "unsure")),  # at a threshold is not below it
        (2.0, 4.0, 3.5, (0.4, "unsure")),
        (2.0, 4.0, 4.0, (0.4, "no evidence")),
        (4.0, 6.0, 3.5, (0.4, "unsure")),  # near enough, but likelier another
        (0.2, 2.0, 2.5, (0.6, "unsure")),  # far enough, but likelier the same
        (None, 4.0, 0.5, (0.9, "unsure")),
        (2.0, None, 9.0, (0.1, "unsure")),
    ],
)
def test_verdicts(near: float | None, far: float | None, distance: float, expected: tuple[float, str]) -> None:
    assert calibration(near, far).verdict(distance) == expected


@pytest.mark.parametrize(
    ("distance", "expected"),
    [
        (1.0, (0.6, "possible")),  # as 1.5 was
        (1.5, (0.6, "unsure")),  # as near as 2.0
        (4.4, (0.4, "unsure")),  # not as far as 4.0
        (4.5, (0.4, "no evidence")),
        (4.6, (0.1, "no evidence")),
        (0.6, (0.6, "possible")),  # without a margin 0.9
    ],
)
def test_a_margin_makes_both_verdicts_stricter(distance: float, expected: tuple[float, str]) -> None:
    strict = replace(calibration(2.0, 4.0), margin=0.5)
    assert strict.verdict(distance) == expected
    assert strict.probability(torch.tensor([distance])).item() == pytest.approx(expected[0])


def test_the_rate_of_a_distance_knows_the_margin() -> None:
    plain = calibration(2.0, 4.0)
    assert [plain.false_match_rate(d) for d in (1.9, 2.0, 4.0)] == [1e-3, 1e-2, None]
    assert [replace(plain, margin=0.5).false_match_rate(d) for d in (1.4, 1.5, 3.5)] == [1e-3, 1e-2, None]


def test_a_file_of_the_first_version_has_no_margin(made: Calibration, tmp_path: Path) -> None:
    values = made.to_dict() | {"format": 1}
    del values["margin"]
    (tmp_path / "calibration.json").write_text(json.dumps(values))
    assert read_calibration(tmp_path) == made
    (tmp_path / "calibration.json").write_text(json.dumps(made.to_dict() | {"margin": -0.1}))
    with pytest.raises(ConfigError, match="margin must be numbers from 0"):
        read_calibration(tmp_path)


def test_other_priors_and_unknown_rates() -> None:
    some = calibration()
    assert some.prior == 0.2
    near = torch.tensor([0.5, 2.0])
    assert some.probability(near).tolist() == [0.9, 0.6]
    assert some.probability(near, prior=0.2).tolist() == pytest.approx([0.9, 0.6])
    assert some.probability(near, prior=0.02)[1].item() == pytest.approx(1.5 * 4 / 49 / (1.5 * 4 / 49 + 1))
    with pytest.raises(
        ProtocolError, match=r"no threshold for the false-match rate 0\.5: expected one of 0\.01, 0\.001, 0\.0001"
    ):
        some.threshold(0.5)


def test_a_mismatch_of_distances_is_named() -> None:
    some = calibration()
    assert some.mismatch(replace(HOW, average_precision="trapezoid", ignore_same_camera=False)) == ""
    assert some.mismatch(replace(HOW, distance="local", flip_tta=True)) == (
        "the run was calibrated with distance global, not local; flip_tta False, not True"
    )
    assert "normalize False, not True" in some.mismatch(Protocol())
    assert "re-ranked" in some.mismatch(replace(HOW, rerank=Rerank()))


def test_thresholds_need_enough_pairs() -> None:
    pairs = pair_distances(*people(50, seed=0), HOW)
    assert pairs.total == 9800
    assert [each.distance is None for each in fit_thresholds(pairs)] == [False, True, True]


def test_too_few_people_raise() -> None:
    with pytest.raises(ProtocolError, match="one half of the people is too few"):
        calibrate_embeddings(*people(2, seed=0), HOW)
    query, gallery = people(8, seed=0)
    one = replace(gallery, pids=torch.zeros_like(gallery.pids) + 77)  # type: ignore[arg-type]
    with pytest.raises(ProtocolError, match="no pairs of the same person"):
        calibrate_embeddings(query, one, HOW)
    with pytest.raises(ProtocolError, match="unlabeled"):
        calibrate_embeddings(replace(query, pids=None), gallery, HOW)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("same", "many"), ("same", 0), ("curve", {"edges": ["a"], "probabilities": [1, 0]}),
        ("curve", {"edges": [1.0], "probabilities": [0.2, 0.9]}),
        ("curve", {"edges": [2.0, 1.0], "probabilities": [1, 0.5, 0]}),
        ("curve", {"edges": [], "probabilities": []}), ("curve", {"slope": -1.0, "intercept": 0.0}),
        ("curve", {"slope": float("nan"), "intercept": 0.0}), ("thresholds", []),
        ("thresholds", [{"rate": 1e-3, "distance": "x"}]),
        ("protocol", {"normalize": "no"}), ("protocol", []), ("held_out", 3), ("format", "new"), ("data", 5),
    ],
)  # fmt: skip
def test_values_that_no_fit_gives_raise(made: Calibration, tmp_path: Path, field: str, value: Any) -> None:
    (tmp_path / "calibration.json").write_text(json.dumps(made.to_dict() | {field: value}))
    with pytest.raises(ConfigError, match=r"calibration\.json .* Fix: delete it, and calibrate"):
        read_calibration(tmp_path)


def test_a_file_nested_too_deep_raises(tmp_path: Path) -> None:
    for deep in ("[" * 100_000, '{"curve":' * 2_000 + "1" + "}" * 2_000):
        (tmp_path / "calibration.json").write_text(deep)
        with pytest.raises(ConfigError, match=r"Fix: delete it, and calibrate the run again"):
            read_calibration(tmp_path)
