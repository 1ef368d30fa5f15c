"""A person in the world: her identity, outfit, stance and position."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from passerby.synthetic.mannequin import figure
from passerby.synthetic.mannequin.gait import Array, Floats, Skeleton, Stance, openpose, pose
from passerby.synthetic.mannequin.paint import Painter
from passerby.synthetic.people.person import Outfit, Person
from passerby.synthetic.render.renderer import SPACING, Placed, place
from passerby.synthetic.render.view import View


@dataclass(frozen=True, eq=False)
class Actor:
    person: Person
    outfit: Outfit
    skeleton: Skeleton
    axes: Array
    """The axes ``(3, 3)``: rows right, front, up in the world."""
    position: Array
    """The position ``(3,)`` on the ground."""
    fold: float

    def keypoints(self) -> Floats:
        """Return the 18 keypoints in the world: ``(18, 3)``."""
        placed: Floats = (openpose(self.skeleton) @ self.axes + self.position).astype(np.float32)
        return placed

    def model(self, view: View, rows: int) -> Placed:
        """Return her surface, as fine as the pixels of a rendering ``rows`` high."""
        depth = float((self.position - view.eye) @ view.axes[2])
        meters = (view.window[3] - view.window[1]) * depth / rows
        mesh = figure.mesh(self.person, self.outfit, self.skeleton, SPACING * meters)
        painter = Painter(self.person, self.outfit, figure.skirt_drop(self.outfit, self.skeleton))
        return place(mesh, painter, self.axes, self.position, self.fold)


def act(person: Person, outfit: int, stance: Stance, axes: Array, position: Array, fold: float) -> Actor:
    """Place a person in the outfit of that number (the last one where there are fewer)."""
    worn = person.outfits[min(outfit, len(person.outfits) - 1)]
    return Actor(person, worn, pose(person.body, person.gait, stance), axes, position, fold)
