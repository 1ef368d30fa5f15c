"""A whole person as one mesh: body, clothes, head and what is carried."""

from __future__ import annotations

import numpy as np

from passerby.synthetic.mannequin import body as bodies
from passerby.synthetic.mannequin.carried import carry
from passerby.synthetic.mannequin.gait import Skeleton
from passerby.synthetic.mannequin.head import hair, hat, neck, skull
from passerby.synthetic.mannequin.loft import Mesh, Tube, loft, stacked
from passerby.synthetic.mannequin.materials import Material
from passerby.synthetic.people.person import Outfit, Person


def mesh(person: Person, outfit: Outfit, skeleton: Skeleton, spacing: float) -> Mesh:
    """Build her surface with points ``spacing`` meters apart, in her own axes."""
    body, s = person.body, skeleton
    made = Mesh()
    made.add(bodies.torso(body, outfit, s, spacing))
    drop, boots = skirt_drop(outfit, s), outfit.shoes.kind == "boots"
    for side in (0, 1):
        made.add(*bodies.arm(body, outfit.upper, s, side, spacing))
        made.add(*bodies.leg(body, outfit.lower, s, side, spacing, drop=drop, boots=boots))
        made.add(bodies.shoe(s, side, spacing, slim=outfit.shoes.kind in ("heels", "sandals")))
    made.add(*_hanging(person, outfit, s, spacing))
    made.add(neck(s, body.girth, spacing), skull(s, spacing), *hair(person.hair, s, spacing), *hat(person, s, spacing))
    depth = float(bodies.torso_radii(body)[1][5]) + outfit.upper.loose
    for number, thing in enumerate(person.things):
        made.add(*carry(thing, s, depth, spacing), owner=number)
    return made


def _hanging(person: Person, outfit: Outfit, s: Skeleton, spacing: float) -> list[Tube]:
    """Build the skirt, the upper garment below the waist, and the hood."""
    body, upper, lower = person.body, outfit.upper, outfit.lower
    tubes = []
    if lower.kind in ("skirt", "dress"):
        drop = skirt_drop(outfit, s)
        tubes.append(
            bodies.skirt(
                body, lower, s, top=0.105, drop=drop, under=0.0, flare=0.75, material=Material.TROUSER, spacing=spacing
            )
        )
    if upper.kind != "dress" and upper.hem > bodies.TUCKED:
        under = lower.loose * (1.3 if lower.kind == "skirt" else 1.0) + 0.010
        tubes.append(
            bodies.skirt(
                body, upper, s, top=0.125, drop=upper.hem, under=under, flare=0.5, material=Material.UPPER,
                spacing=spacing,
            )
        )  # fmt: skip
    if outfit.hood:
        tubes.append(_hood(s, spacing))
    return tubes


def skirt_drop(outfit: Outfit, s: Skeleton) -> float:
    """Return the meters from the hips to the lower edge of a skirt or dress."""
    return float(s.pelvis[2] - s.ankles[:, 2].min()) * min(outfit.lower.length, 0.98)


def _hood(s: Skeleton, spacing: float) -> Tube:
    """Build a hood that lies on the back of the neck."""
    stations = np.array([-1.0, -0.6, 0.0, 0.6, 1.0])
    right, front, up = s.chest_axes * s.height
    centers = (
        s.neck - 0.030 * front - 0.004 * up + stations[:, None] * 0.062 * right + (stations**2)[:, None] * 0.03 * front
    )
    spine = stacked(stations, centers, s.chest_axes[1:])
    width, depth = np.array([0.01, 0.026, 0.032, 0.026, 0.01]), np.array([0.012, 0.028, 0.034, 0.028, 0.012])
    return loft(spine, width * s.height, depth * s.height, spacing=spacing, material=Material.HOOD)
