"""Cloth: every pattern shows, keeps its main color, has soft edges, and looks the same whichever points are asked."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import get_args

import numpy as np
import pytest

from passerby.synthetic.clothes.logos import MOTIFS
from passerby.synthetic.clothes.prints import EDGE, bands, step
from passerby.synthetic.clothes.textures import cloth_color
from passerby.synthetic.people.person import Garment, LowerKind, Pattern, UpperKind

PATTERNS = get_args(Pattern)
KINDS = (*get_args(UpperKind), *get_args(LowerKind))
RED, WHITE = (0.7, 0.15, 0.18), (0.95, 0.95, 0.93)
SHIRT = Garment("tshirt", RED, WHITE, "plain", 0.06, 12345, 0.02, 0.3)
HEIGHT = 0.62


def flat(garment: Garment, *, back: bool = False, sleeve: bool = False, n: int = 6000) -> np.ndarray:
    """Colors at points scattered over one side."""
    rng = np.random.default_rng(0)
    across = rng.uniform(-0.23, 0.23, n).astype(np.float32)
    across = across + np.sign(across) * np.float32(0.23) if back else across
    up = rng.uniform(0, HEIGHT, n).astype(np.float32)
    return cloth_color(garment, across, up, HEIGHT, np.full(n, back), np.full(n, sleeve))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_any_garment_in_any_pattern_has_colors(pattern: Pattern, kind: UpperKind | LowerKind) -> None:
    color = flat(replace(SHIRT, pattern=pattern, kind=kind, trim=WHITE), n=500)
    assert color.shape == (500, 3)
    assert color.dtype == np.float32
    assert 0 <= color.min() <= color.max() <= 1


@pytest.mark.parametrize("pattern", [name for name in PATTERNS if name not in ("plain", "raglan")])
def test_a_pattern_shows_but_the_main_color_stays_the_main_one(pattern: Pattern) -> None:
    fronts = [flat(replace(SHIRT, pattern=pattern, detail=detail)) for detail in range(40)]
    plain = flat(SHIRT)
    changed = np.array([(np.abs(front - plain).max(axis=1) > 0.05).mean() for front in fronts])
    assert (changed > 0.002).mean() > 0.8
    near = [np.linalg.norm(front - RED, axis=1) < np.linalg.norm(front - WHITE, axis=1) for front in fronts]
    assert np.mean(near) > 0.5


def test_plain_cloth_is_its_color_with_a_little_grain() -> None:
    color = flat(SHIRT)
    np.testing.assert_allclose(color.mean(axis=0), RED, atol=0.02)
    assert 0.002 < color[:, 0].std() < 0.04


def test_a_point_has_its_color_whichever_others_are_asked() -> None:
    garment = replace(SHIRT, pattern="logo", kind="hoodie")
    rng = np.random.default_rng(1)
    across, up = rng.uniform(-0.2, 0.2, 900).astype(np.float32), rng.uniform(0, HEIGHT, 900).astype(np.float32)
    no = np.zeros(900, bool)
    whole = cloth_color(garment, across, up, HEIGHT, no, no)
    some = rng.permutation(900)[:200]
    np.testing.assert_array_equal(cloth_color(garment, across[some], up[some], HEIGHT, no[some], no[some]), whole[some])


def test_garments_of_other_detail_look_different() -> None:
    for pattern in ("stripes", "logo", "dots", "camouflage", "plaid"):
        one, other = (flat(replace(SHIRT, pattern=pattern, detail=detail)) for detail in (1, 999))
        assert np.abs(one - other).mean() > 0.003


def test_prints_stay_off_sleeves_and_off_most_backs() -> None:
    plain = flat(SHIRT, back=True)
    printed = [flat(replace(SHIRT, pattern="logo", detail=d), back=True) for d in range(120)]
    both = np.mean([np.abs(back - plain).max() > 0.2 for back in printed])
    assert 0.08 < both < 0.45
    np.testing.assert_allclose(flat(replace(SHIRT, pattern="logo"), sleeve=True), flat(SHIRT, sleeve=True), atol=1e-6)


def test_raglan_sleeves_have_the_second_color() -> None:
    garment = replace(SHIRT, pattern="raglan")
    np.testing.assert_allclose(flat(garment, sleeve=True).mean(axis=0), WHITE, atol=0.03)
    assert (np.linalg.norm(flat(garment) - RED, axis=1) < 0.2).mean() > 0.6


def test_stripes_lie_and_columns_stand() -> None:
    line = np.linspace(-0.2, 0.2, 400, dtype=np.float32)
    still, no = np.full(400, 0.3, np.float32), np.zeros(400, bool)
    for pattern, lies in (("stripes", True), ("columns", False)):
        garment = replace(SHIRT, pattern=pattern, detail=5)
        along = cloth_color(garment, line, still, HEIGHT, no, no)[:, 1].std()
        upwards = cloth_color(garment, still * 0, line + 0.3, HEIGHT, no, no)[:, 1].std()
        weak, strong = (along, upwards) if lies else (upwards, along)
        assert strong > 4 * weak


def test_edges_are_as_soft_as_the_thread() -> None:
    x = np.linspace(-EDGE, EDGE, 9, dtype=np.float32)
    edge = step(x)
    assert (edge[0], edge[4], edge[-1]) == (0, 0.5, 1)
    assert np.all(np.diff(edge) >= 0)
    assert bands(np.linspace(0, 1, 10001, dtype=np.float32), 0.1, 0.3, 0.0).mean() == pytest.approx(0.3, abs=0.01)


def test_every_motif_prints_something() -> None:
    seen = set()
    plain = flat(SHIRT)
    for detail in range(0, 4096, 37):
        garment = replace(SHIRT, pattern="logo", detail=detail)
        seen.add(int((np.abs(flat(garment) - plain).max(axis=1) > 0.1).sum()))
    assert len(seen) > 3 * len(set(MOTIFS))


@pytest.mark.parametrize("pattern", PATTERNS)
def test_twenty_thousand_points_take_a_moment(pattern: Pattern) -> None:
    """The best of several: 1.5 ms is the budget, and a busy computer is no fault of the cloth."""
    garment = replace(SHIRT, pattern=pattern)
    flat(garment, n=20_000)
    rng = np.random.default_rng(0)
    across, up = rng.uniform(-0.4, 0.4, 20_000).astype(np.float32), rng.uniform(0, 0.6, 20_000).astype(np.float32)
    back, sleeve = np.abs(across) > 0.23, up > 0.5
    times = []
    for _ in range(10):
        start = perf_counter()
        cloth_color(garment, across, up, HEIGHT, back, sleeve)
        times.append(perf_counter() - start)
    assert min(times) < 0.005
