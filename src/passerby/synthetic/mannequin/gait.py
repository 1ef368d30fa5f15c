"""The way a body stands and walks: a skeleton from the angles of a walking cycle.

The cycle's angles follow the sagittal curves that clinical gait analysis prints for an average adult
(Winter, *Biomechanics and Motor Control of Human Movement*): heel strike at phase 0, toe-off near 0.62.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from passerby.synthetic.people.person import Body, Gait

Floats = NDArray[np.float32]
Array = NDArray[np.float64]

PHASE = (0.0, 0.07, 0.15, 0.3, 0.4, 0.5, 0.6, 0.72, 0.85, 0.93, 1.0)
HIP = (30.0, 29.0, 24.0, 8.0, -3.0, -10.0, -6.0, 16.0, 31.0, 32.0, 30.0)
"""The flexion of the hip in degrees."""
KNEE = (5.0, 14.0, 18.0, 9.0, 6.0, 13.0, 38.0, 61.0, 28.0, 8.0, 5.0)
ANKLE = (2.0, -5.0, 2.0, 8.0, 11.0, 6.0, -16.0, -5.0, 1.0, 2.0, 2.0)
"""The angle of the ankle in degrees, toes up."""
HIP_HEIGHT, THIGH, SHANK, ANKLE_HEIGHT, FOOT = 0.52, 0.245, 0.235, 0.04, 0.152
"""The lengths as shares of the body's height, as all below (Drillis and Contini's segment table, rounded)."""
HIP_HALF, SHOULDER_HALF, SHOULDER_UP, NECK_UP = 0.046, 0.102, 0.264, 0.315
UPPER_ARM, FOREARM, HAND, HEAD = 0.168, 0.148, 0.10, 0.137


@dataclass(frozen=True)
class Stance:
    """The part of a pose that changes from image to image; angles in radians."""

    phase: float
    walking: float
    """The share of full stride: 0 stands still, 1 walks."""
    head_yaw: float = 0.0
    head_pitch: float = 0.0
    sway: float = 0.0
    """The side, −1…1, on which a standing person puts her weight."""


@dataclass(frozen=True, eq=False)
class Skeleton:
    """The skeleton in the person's axes (x right, y forward, z up; feet on z = 0), meters, each point ``(3,)``.

    Pairs are ``(2, 3)``: right, then left.
    """

    pelvis: Array
    chest: Array
    """The middle of the shoulder line."""
    neck: Array
    """The base of the neck."""
    head: Array
    """The middle of the skull."""
    pelvis_axes: Array
    """The axes ``(3, 3)`` of the pelvis: rows right, front, up; so also of chest and head."""
    chest_axes: Array
    head_axes: Array
    shoulders: Array
    elbows: Array
    wrists: Array
    hands: Array
    """The fingertips."""
    hips: Array
    knees: Array
    ankles: Array
    toes: Array
    """The unit vectors ``(2, 3)`` from heel to toe."""
    height: float
    head_size: float
    """The distance from chin to crown, meters."""


def rotation(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> Array:
    """Return the turned axes right, front, up as rows: yaw to the left, pitch forward, roll to the right."""
    cy, sy, cp, sp, cr, sr = (f(a) for a in (yaw, pitch, roll) for f in (np.cos, np.sin))
    turn = np.array([[cy, sy, 0], [-sy, cy, 0], [0, 0, 1.0]])
    tilt = np.array([[1.0, 0, 0], [0, cp, -sp], [0, sp, cp]])
    lean = np.array([[cr, 0, -sr], [0, 1.0, 0], [sr, 0, cr]])
    axes: Array = lean @ tilt @ turn
    return axes


def pose(body: Body, gait: Gait, stance: Stance) -> Skeleton:
    """Return the skeleton of a body in a stance."""
    cycle = 2 * np.pi * stance.phase
    walking = stance.walking * gait.stride
    pelvis_axes = rotation(yaw=0.09 * walking * np.cos(cycle), roll=0.03 * np.sin(cycle) * walking + 0.05 * stance.sway)
    chest_axes = rotation(
        yaw=-0.10 * walking * gait.arms * np.cos(cycle), pitch=gait.lean, roll=-0.02 * np.sin(cycle) * walking
    )
    legs = body.legs
    hips, knees, ankles, toes = _legs(body, gait, stance, pelvis_axes)
    soles = ankles[:, 2] - ANKLE_HEIGHT * body.height - np.maximum(0, -toes[:, 2]) * 0.75 * FOOT * body.height
    lift = -soles.min() + 0.004 * gait.bounce
    for points in (hips, knees, ankles):
        points[:, 2] += lift
    pelvis = hips.mean(axis=0)
    torso = body.height * (1 - (legs - 1) * HIP_HEIGHT / (1 - HIP_HEIGHT))
    spine = pelvis + 0.10 * torso * pelvis_axes[2]
    chest = spine + (SHOULDER_UP - 0.10) * torso * chest_axes[2]
    neck = spine + (NECK_UP - 0.10) * torso * chest_axes[2]
    half = SHOULDER_HALF * body.height * body.shoulders
    shoulders = chest + np.array([[half], [-half]]) * chest_axes[0]
    elbows, wrists, hands = _arms(body, gait, stance, shoulders, chest_axes)
    head_axes = rotation(yaw=stance.head_yaw, pitch=gait.lean * 0.5 + stance.head_pitch)
    size = HEAD * body.height * body.head
    head = neck + 0.030 * torso * (chest_axes[2] + 0.35 * chest_axes[1]) + 0.5 * size * head_axes[2]
    return Skeleton(
        pelvis, chest, neck, head, pelvis_axes, chest_axes, head_axes, shoulders, elbows, wrists, hands,
        hips, knees, ankles, toes, body.height, size,
    )  # fmt: skip


def _legs(body: Body, gait: Gait, stance: Stance, axes: Array) -> tuple[Array, Array, Array, Array]:
    """Return hips, knees, ankles ``(2, 3)`` with the pelvis at the origin, and the directions of the feet."""
    scale = body.height * body.legs
    sides = np.array([1.0, -1.0])
    hips = sides[:, None] * HIP_HALF * body.height * body.hips * axes[0]
    phases = (stance.phase + np.array([0.0, 0.5])) % 1
    w = stance.walking
    flex = w * np.interp(phases, PHASE, HIP) * gait.stride + (1 - w) * (4 + 6 * np.maximum(0, sides * stance.sway))
    bend = w * np.interp(phases, PHASE, KNEE) + (1 - w) * (5 + 14 * np.maximum(0, sides * stance.sway))
    foot = w * np.interp(phases, PHASE, ANKLE) + (1 - w) * (bend - flex)
    flex, bend, foot = (np.radians(a) for a in (flex, bend, foot))
    spread = sides * (0.015 + 0.09 * (1 - w))
    thigh = np.stack([spread, np.sin(flex), -np.cos(flex)], axis=1)
    shank = np.stack([spread * 0.3, np.sin(flex - bend), -np.cos(flex - bend)], axis=1)
    pitch = flex - bend + foot
    out = sides * gait.turnout
    toes = np.stack([np.sin(out) * np.cos(pitch), np.cos(out) * np.cos(pitch), np.sin(pitch)], axis=1)
    knees = hips + THIGH * scale * thigh
    ankles = knees + SHANK * scale * shank
    return hips, knees, ankles, toes


def _arms(body: Body, gait: Gait, stance: Stance, shoulders: Array, axes: Array) -> tuple[Array, Array, Array]:
    """Return elbows, wrists and fingertips, each ``(2, 3)``."""
    sides = np.array([1.0, -1.0])
    swing = -np.cos(2 * np.pi * (stance.phase + np.array([0.0, 0.5]))) * stance.walking * gait.arms
    flex, bend = np.radians(-2 + 20 * swing), np.radians(16 + 12 * np.maximum(0, swing) + 6 * gait.arms)
    away, inward = np.full(2, 0.13 * max(body.girth, 0.9)), np.full(2, 0.06)
    for hand in _resting_hands(gait):
        flex[hand], bend[hand], away[hand], inward[hand] = RESTS[gait.hands]
    upper = np.stack([sides * np.sin(away), np.sin(flex) * np.cos(away), -np.cos(flex) * np.cos(away)], axis=1)
    lower = np.stack(
        [sides * (np.sin(away) * 0.4 - np.sin(inward)), np.sin(flex + bend) * np.cos(inward),
         -np.cos(flex + bend) * np.cos(inward)], axis=1
    )  # fmt: skip
    lower /= np.linalg.norm(lower, axis=1, keepdims=True)
    elbows = shoulders + UPPER_ARM * body.height * (upper @ axes)
    wrists = elbows + FOREARM * body.height * (lower @ axes)
    return elbows, wrists, wrists + HAND * 0.85 * body.height * (lower @ axes)


RESTS: dict[str, tuple[float, float, float, float]] = {
    "pockets": (-0.30, 0.75, 0.34, 0.30),
    "front": (0.20, 1.75, 0.10, 0.55),
    "strap": (0.10, 2.45, 0.25, 0.30),
}
"""The flexion of the shoulder, of the elbow, upper arm away from the torso, forearm inwards; radians."""


def _resting_hands(gait: Gait) -> tuple[int, ...]:
    """Return which arms do not swing: both hands go into pockets, one holds a strap or a thing."""
    return {"swing": (), "pockets": (0, 1), "front": (0,), "strap": (1,)}[gait.hands]


def openpose(skeleton: Skeleton) -> Array:
    """Return the 18 keypoints of :data:`~passerby.data.keypoints.skeleton.KEYPOINT_NAMES`: ``(18, 3)``."""
    s = skeleton
    right, front, up = s.head_axes * s.head_size
    nose = s.head + 0.46 * front - 0.10 * up
    eyes = s.head + 0.36 * front + 0.02 * up + np.array([[0.14], [-0.14]]) * right
    ears = s.head - 0.02 * up + np.array([[0.33], [-0.33]]) * right
    sides = [np.stack([a[i] for a in trio]) for trio in ((s.shoulders, s.elbows, s.wrists), (s.hips, s.knees, s.ankles))
             for i in (0, 1)]  # fmt: skip
    return np.concatenate([[nose, s.shoulders.mean(axis=0)], *sides, eyes, ears])
