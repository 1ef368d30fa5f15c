"""The scene before a camera: the street behind the people, its light, and what occludes them.

A scene is a description, generated once for a camera and cheap to keep; :meth:`Scene.backdrop` paints the part of it
that a detector's box shows, by casting a ray through each pixel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from passerby.synthetic.render.camera import enlarge, make_camera, resample
from passerby.synthetic.render.view import Floats, View
from passerby.synthetic.settings import Difficulty, stream
from passerby.synthetic.street import paving
from passerby.synthetic.street.layout import Layout, Stripe, arrange
from passerby.synthetic.street.objects import Foot, Solid, hull, windows
from passerby.synthetic.street.paving import GroundKind
from passerby.synthetic.street.rays import Grid, Light, grid
from passerby.synthetic.street.surfaces import Texture
from passerby.synthetic.street.weather import Weather, ground_map, look_up, make_weather

FAR = 90.0
"""The meters beyond which everything is haze."""
COARSE = 4
"""The step of the pixels and rows for which shadows and dirt are looked up."""
_X, _Y = np.array([1, 0, 0], np.float32), np.array([0, 1, 0], np.float32)


class Backdrop(NamedTuple):
    """An image of the street without its people."""

    color: Floats
    """The linear radiance ``(h, w, 3)``, white in full light is about 1."""
    depth: Floats
    """The meters ``(h, w)`` along the camera's forward axis; infinite for the sky."""
    ground: NDArray[np.bool_]
    """The pixels ``(h, w)`` where a person's shadow may fall."""


@dataclass(frozen=True, eq=False)
class Scene:
    """The place that one camera looks at."""

    weather: Weather
    paving: Texture
    stripes: tuple[Stripe, ...]
    turn: float
    """The turn of the paving's mortar lines, radians."""
    dirt: Texture
    shadows: Floats
    """The map of shadows from :func:`ground_map`."""
    solids: tuple[Solid, ...]
    hulls: Floats
    """The hulls ``(n, 8, 3)`` of the solids."""
    feet: tuple[Foot, ...]
    """The footprints that people cannot walk through."""

    @property
    def light(self) -> Light:
        return self.weather.light

    def clear(self, x: float, y: float) -> bool:
        """Return whether a person may stand here: half a meter from everything, on this side of the walls."""
        at = np.float32(x), np.float32(y)
        return all(float(foot.distance(*at)) > 0.5 for foot in self.feet)

    def sunlit(self, x: float, y: float) -> float:
        """Return the share of the sun that reaches a person who stands here."""
        return float(look_up(self.shadows, np.array([x], np.float32), np.array([y], np.float32))[0, 0])

    def later(self, rng: np.random.Generator) -> Scene:
        """Return the same street at another moment: clouds and the camera's own exposure move its light a little."""
        sun, sky = np.exp(rng.normal(0, (0.15, 0.06))).astype(np.float32)
        light = replace(self.light, sun=self.light.sun * sun, sky=self.light.sky * sky)
        return replace(self, weather=replace(self.weather, light=light))

    def backdrop(self, view: View, size: tuple[int, int], extra: tuple[Solid, ...] = ()) -> Backdrop:
        """Render the street through a window of ``size`` (height, width) pixels, with ``extra`` things in it."""
        rays = grid(view, size)
        color, depth = self._ground(rays)
        ground = np.isfinite(depth)
        hulls = np.concatenate([self.hulls, *(hull(solid)[None] for solid in extra)])
        parts = zip(self.solids + extra, windows(hulls, view, size), strict=True)
        seen = [(solid, part) for solid, part in parts if part is not None]
        for solid, part in sorted(seen, key=lambda one: -_distance(one[0], view)):
            _compose(solid, rays.cut(*part), self.light, color[part], depth[part], ground[part])
        return Backdrop(color, depth, ground)

    def _ground(self, rays: Grid) -> tuple[Floats, Floats]:
        """Return color and depth of the bare ground and the sky over it."""
        down = rays.dot(np.array([0, 0, -1], np.float32))
        depth = rays.eye[2] / np.maximum(down, np.float32(rays.eye[2] / FAR))
        x, y = rays.eye[0] + depth * rays.dot(_X), rays.eye[1] + depth * rays.dot(_Y)
        footprint = depth * np.float32(rays.pixel) * np.sqrt(np.maximum(depth / rays.eye[2], 1))
        color = self._albedo(x, y, footprint)
        coarse = slice(COARSE // 2, None, COARSE)
        slow = self._slow(x[coarse, coarse], y[coarse, coarse])
        slow = resample(slow, enlarge(slow.shape[0], x.shape[0]), enlarge(slow.shape[1], x.shape[1]))
        color *= slow[..., :3]
        if self.weather.wet:
            color += slow[..., 3:]
        far = np.square(depth * np.float32(1 / FAR))[..., None]
        if far.max() > 0.02:
            color += (self.weather.haze - color) * far
        return color, np.where(down * FAR > rays.eye[2], depth, np.float32(np.inf))

    def _slow(self, x: Floats, y: Floats) -> Floats:
        """Return light and dirt by which the ground's color is multiplied, and the sky in its puddles: ``(..., 4)``.

        All of it changes slowly, so that a sixteenth of the pixels is enough.
        """
        share = look_up(self.shadows, x, y)
        dirt = self.dirt.sample(x, y, np.float32(0.05))
        light = share[..., :1] * (self.light.sun * self.light.towards[2]) + share[..., 1:2] * self.light.sky
        light = light * dirt[..., :1] + share[..., 2:] * self.weather.lamp
        if not self.weather.wet:
            return np.asarray(light, np.float32)
        wet = np.float32(self.weather.wet)
        far = np.maximum(y, 1).astype(np.float32)
        streak = self.dirt.sample(x / far * 25, y * np.float32(0.15), np.float32(0.2))[..., 1:2]
        shine = wet * np.float32(0.09) * (self.light.sky.mean() * dirt[..., 1:2] * (0.3 + streak))
        return np.concatenate([light * (1 - np.float32(0.4) * wet), shine], axis=2)

    def _albedo(self, x: Floats, y: Floats, footprint: Floats) -> Floats:
        """Return the paving with its stripes: ``(h, w, 3)``."""
        cosine, sine = np.float32(np.cos(self.turn)), np.float32(np.sin(self.turn))
        albedo = self.paving.sample(cosine * x + sine * y, cosine * y - sine * x, footprint)
        for stripe in self.stripes:
            across = x * stripe.normal[0] + y * stripe.normal[1]
            inside = (across >= stripe.start) & (across < stripe.end)
            if inside.any():
                along = y[inside] * stripe.normal[0] - x[inside] * stripe.normal[1]
                skin = 1 if stripe.skin is None else stripe.skin.sample(along, across[inside], footprint[inside])
                albedo[inside] = stripe.color * skin
        return albedo


def _distance(solid: Solid, view: View) -> float:
    """Return the distance of its nearest point, roughly: its footprint's distance from the eye."""
    return float(solid.foot().distance(view.eye[0], view.eye[1]))


def _compose(solid: Solid, rays: Grid, light: Light, color: Floats, depth: Floats, ground: NDArray[np.bool_]) -> None:
    """Paint a thing over what lies behind it, in place."""
    paint = solid.paint(rays, light)
    front = paint.depth < depth
    if not front.any():
        return
    if paint.alpha is None:
        np.copyto(color, paint.color, where=front[..., None])
        hidden = front
    else:
        alpha = (paint.alpha * front)[..., None]
        color += (paint.color - color) * alpha
        hidden = front & (paint.alpha > 0.5)
    np.copyto(depth, paint.depth, where=hidden)
    ground &= ~hidden


def _standing(layout: Layout) -> list[Foot]:
    """Return the footprints of everything at the height of people."""
    return [solid.foot() for solid, _ in layout.solids if solid.corners()[:, 2].min() < 2.2]


def _exposed(weather: Weather, tone: float, shadows: Floats) -> Weather:
    """Simulate the automatic exposure, which saw the whole street: dark ones come out brighter, not fully."""
    share = shadows[40:120, 60:130].mean(axis=(0, 1))
    light = weather.light
    bright = tone * float((share[0] * light.sun * light.towards[2] + share[1] * light.sky).mean())
    gain = np.float32((0.24 / max(bright, 0.01)) ** 0.6)
    light = replace(light, sun=light.sun * gain, sky=light.sky * gain)
    return replace(weather, light=light, haze=weather.haze * gain, lamp=weather.lamp * gain)


def make_scene(seed: int, camera: int, difficulty: Difficulty) -> Scene:
    """Generate the place that this camera watches in the world of this seed."""
    rng = stream(seed, "scene", camera)
    geometry = make_camera(seed, camera, difficulty)
    layout = arrange(rng, difficulty.background, *geometry.distances)
    weather = make_weather(stream(seed, "weather", camera), difficulty.light)
    kinds: tuple[GroundKind, ...] = ("slabs", "squares", "bricks", "asphalt", "concrete", "cobbles")
    kind = kinds[int(rng.choice(6, p=[0.28, 0.24, 0.14, 0.16, 0.12, 0.06]))]
    solids = tuple(solid for solid, _ in layout.solids)
    feet = tuple((solid.foot(), density) for solid, density in layout.solids)
    floor = paving.ground(kind, int(rng.integers(12)))
    shadows = ground_map(rng, feet, weather.light)
    return Scene(
        weather=_exposed(weather, float(floor.table[-1].mean()), shadows),
        paving=floor,
        stripes=tuple(layout.stripes),
        turn=float(rng.normal(0, 0.5)),
        dirt=paving.stains(int(rng.integers(8))),
        shadows=shadows,
        solids=solids,
        hulls=np.stack([hull(solid) for solid in solids]),
        feet=tuple(_standing(layout)),
    )
