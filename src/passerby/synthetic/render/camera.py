"""A street camera: its geometry, and how it turns light into the small, noisy, over-sharpened images it stores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from passerby.synthetic.render.view import Floats
from passerby.synthetic.settings import Difficulty, stream


@dataclass(frozen=True, eq=False)
class Camera:
    """The constants of one camera."""

    height: float
    """The meters above the ground."""
    pitch: float
    """The radians that it looks down."""
    distances: tuple[float, float]
    """The meters to the nearest and farthest people."""
    lateral: tuple[float, float]
    """The meters to the left and right of its axis where they walk."""
    exposure: float
    white: Floats
    """The gain ``(3,)`` of each color."""
    matrix: Floats
    """The sensor's crosstalk ``(3, 3)`` between colors, rows sum to 1."""
    contrast: float
    """The slope of the tone curve's middle, 1 is the plain one."""
    gamma: float
    saturation: float
    black: float
    """The haze that lifts the shadows, 0…1."""
    blur: float
    """The standard deviation of the blur in pixels of an image 128 high."""
    sharpening: float
    """The strength of the halo at edges."""
    noise: float
    """The standard deviation of the noise in the stored image, 0…1."""
    native_height: int
    """The pixels that a person spans at the middle distance, before the crop is enlarged."""
    quality: int
    """The JPEG quality."""
    wobble: float
    """The standard deviation of the automatic exposure, stops."""


def _color(rng: np.random.Generator, strength: float) -> dict[str, Any]:
    """Generate how this camera's colors differ from another's."""
    warm, green = rng.normal(0.03, 0.065) * strength, rng.normal(-0.01, 0.02) * strength
    cross = np.eye(3) + rng.normal(0, 0.04, (3, 3)) * strength
    return {
        "exposure": float(2 ** (0.15 + rng.normal(0, 0.36) * strength)),
        "white": np.asarray(np.exp([warm, green, -warm]), np.float32),
        "matrix": np.asarray(cross / cross.sum(axis=1, keepdims=True), np.float32),
        "contrast": float(np.exp(0.08 + rng.normal(0, 0.16) * strength)),
        "gamma": float(2.2 * np.exp(rng.normal(0, 0.08) * strength)),
        "saturation": float(np.clip(1 + rng.normal(-0.05, 0.25) * strength, 0.35, 1.6)),
        "black": float(rng.uniform(0, 0.08) * strength) if rng.random() < 0.6 else 0.0,
        "wobble": 0.12 * strength,
    }


def _loss(rng: np.random.Generator, strength: float) -> dict[str, Any]:
    """Generate what its lens, sensor and storage lose."""
    return {
        "blur": float(0.2 + abs(rng.normal(0.15, 0.35)) * strength),
        "sharpening": float(rng.uniform(0.3, 1.8) * min(strength, 1.5)),
        "noise": float(0.003 + rng.gamma(2.0, 0.0025) * strength),
        "native_height": int(np.clip(210 * np.exp(-rng.uniform(0.1, 1.15) * strength), 45, 220)),
        "quality": int(np.clip(92 - rng.uniform(0, 38) * strength, 25, 95)),
    }


def make_camera(seed: int, camera: int, difficulty: Difficulty) -> Camera:
    """Generate camera number ``camera`` in the world of ``seed``."""
    rng = stream(seed, "camera", camera)
    near = float(rng.uniform(4.0, 6.5))
    far = float(near + rng.uniform(3.0, 7.5))
    height = float(np.clip(rng.gamma(4.0, 0.22) + 2.05, 2.1, 4.8))
    return Camera(
        height=height,
        pitch=float(np.arctan2(height - 0.9, 0.5 * (near + far)) + rng.normal(0, 0.03)),
        distances=(near, far),
        lateral=(-2.6, 2.6),
        **_color(stream(seed, "colour", camera), difficulty.color),
        **_loss(stream(seed, "quality", camera), difficulty.quality),
    )


def _spread(count: int, places: Floats, sigma: float) -> Floats:
    """Return weights ``(places, count)`` that blur ``count`` pixels and read them at ``places``; rows sum to 1."""
    distance = places[:, None] - (np.arange(count, dtype=np.float32) + 0.5)[None, :]
    weights = np.exp(np.float32(-0.5) * (distance / np.float32(max(sigma, 0.3))) ** 2)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def enlarge(count: int, wanted: int) -> Floats:
    """Return cubic interpolation (Keys 1981, a = −½) from ``count`` pixels, ``(wanted, count)``; rows sum to 1."""
    places = (np.arange(wanted, dtype=np.float32) + np.float32(0.5)) * np.float32(count / wanted)
    away = np.abs(places[:, None] - (np.arange(count, dtype=np.float32) + np.float32(0.5))[None, :])
    near = (1.5 * away - 2.5) * away * away + 1
    far = ((-0.5 * away + 2.5) * away - 4) * away + 2
    weights = np.where(away < 1, near, np.where(away < 2, far, np.float32(0)))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def resample(image: Floats, down: Floats, across: Floats) -> Floats:
    """Apply a matrix to the columns and another to the rows of ``(h, w, 3)``."""
    high = np.tensordot(down, image, axes=(1, 0))
    return np.ascontiguousarray(np.moveaxis(np.tensordot(high, across, axes=(1, 1)), 2, 1))


def _tone(linear_light: Floats, camera: Camera) -> Floats:
    """Turn linear light into stored values 0…1: gamma, an S about the middle gray, lifted blacks, a soft shoulder."""
    light = np.maximum(linear_light, 0)
    soft = np.where(light < 0.7, light, 0.7 + 0.3 * np.tanh((light - 0.7) / 0.45))
    stored = soft ** np.float32(1 / camera.gamma)
    stored = 0.45 + (stored - 0.45) * np.float32(camera.contrast)
    gray = stored @ np.array([0.299, 0.587, 0.114], np.float32)
    stored = gray[..., None] + (stored - gray[..., None]) * np.float32(camera.saturation)
    return np.asarray(camera.black + (1 - camera.black) * stored, np.float32)


def _sharpen(image: Floats, strength: float) -> Floats:
    """Add what a 5×5 blur takes away, which leaves halos."""
    if strength <= 0:
        return image
    rows = np.pad(image, ((2, 2), (2, 2), (0, 0)), mode="edge")
    rows = rows[:-4] + 4 * (rows[1:-3] + rows[3:-1]) + 6 * rows[2:-2] + rows[4:]
    mean = rows[:, :-4] + 4 * (rows[:, 1:-3] + rows[:, 3:-1]) + 6 * rows[:, 2:-2] + rows[:, 4:]
    detail = np.clip(image - mean * np.float32(1 / 256), -0.15, 0.15)
    return np.asarray(image + np.float32(strength) * detail, np.float32)


def _grain(rng: np.random.Generator, rows: int, columns: int) -> Floats:
    """Generate noise ``(rows, columns, 3)`` of variance about 1, mostly of brightness, correlated between pixels."""
    white = rng.standard_normal((rows + 1, columns + 1, 4), np.float32)
    soft = white[1:, 1:] + np.float32(0.7) * (white[:-1, 1:] + white[1:, :-1])
    return np.asarray(soft[..., :1] * np.float32(0.65) + soft[..., 1:] * np.float32(0.3), np.float32)


def develop(
    radiance: Floats, camera: Camera, rng: np.random.Generator, *, distance: float, size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Return the image of ``size`` (height, width) that the camera stores of linear light ``(h', w', 3)``.

    The light may be finer than the image. People ``distance`` meters away are seen with fewer pixels when it is far.
    """
    height, width = size
    middle = sum(camera.distances) / 2
    native = min(camera.native_height * 1.1 * middle / max(distance, 1.0) / height, 1.0)
    rows, columns = max(round(height * native), 16), max(round(width * native), 8)
    sigma = float(np.hypot(camera.blur * height / 128, 0.45 / native))
    motion = abs(float(rng.normal(0, 0.4))) * camera.blur * height / 128
    seen = resample(
        radiance,
        _read(radiance.shape[0], rows, sigma / height),
        _read(radiance.shape[1], columns, (sigma + motion) / width),
    )
    stored = _tone((seen * (camera.white * np.float32(_gain(camera, rng)))) @ camera.matrix.T, camera)
    stored = _sharpen(stored, camera.sharpening) + _grain(rng, rows, columns) * np.float32(camera.noise)
    if (rows, columns) != (height, width):
        stored = resample(stored, enlarge(rows, height), enlarge(columns, width))
    image: NDArray[np.uint8] = np.clip(stored * 255 + 0.5, 0, 255).astype(np.uint8)
    return image


def _gain(camera: Camera, rng: np.random.Generator) -> float:
    """Generate the exposure of one image: the automatic one wobbles, and now and then lets too much in."""
    gain = camera.exposure * 2 ** float(rng.normal(0, camera.wobble))
    return gain * 1.5 if rng.random() < 0.4 * camera.wobble else gain


def _read(count: int, wanted: int, sigma: float) -> Floats:
    """Return weights ``(wanted, count)`` that blur by ``sigma``, a share of the whole, and read even places."""
    return _spread(count, (np.arange(wanted, dtype=np.float32) + 0.5) * np.float32(count / wanted), sigma * count)
