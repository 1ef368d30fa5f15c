from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from passerby.data.keypoints.skeleton import KEYPOINT_NAMES
from passerby.synthetic.mannequin import figure
from passerby.synthetic.mannequin.gait import Stance, openpose, pose
from passerby.synthetic.people.people import make_person
from passerby.synthetic.people.person import Body, Gait
from passerby.synthetic.settings import Settings

BODY = Body("male", 3, 1.76, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, (0.8, 0.6, 0.5))
WALK = Gait(stride=1.0, arms=1.0, lean=0.03, bounce=1.0, turnout=0.1)
PHASES = np.linspace(0, 1, 9)[:-1]


@pytest.mark.parametrize("phase", PHASES)
def test_bones_keep_their_length(phase: float) -> None:
    standing, walking = pose(BODY, WALK, Stance(0.0, 0.0)), pose(BODY, WALK, Stance(float(phase), 1.0))
    for a, b in (("hips", "knees"), ("knees", "ankles"), ("shoulders", "elbows"), ("elbows", "wrists")):
        lengths = [np.linalg.norm(getattr(s, b) - getattr(s, a), axis=1) for s in (standing, walking)]
        np.testing.assert_allclose(lengths[0], lengths[1], rtol=0.01)


@pytest.mark.parametrize("phase", PHASES)
def test_half_a_cycle_later_the_other_leg_is_there(phase: float) -> None:
    now, later = pose(BODY, WALK, Stance(float(phase), 1.0)), pose(BODY, WALK, Stance(float(phase + 0.5) % 1, 1.0))
    mirrored = later.knees[::-1] * [-1, 1, 1]
    np.testing.assert_allclose(now.knees, mirrored, atol=0.02)


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("walking", [0.0, 1.0])
def test_feet_stand_on_the_ground_and_the_head_is_at_body_height(phase: float, walking: float) -> None:
    person = make_person(Settings(changes={"clothes": 0.0}), 3)
    person = replace(person, body=BODY, gait=WALK, things=(), hat="none", hair=replace(person.hair, style="bald"))
    skeleton = pose(BODY, WALK, Stance(float(phase), walking))
    points, _ = figure.mesh(person, person.outfits[0], skeleton, 0.02).points()
    assert abs(points[:, 2].min()) < 0.03
    assert points[:, 2].max() == pytest.approx(BODY.height, rel=0.06)


def test_openpose_keypoints_are_on_their_sides() -> None:
    keypoints = openpose(pose(BODY, WALK, Stance(0.0, 0.0)))
    for name, point in zip(KEYPOINT_NAMES, keypoints, strict=True):
        if name.startswith("right"):
            assert point[0] > 0, name
        elif name.startswith("left"):
            assert point[0] < 0, name
    by_name = dict(zip(KEYPOINT_NAMES, keypoints, strict=True))
    assert by_name["nose"][1] > by_name["right_ear"][1], "the nose is before the ears"
    heights = [by_name[f"left_{n}"][2] for n in ("eye", "shoulder", "elbow", "hip", "knee", "ankle")]
    assert heights == sorted(heights, reverse=True)


def test_hands_at_rest_do_not_swing() -> None:
    still = replace(WALK, hands="pockets")
    spread = [np.ptp([pose(BODY, g, Stance(float(p), 1.0)).wrists[:, 1] for p in PHASES]) for g in (WALK, still)]
    assert spread[1] < 0.3 * spread[0]
