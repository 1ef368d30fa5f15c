"""From light to the image that a street camera keeps."""

from dataclasses import replace

import numpy as np
import pytest

from passerby.synthetic.render.camera import Camera, develop, enlarge, make_camera
from passerby.synthetic.render.view import Floats
from passerby.synthetic.settings import Difficulty, stream

CALM = Difficulty(color=0.0, quality=0.0)


def step(high: float = 0.6, size: tuple[int, int] = (128, 64)) -> Floats:
    """Dark on the left, light on the right."""
    radiance = np.full((*size, 3), 0.1, np.float32)
    radiance[:, size[1] // 2 :] = high
    return radiance


def shot(camera: Camera, radiance: Floats, number: int = 0, distance: float = 8.0) -> Floats:
    image = develop(
        radiance, camera, stream(0, "shot", number), distance=distance, size=(radiance.shape[0], radiance.shape[1])
    )
    return image.astype(np.float32)


def test_same_camera_same_shot_same_image() -> None:
    camera = make_camera(0, 1, Difficulty())
    np.testing.assert_array_equal(shot(camera, step()), shot(camera, step()))
    assert (shot(camera, step()) != shot(camera, step(), 1)).any()


def test_picture_has_the_size_and_type_that_were_asked() -> None:
    light = step(size=(256, 128))
    image = develop(light, make_camera(0, 0, Difficulty()), stream(0, "shot"), distance=8.0, size=(256, 128))
    assert image.shape == (256, 128, 3)
    assert image.dtype == np.uint8


def test_geometry_is_that_of_a_street_camera() -> None:
    for number in range(50):
        camera = make_camera(7, number, Difficulty())
        assert 2.0 <= camera.height <= 5.0
        assert 0 < camera.pitch < 0.8
        assert 4.0 <= camera.distances[0] < camera.distances[1] <= 14.0
        assert 45 <= camera.native_height <= 220


def test_more_light_is_never_darker() -> None:
    camera = replace(make_camera(0, 0, CALM), noise=0.0)
    values = [shot(camera, np.full((64, 32, 3), light, np.float32)).mean() for light in (0, 0.05, 0.2, 0.5, 0.9, 2)]
    assert values == sorted(values)
    assert values[0] < 10
    assert values[-1] > 245


def test_color_difficulty_at_zero_makes_all_cameras_alike() -> None:
    gray = np.full((64, 32, 3), 0.25, np.float32)
    calm = [shot(make_camera(0, number, CALM), gray).mean(axis=(0, 1)) for number in range(4)]
    varied = [shot(make_camera(0, number, Difficulty(quality=0.0)), gray).mean(axis=(0, 1)) for number in range(4)]
    assert np.ptp(calm, axis=0).max() < 1.5
    assert np.ptp(varied, axis=0).max() > 15


def test_quality_difficulty_blurs() -> None:
    def steepest(difficulty: Difficulty, number: int) -> float:
        image = shot(replace(make_camera(0, number, difficulty), noise=0.0, sharpening=0.0), step())
        return float(np.abs(np.diff(image, axis=1)).max())

    fine, worn = (
        [steepest(Difficulty(color=0.0, quality=strength), number) for number in range(6)] for strength in (0.0, 1.5)
    )
    assert np.mean(worn) < np.mean(fine) * 0.6


def test_far_people_lose_more_detail() -> None:
    camera = replace(make_camera(0, 0, CALM), native_height=90, noise=0.0, distances=(6.0, 10.0))
    near, far = (np.abs(np.diff(shot(camera, step(), distance=at), axis=1)).max() for at in (6.0, 14.0))
    assert far < near


def test_sharpening_leaves_halos() -> None:
    camera = replace(make_camera(0, 0, CALM), noise=0.0)
    flat, sharp = (shot(replace(camera, sharpening=strength), step(0.3)) for strength in (0.0, 1.5))
    assert sharp.max() > flat.max() + 5
    assert sharp.min() < flat.min() - 5


@pytest.mark.parametrize("counts", [(32, 128), (50, 256), (64, 64)])
def test_enlarging_keeps_a_ramp(counts: tuple[int, int]) -> None:
    """Cubic interpolation is exact for straight lines, except within two pixels of the rim."""
    few, many = counts
    ramp = enlarge(few, many) @ (np.arange(few, dtype=np.float32) + 0.5)
    wanted = (np.arange(many) + 0.5) * few / many
    rim = 2 * many // few + 1
    np.testing.assert_allclose(ramp[rim:-rim], wanted[rim:-rim], atol=1e-3)
