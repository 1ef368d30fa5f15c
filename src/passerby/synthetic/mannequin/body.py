"""The mannequin's torso, limbs and feet as lofted tubes in the clothes that cover them.

Radii are shares of the body's height; the cloth's air is in meters.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from passerby.synthetic.mannequin.gait import ANKLE_HEIGHT, FOOT, Array, Skeleton
from passerby.synthetic.mannequin.loft import Spine, Tube, loft, stacked
from passerby.synthetic.mannequin.materials import Material
from passerby.synthetic.people.person import Body, Garment, Outfit

TORSO = (-0.045, 0.0, 0.05, 0.10, 0.17, 0.225, 0.258, 0.280, 0.302, 0.320)
"""The heights of the torso's rings over the hips."""
TORSO_WIDTH = (0.068, 0.094, 0.094, 0.081, 0.088, 0.096, 0.100, 0.093, 0.064, 0.034)
TORSO_DEPTH = (0.058, 0.069, 0.068, 0.061, 0.066, 0.069, 0.062, 0.050, 0.042, 0.036)
TORSO_FRONT = (-0.006, -0.006, -0.004, 0.002, 0.004, 0.006, 0.002, -0.002, -0.004, 0.004)
"""The distance of each ring's center before the spine."""
FEMALE_WIDTH = (1.04, 1.06, 1.02, 0.89, 0.90, 0.95, 0.95, 0.95, 0.95, 0.9)
FEMALE_BUST = (0.0, 0.0, 0.0, 0.0, 0.004, 0.014, 0.004, 0.0, 0.0, 0.0)
WAIST = 0.10
"""The height where the torso bends."""
WAISTBAND = 0.085
"""The height where the lower garment begins."""
CHEST = 0.225
"""The height where the torso is deepest."""
TUCKED = 0.02
"""The meters below the hips that an upper garment must fall not to be tucked in."""
SKIRTS = ("skirt", "dress")
ARM = (-0.12, 0.0, 0.12, 0.26, 0.53, 0.64, 0.98, 1.06, 1.16, 1.32)
"""The stations of the arm: 0 the shoulder, 0.53 the elbow, 1 the wrist."""
ARM_RADIUS = (0.020, 0.0255, 0.0275, 0.0265, 0.0235, 0.025, 0.0155, 0.018, 0.021, 0.009)
LEG = (-0.10, 0.0, 0.12, 0.27, 0.51, 0.66, 0.92, 1.0)
"""The stations of the leg: 0 the hip, 0.51 the knee, 1 the ankle."""
LEG_RADIUS = (0.046, 0.050, 0.048, 0.044, 0.033, 0.0345, 0.0215, 0.021)


def torso_spine(s: Skeleton, heights: Array, stations: Array | None = None) -> Spine:
    """Return the rings of the torso at ``heights`` over the hips, shares of the body's height."""
    waist = s.pelvis + WAIST * s.height * s.pelvis_axes[2]
    low = s.pelvis + heights[:, None] * s.height * s.pelvis_axes[2]
    high = waist + (heights[:, None] - WAIST) * s.height * s.chest_axes[2]
    bend = np.clip((heights - 0.02) / 0.2, 0, 1)[:, None]
    right, front = ((1 - bend) * s.pelvis_axes[i] + bend * s.chest_axes[i] for i in (0, 1))
    names = heights if stations is None else stations
    return Spine(tuple(names.tolist()), np.where((heights > WAIST)[:, None], high, low), right, front)


def torso_radii(body: Body) -> tuple[Array, Array, Array]:
    """Return half widths, half depths and forward shifts of the torso's rings, meters."""
    girth = body.height * body.girth
    width, depth = np.asarray(TORSO_WIDTH) * girth, np.asarray(TORSO_DEPTH) * girth
    broad = np.interp(
        TORSO, (-0.05, 0.05, 0.12, 0.25), (body.hips, body.hips, (body.hips + body.shoulders) / 2, body.shoulders)
    )
    width *= broad
    shift = np.asarray(TORSO_FRONT) * body.height
    if body.gender == "female":
        width *= np.asarray(FEMALE_WIDTH)
        if body.age >= 2:
            depth += np.asarray(FEMALE_BUST) * 0.5 * girth
            shift += np.asarray(FEMALE_BUST) * 0.5 * girth
    belly = (body.belly - 1) * np.exp(-((np.asarray(TORSO) - 0.10) ** 2) / 0.008) * 0.06 * girth
    return width + 0.5 * belly, depth + belly, shift + 0.7 * belly


def torso(body: Body, outfit: Outfit, s: Skeleton, spacing: float) -> Tube:
    """Build the torso from the crotch to the neck, in the upper garment above the waist and the lower below."""
    heights = np.asarray(TORSO)
    spine = torso_spine(s, heights)
    width, depth, shift = torso_radii(body)
    air = outfit.upper.loose * np.interp(heights, (0.08, 0.16, 0.25, 0.29), (1.0, 0.75, 0.25, 0.05))
    below = 0.4 * outfit.lower.loose if outfit.upper.hem <= TUCKED else 0.0
    air = np.where(heights < 0.08, below, air)
    spine = replace(spine, centers=spine.centers + shift[:, None] * spine.front)
    wide, deep = (_hung(radii + air, outfit.upper) for radii in (width, depth))
    tube = loft(spine, wide, deep, spacing=spacing, material=Material.UPPER, power=2.3)
    tube.material[tube.share < WAISTBAND] = Material.LOWER
    return tube


def _hung(cloth: Array, garment: Garment) -> Array:
    """Make loose cloth fall straight from the chest instead of following the waist; tucked in, it gathers there."""
    straight = float(np.clip((garment.loose - 0.006) / 0.018, 0, 1)) * (1.0 if garment.hem > TUCKED else 0.4)
    heights = np.asarray(TORSO)
    chest = float(cloth[heights == CHEST][0])
    fall = np.where((heights > WAISTBAND) & (heights < CHEST), 0.97 * chest, 0.0)
    return cloth + straight * np.maximum(fall - cloth, 0)


def limb(stations: tuple[float, ...], points: Array, forward: Array) -> Spine:
    """Return a spine through ``points`` whose front is as near to ``forward`` as may be."""
    along = np.gradient(points, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-9
    front = forward - (along @ forward)[:, None] * along
    front /= np.linalg.norm(front, axis=1, keepdims=True) + 1e-9
    return Spine(stations, points, np.cross(front, -along), front)


def polyline(stations: tuple[float, ...], knots: tuple[float, ...], points: Array) -> Array:
    """Return the points at ``stations`` of the polyline through ``points`` at ``knots``; its ends go straight on."""
    line = np.stack([np.interp(stations, knots, points[:, i]) for i in range(3)], axis=1)
    for i, station in enumerate(stations):
        if station < knots[0]:
            line[i] = points[0] + (station - knots[0]) / (knots[1] - knots[0]) * (points[1] - points[0])
    return line


def arm(body: Body, garment: Garment, s: Skeleton, side: int, spacing: float) -> list[Tube]:
    """Build the bare arm with its hand, and the sleeve over it; ``side`` is 0 for the right."""
    knots = (0.0, 0.53, 1.0, 1.32)
    line = polyline(ARM, knots, np.stack([s.shoulders[side], s.elbows[side], s.wrists[side], s.hands[side]]))
    inward = (1.0 if side else -1.0) * s.height * s.chest_axes[0]
    line[0] = s.shoulders[side] + 0.042 * inward + 0.010 * s.height * s.chest_axes[2]
    line[1] += 0.011 * inward
    spine = limb(ARM, line, s.chest_axes[1])
    slender = 0.92 if body.gender == "female" else 1.0
    radius = np.asarray(ARM_RADIUS) * s.height * (0.4 + 0.6 * body.girth) * slender
    flat = np.where(np.asarray(ARM) > 1.03, 0.55, 1.0)
    bare_from = max(garment.length - 0.06, ARM[0]) if garment.length < 0.98 else 0.94
    tubes = [loft(spine, radius * flat, radius, spacing=spacing, material=Material.ARM, start=bare_from)]
    if garment.length > 0.02:
        wide = radius + _sleeve_air(garment)
        end = min(garment.length, 1.0)
        tubes.append(loft(spine, wide, wide, spacing=spacing, material=Material.SLEEVE, end=end))
    return tubes


def _sleeve_air(garment: Garment) -> Array:
    """Return the meters between arm and cloth; short sleeves stand off at their edge."""
    air = garment.loose * np.interp(ARM, (-0.1, 0.1, 0.4, 0.9, 1.0), (0.05, 0.25, 0.6, 0.6, 0.4)) + 0.003
    if garment.length < 0.7:
        air += 0.010 * np.clip(np.asarray(ARM) / max(garment.length, 0.05), 0, 1)
    return air


def leg_line(s: Skeleton, side: int) -> Array:
    """Return the centers of the leg's rings ``(m, 3)``."""
    line = polyline(LEG, (0.0, 0.51, 1.0), np.stack([s.hips[side], s.knees[side], s.ankles[side]]))
    line[0] = s.hips[side] + 0.02 * s.height * s.pelvis_axes[2]
    return line


def leg(
    body: Body, garment: Garment, s: Skeleton, side: int, spacing: float, *, drop: float, boots: bool
) -> list[Tube]:
    """Build the bare leg and, where trousers or shorts cover it, the cloth; ``side`` is 0 for the right.

    Under a skirt the leg begins shortly above the edge, ``drop`` meters below the hips.
    """
    line = leg_line(s, side)
    spine = limb(LEG, line, s.pelvis_axes[1])
    radius = np.asarray(LEG_RADIUS) * s.height * body.girth
    skirt = garment.kind in SKIRTS
    tubes = []
    if skirt or garment.length < 0.95:
        edge = float(np.interp(drop, s.pelvis[2] - line[1:, 2], LEG[1:])) if skirt else garment.length
        start = max(edge - 0.08, 0.0)
        bare = loft(spine, radius, radius, spacing=spacing, material=Material.LEG, start=start)
        if boots:
            bare.material[bare.share > 0.62] = Material.SHOE
        tubes.append(bare)
    if not skirt:
        air = _trouser_air(garment)
        end = min(garment.length, 1.0) + 0.02
        cloth = loft(spine, radius + air, radius + 1.1 * air, spacing=spacing, material=Material.TROUSER, end=end)
        tubes.append(cloth)
    return tubes


def _trouser_air(garment: Garment) -> Array:
    """Return the meters between leg and cloth: trousers hang straight from the thigh, leggings follow the leg."""
    if garment.kind == "leggings":
        return garment.loose * np.interp(LEG, (0.0, 0.4, 0.66, 1.0), (0.5, 0.9, 1.1, 0.5))
    hanging = np.interp(LEG, (0.3, 0.51, 0.9, 1.0), (0.0, 0.006, 0.016, 0.02))
    return hanging + garment.loose * np.interp(LEG, (0.0, 0.4, 0.66, 1.0), (0.5, 0.9, 1.1, 1.7))


SHOE = (0.0, 0.1, 0.3, 0.55, 0.8, 0.95, 1.0)
SHOE_WIDTH = (0.010, 0.018, 0.021, 0.024, 0.028, 0.019, 0.006)
SHOE_HALF_HEIGHT = (0.014, 0.026, 0.030, 0.023, 0.016, 0.012, 0.006)


def shoe(s: Skeleton, side: int, spacing: float, *, slim: bool) -> Tube:
    """Build a shoe from heel to toe, flat on its sole."""
    forward = s.toes[side]
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    up = np.cross(right, forward)
    scale = s.height * (0.85 if slim else 1.08)
    half = np.asarray(SHOE_HALF_HEIGHT) * scale
    sole = s.ankles[side] - ANKLE_HEIGHT * s.height * up
    length = FOOT * s.height * 1.08
    centers = sole + (np.asarray(SHOE) - 0.26)[:, None] * length * forward + half[:, None] * up
    spine = stacked(SHOE, centers, np.stack([right, up]))
    return loft(spine, np.asarray(SHOE_WIDTH) * scale, half, spacing=spacing, material=Material.SHOE, power=2.4)


def skirt(
    body: Body, garment: Garment, s: Skeleton, *, top: float, drop: float, under: float, flare: float,
    material: int, spacing: float,
) -> Tube:  # fmt: skip
    """Build cloth that hangs from the torso at height ``top`` (share) to ``drop`` meters below the hips.

    It goes around both legs and the ``under`` meters of cloth on them, and widens by ``flare`` of its looseness.
    """
    falling = np.array([1.0, 0.8, 0.6, 0.4, 0.2]) if drop > 0.25 else np.array([1.0, 0.5])
    levels = np.concatenate([-drop * falling, [0.0, 0.05 * s.height, top * s.height]])
    heights = levels / s.height
    spine = torso_spine(s, heights, np.round(levels, 4))
    width, depth, shift = (np.interp(heights, TORSO, v) for v in torso_radii(body))
    hip = float(width.max())
    beneath = under * (heights < top)  # the top ring lies inside the torso, so that no edge stands off
    width, depth = width + 0.3 * beneath, depth + 0.7 * beneath
    for i in np.flatnonzero(levels < 0.02):
        x, y, half_x, half_y = _around_legs(body, s, float(levels[i]))
        spine.centers[i] = s.pelvis + np.array([x, y, levels[i]]) @ s.pelvis_axes
        width[i], depth[i], shift[i] = max(half_x + 0.4 * under, 0.9 * hip), max(half_y + under, 0.6 * hip), 0.0
    falls = np.clip((top - heights) / max(top - heights[0], 1e-3), 0, 1)
    air = garment.loose * (0.55 + flare * falls) + 0.004
    spine = replace(spine, centers=spine.centers + shift[:, None] * spine.front)
    return loft(spine, width + air, depth + air, spacing=spacing, material=material, power=2.2)


def _around_legs(body: Body, s: Skeleton, level: float) -> tuple[float, float, float, float]:
    """Return middle and half extents, in the pelvis's axes, of both legs ``level`` meters over the hips."""
    spots, radii = [], []
    for side in (0, 1):
        line = (leg_line(s, side) - s.pelvis) @ s.pelvis_axes.T
        share = float(np.interp(-level, -line[1:, 2], LEG[1:]))
        spots.append([float(np.interp(share, LEG, line[:, i])) for i in (0, 1)])
        radii.append(float(np.interp(share, LEG, LEG_RADIUS)) * s.height * body.girth)
    (x0, y0), (x1, y1) = spots
    radius = max(radii)
    return (x0 + x1) / 2, (y0 + y1) / 2, abs(x0 - x1) / 2 + radius, abs(y0 - y1) / 2 + radius
