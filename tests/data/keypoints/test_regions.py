"""Eq 1 and 2 of Yang et al. (2019) against literal formulas, clamping, strips, and poses without regions."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from passerby.data.attributes.labels import read_attributes
from passerby.data.keypoints.regions import (
    PARTS,
    REGIONS,
    are_upright,
    body_frame,
    body_regions,
    clamp_rectangles,
    horizontal_strips,
)
from passerby.data.keypoints.skeleton import KEYPOINT_NAMES
from passerby.data.keypoints.skeleton import PARTS as LABELS
from passerby.data.registry import load
from passerby.errors import ConfigError, ShapeError, UnknownNameError

P = {
    1: ("nose", "neck", "right_eye", "left_eye", "right_ear", "left_ear"),
    2: (
        *("neck", "right_shoulder", "left_shoulder", "right_elbow", "left_elbow"),
        *("right_wrist", "left_wrist", "right_hip", "left_hip"),
    ),
    3: ("right_hip", "left_hip", "right_knee", "left_knee"),
    4: ("right_knee", "left_knee", "right_ankle", "left_ankle"),
}


def upright(n: int = 6, seed: int = 0) -> NDArray[np.float64]:
    """Return keypoints of people 100 pixels high, moved at random."""
    heights = {"nose": 12, "neck": 22, "hip": 52, "knee": 73, "ankle": 92, "elbow": 38, "wrist": 50, "shoulder": 23}
    heights |= {"eye": 10, "ear": 11}
    generator = np.random.default_rng(seed)
    keypoints = generator.normal(scale=3, size=(n, 18, 2))
    keypoints[:, :, 0] += 30
    keypoints[:, :, 1] += [heights[name.split("_")[-1]] for name in KEYPOINT_NAMES]
    return keypoints


def literal(
    person: NDArray[np.float64], share: float, P: dict[int, tuple[str, ...]] = P
) -> list[tuple[float, float, float, float]]:
    x = {name: float(place[0]) for name, place in zip(KEYPOINT_NAMES, person, strict=True)}
    y = {name: float(place[1]) for name, place in zip(KEYPOINT_NAMES, person, strict=True)}
    low = {i: min(y[j] for j in names) for i, names in P.items()}
    high = {i: max(y[j] for j in names) for i, names in P.items()}
    H = 4 / 3 * high[4] - 1 / 3 * low[4] - (2 * low[1] - high[1])
    x_c = sum(x.values()) / 18
    x_l, x_r = min(x_c - H / 4, *x.values()), max(x_c + H / 4, *x.values())
    beta = share * H
    top, sole = 2 * low[1] - high[1], 4 / 3 * high[4] - 1 / 3 * low[4]
    return [
        (x_l, top, x_r, sole),
        (x_l, top, x_r, high[1] + beta),
        (x_l, low[2] - beta, x_r, high[2] + beta),
        (x_l, low[3] - beta, x_r, high[3] + beta),
        (x_l, low[4] - beta, x_r, sole),
    ]


@pytest.mark.parametrize("share", [0.0, 1 / 10, 3 / 48])
def test_eq_1_and_2_are_the_literal_formulas(share: float) -> None:
    keypoints = upright()
    keypoints[1, KEYPOINT_NAMES.index("left_wrist"), 0] = 99  # stretched out of the frame that H alone gives
    keypoints[2, KEYPOINT_NAMES.index("right_ankle"), 0] = -40
    regions = body_regions(keypoints, overlap=share)
    for person, rectangles in zip(keypoints, regions, strict=True):
        assert rectangles.tolist() == [pytest.approx(r, abs=1e-10) for r in literal(person, share)]


def test_the_face_alone_is_an_option_with_the_former_regions() -> None:
    keypoints = upright()
    regions = body_regions(keypoints, head="face")
    face = P | {1: tuple(name for name in P[1] if name != "neck")}
    for person, rectangles in zip(keypoints, regions, strict=True):
        assert rectangles.tolist() == [pytest.approx(r, abs=1e-10) for r in literal(person, 0.1, face)]
    assert (regions[:, 0, 1] > body_regions(keypoints)[:, 0, 1]).all()  # the crown is cut


def test_neighbors_touch_without_overlap() -> None:
    keypoints = upright(200)
    bottoms, tops = body_regions(keypoints, overlap=0)[:, 1:4, 3], body_regions(keypoints, overlap=0)[:, 2:5, 1]
    assert (bottoms >= tops).all()
    straight = upright(1)
    heights = {"neck": 22, "shoulder": 23, "elbow": 38, "wrist": 49, "hip": 52, "knee": 73, "ankle": 92}
    for place, name in enumerate(KEYPOINT_NAMES):
        straight[0, place, 1] = heights.get(name.split("_")[-1], 11)
    regions = body_regions(straight, overlap=0)[0]
    assert regions[1:4, 3].tolist() == regions[2:5, 1].tolist() == [22, 52, 73]  # neck, hips and knees are the borders


@pytest.mark.usefixtures("_no_shape_checker")  # of the renderer, which it would slow down
def test_heads_of_synthetic_people_lie_within_the_body_and_its_head() -> None:
    people = load("pedestrians:people=30,cameras=2,images=1,size=128x64,seed=4")
    samples = list({sample.pid: sample for sample in (*people.train, *people.query)}.values())
    attributes = read_attributes(people.source)
    hats = attributes.of_all(samples)[:, attributes.schema.index("hat")] == 1
    chosen = [*np.flatnonzero(hats)[:4], *np.flatnonzero(~hats)[:8]]
    inside, pixels = np.zeros(2), 0
    for labels in (people.source.labels(samples[row].path) for row in chosen):
        y, x = np.nonzero(np.isin(labels.parts, [LABELS.index(part) for part in ("hair", "face", "hat")]))
        left, top, right, bottom = body_regions(labels.keypoints[None].astype(np.float64))[0, :2].T[..., None]
        within = (left <= x) & (x + 1 <= right) & (top <= y + 0.5) & (y + 0.5 <= bottom)
        inside += within.sum(axis=1)
        pixels += len(y)
    assert hats.sum() >= 3
    assert (inside >= 0.99 * pixels).all()


def test_the_papers_overlap_is_the_default() -> None:
    assert np.array_equal(body_regions(upright()), body_regions(upright(), overlap=0.1))


def test_by_hand() -> None:
    keypoints = np.zeros((1, 18, 2))
    keypoints[..., 0] = 50
    height = {"nose": 14, "neck": 24, "hip": 54, "knee": 75, "ankle": 90, "elbow": 40, "wrist": 55, "shoulder": 26}
    height |= {"eye": 12, "ear": 13}
    keypoints[0, :, 1] = [height[name.split("_")[-1]] for name in KEYPOINT_NAMES]
    assert body_frame(keypoints).H.tolist() == pytest.approx([95])  # from 2·12 − 24 = 0 to 4/3·90 − 1/3·75 = 95
    whole, head, body, upper, lower = body_regions(keypoints)[0].tolist()
    assert whole == pytest.approx([26.25, 0, 73.75, 95])
    assert head == pytest.approx([26.25, 0, 73.75, 24 + 9.5])
    assert body == pytest.approx([26.25, 24 - 9.5, 73.75, 55 + 9.5])
    assert upper == pytest.approx([26.25, 54 - 9.5, 73.75, 75 + 9.5])
    assert lower == pytest.approx([26.25, 75 - 9.5, 73.75, 95])


def test_regions_are_those_of_the_paper() -> None:
    assert PARTS == ("head", "upper_body", "upper_leg", "lower_leg")
    for i, name in enumerate(PARTS, start=1):
        assert {KEYPOINT_NAMES[place] for place in REGIONS[name]} == set(P[i])
    assert {place for name in PARTS for place in REGIONS[name]} == set(REGIONS["whole_body"])
    for above, below in pairwise(PARTS):
        assert set(REGIONS[above]) & set(REGIONS[below]), f"{above} and {below} share the keypoints of their border"


@given(st.floats(0.2, 5), st.floats(-50, 50), st.floats(-50, 50))
def test_regions_move_and_grow_with_the_person(scale: float, dx: float, dy: float) -> None:
    keypoints = upright(2)
    move = np.array([dx, dy])
    moved = body_regions(keypoints * scale + move)
    assert np.allclose(moved, body_regions(keypoints) * scale + np.tile(move, 2), atol=1e-8)


def test_a_mirrored_person_has_mirrored_regions() -> None:
    keypoints = upright()
    regions, mirrored = body_regions(keypoints), body_regions(keypoints * [-1, 1])
    assert np.allclose(mirrored, regions[..., [2, 1, 0, 3]] * [-1, 1, -1, 1])


def test_clamping_keeps_what_lies_inside_and_a_pixel_of_what_does_not() -> None:
    rectangles = np.array(
        [[5, 6, 20, 30], [-5, -6, 20, 30], [50, 100, 90, 200], [70, 5, 90, 9], [-9, -9, -3, -4], [4, 130, 9, 150]],
        np.float64,
    )
    expected = [
        [5, 6, 20, 30],
        [0, 0, 20, 30],
        [50, 100, 64, 128],
        [63, 5, 64, 9],
        [0, 0, 1, 1],
        [4, 127, 9, 128],
    ]
    assert clamp_rectangles(rectangles, (128, 64)).tolist() == expected


@given(st.lists(st.floats(-300, 300), min_size=4, max_size=4))
def test_a_clamped_rectangle_is_always_one_inside(numbers: list[float]) -> None:
    x0, y0, x1, y1 = clamp_rectangles(np.array(numbers), (128, 64)).tolist()
    assert 0 <= x0 < x1 <= 64
    assert 0 <= y0 < y1 <= 128
    assert x1 - x0 >= 1 - 1e-9
    assert y1 - y0 >= 1 - 1e-9


def test_strips_are_quarters_from_top_to_bottom() -> None:
    strips = horizontal_strips(2, (128, 64))
    assert strips.shape == (2, 4, 4)
    assert strips[1].tolist() == [[0, 0, 64, 32], [0, 32, 64, 64], [0, 64, 64, 96], [0, 96, 64, 128]]


def test_no_people_are_no_error() -> None:
    assert body_regions(np.zeros((0, 18, 2))).shape == (0, 5, 4)


def test_poses_without_regions_are_errors() -> None:
    with pytest.raises(ShapeError, match=r"expected keypoints \(n, 18, 2\).*got \(18, 2\)"):
        body_regions(upright()[0])
    missing = upright()
    missing[3, 4, 1] = np.nan
    with pytest.raises(ShapeError, match=r"row 3 .* fill missing ones first"):
        body_regions(missing)
    falling = upright()
    falling[2] = falling[2] * [1, -1]
    assert are_upright(falling).tolist() == [True, True, False, True, True, True]
    with pytest.raises(ShapeError, match=r"row 2 is -\d.* ankles are not below its head"):
        body_regions(falling)
    with pytest.raises(ShapeError, match=r"row 0 is 0\.0 pixels high"):
        body_regions(np.zeros((1, 18, 2)))
    with pytest.raises(UnknownNameError, match=r"unknown head region 'neckk'.*Did you mean neck"):
        body_regions(upright(), head="neckk")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"overlap is a share of the body's height from 0, got -0\.1"):
        body_regions(upright(), overlap=-0.1)
