"""The world of one setting: any image of it, each rendered by itself."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from passerby.synthetic.files import frame_number, outfit_of
from passerby.synthetic.mannequin.gait import Array
from passerby.synthetic.people.actor import Actor, act
from passerby.synthetic.people.people import make_passerby, make_person
from passerby.synthetic.people.person import Person
from passerby.synthetic.people.walk import any_stance, facing, walk
from passerby.synthetic.render.annotate import annotate
from passerby.synthetic.render.camera import Camera, develop, make_camera
from passerby.synthetic.render.detector import detect, eye_of
from passerby.synthetic.render.renderer import Canvas, render_person
from passerby.synthetic.render.view import View
from passerby.synthetic.settings import Settings, stream
from passerby.synthetic.shot import Shot
from passerby.synthetic.street.occluders import occluder
from passerby.synthetic.street.rays import Light
from passerby.synthetic.street.scene import Scene, make_scene

FINE = 192
"""The least number of rows of a rendering: a smaller image is rendered finer, and its edges come out soft."""
TOGETHER = 0.3
"""The share of the passers-by who walk beside the person."""


class World:
    """A renderer of any image of one dataset. It holds nothing but its settings."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def person(self, pid: int) -> Person:
        """Return the person with this number (from 0)."""
        return _person(replace(self.settings, **_ANY_SIZE), pid)

    def outfit(self, camid: int) -> int:
        """Return which outfit people wear before this camera."""
        return outfit_of(self.settings, camid)

    def shot(self, pid: int, camid: int, number: int) -> Shot:
        """Render an image with its labels; all three numbers count from 0."""
        return self.take(self.person(pid), pid, camid, number)

    def take(self, person: Person, pid: int, camid: int, number: int) -> Shot:
        """Render the image with ``person`` in the place of person ``pid``."""
        settings, difficulty = self.settings, self.settings.difficulty
        camera, always = _place(replace(settings, **_ANY_SIZE), camid)
        rng = stream(settings.seed, "shot", pid, camid, number)
        scene = always.later(rng) if difficulty.light > 0 else always
        moment = walk(settings, pid, camid, number, camera, scene)
        whole = eye_of(camera)
        position = np.array([*moment.position, 0.0])
        axes = facing(position, whole.eye, moment.heading)
        actor = act(person, self.outfit(camid), moment.stance, axes, position, moment.fold)
        view = detect(rng, whole, actor.keypoints(), person.body.height, difficulty.crop)
        canvas = self._street(rng, scene, view, position)
        if rng.random() < difficulty.passerby:
            other = self._companion(stream(settings.seed, "passerby", pid, camid, number), actor, view)
            render_person(canvas, other.model(view, canvas.size[0]), view, _light(scene, other), subject=False)
        surface = actor.model(view, canvas.size[0])
        render_person(canvas, surface, view, _light(scene, actor), subject=True)
        image = develop(
            canvas.color, camera, stream(settings.seed, "sensor", pid, camid, number),
            distance=float(np.hypot(*moment.position)), size=settings.size,
        )  # fmt: skip
        time = frame_number(settings, pid, camid, number)
        labels = annotate(
            canvas, surface, actor.keypoints(), view, settings.size, heading=moment.heading, camid=camid, time=time
        )
        return Shot(image, camera.quality, labels)

    def _street(self, rng: np.random.Generator, scene: Scene, view: View, position: Array) -> Canvas:
        """Render the street without people, with an occluder where the difficulty wants one."""
        height, width = self.settings.size
        hides = rng.random() < self.settings.difficulty.occluder
        extra = occluder(rng, position.astype(np.float32), view.eye, scene.clear) if hides else ()
        fine = max(FINE, height) / height
        return Canvas.over(scene.backdrop(view, self.settings.size, extra), (round(height * fine), round(width * fine)))

    def _companion(self, rng: np.random.Generator, actor: Actor, view: View) -> Actor:
        """Generate a passer-by: beside, behind or (rarely) before the person."""
        other = make_passerby(self.settings.seed, *rng.integers(0, 2**31, 2).tolist())
        ahead = float(rng.choice([-0.5, 1.0], p=[0.15, 0.85]) * rng.uniform(0.5, 4.0))
        aside = float(rng.choice([-1.0, 1.0]) * rng.uniform(0.45, 1.1) * (1.0 + 0.1 * max(ahead, 0.0)))
        spot = actor.position + np.array([aside, ahead, 0.0])
        alone = facing(spot, view.eye, float(rng.uniform(-np.pi, np.pi)))
        axes = actor.axes if rng.random() < TOGETHER else alone
        return act(other, 0, any_stance(rng), axes, spot, float(rng.random()))


def _light(scene: Scene, actor: Actor) -> Light:
    """Return the scene's light where a person stands: in a building's shadow there is no sun."""
    lit = scene.sunlit(float(actor.position[0]), float(actor.position[1]))
    return replace(scene.light, sun=scene.light.sun * np.float32(lit), shade=scene.light.shade * lit)


_ANY_SIZE: dict[str, Any] = {"people": 1, "images": 1, "size": (128, 64), "separate_cameras": False}
"""The settings that people and places do not depend on: datasets that differ in these share the caches below."""


@lru_cache(maxsize=4096)
def _person(settings: Settings, pid: int) -> Person:
    return make_person(settings, pid)


@lru_cache(maxsize=64)
def _place(settings: Settings, camid: int) -> tuple[Camera, Scene]:
    return make_camera(settings.seed, camid, settings.difficulty), make_scene(settings.seed, camid, settings.difficulty)
