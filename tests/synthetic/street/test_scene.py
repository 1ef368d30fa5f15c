"""The street behind the people: what it shows, where one may stand, and what hides people."""

import numpy as np
import pytest

from passerby.synthetic.render.camera import make_camera
from passerby.synthetic.render.view import Floats, View
from passerby.synthetic.settings import Difficulty, stream
from passerby.synthetic.street.objects import Box, Dome, Panel, Post, hull, windows
from passerby.synthetic.street.occluders import LEAST, MOST, hidden, occluder
from passerby.synthetic.street.rays import Light, grid
from passerby.synthetic.street.scene import Scene, make_scene
from passerby.synthetic.street.surfaces import Texture, noise, texture
from passerby.synthetic.street.weather import CELL, ORIGIN, look_up

SIZE = (64, 32)
NOON = Light(np.array([0, 0, 1], np.float32), np.ones(3, np.float32), np.ones(3, np.float32), 1.0)


def view(height: float = 3.0, pitch: float = 0.25, half: tuple[float, float] = (0.2, 0.4)) -> View:
    down = np.array([0, -np.sin(pitch), -np.cos(pitch)], np.float32)
    forward = np.array([0, np.cos(pitch), -np.sin(pitch)], np.float32)
    axes = np.stack([np.array([1, 0, 0], np.float32), down, forward])
    return View(np.array([0, 0, height], np.float32), axes, (-half[0], -half[1], half[0], half[1]))


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [make_scene(3, camera, Difficulty()) for camera in range(6)]


def places(scene: Scene, camera: int, count: int) -> list[Floats]:
    """Ground points where people of this camera may stand."""
    geometry, rng, found = make_camera(3, camera, Difficulty()), stream(3, "test", camera), []
    for _ in range(count * 20):
        x, y = rng.uniform(*geometry.lateral), rng.uniform(*geometry.distances)
        if scene.clear(x, y):
            found.append(np.array([x, y, 0], np.float32))
    assert len(found) >= 7 * count, "people need at least a third of the place"
    return found[:count]


def test_a_grid_has_the_rays_of_its_view() -> None:
    at = view()
    vector = np.array([0.3, -0.5, 0.8], np.float32)
    np.testing.assert_allclose(grid(at, SIZE).dot(vector), at.rays(SIZE) @ vector, atol=1e-5)


def test_backdrop_is_plausible_light_before_the_camera(scenes: list[Scene]) -> None:
    for scene in scenes:
        color, depth, ground = scene.backdrop(view(), SIZE)
        assert color.shape == (*SIZE, 3)
        assert color.dtype == depth.dtype == np.float32
        assert depth.shape == ground.shape == SIZE
        assert np.isfinite(color).all()
        assert color.min() >= 0
        assert 0.03 < color.mean() < 0.8
        assert depth.min() > 0
        assert not ground[~np.isfinite(depth)].any()


def test_the_ground_has_height_zero(scenes: list[Scene]) -> None:
    at = view()
    for scene in scenes:
        _, depth, ground = scene.backdrop(at, SIZE)
        points = at.eye + depth[ground][:, None] * at.rays(SIZE)[ground]
        np.testing.assert_allclose(points[:, 2], 0, atol=2e-3)


def test_same_seed_same_street_and_another_camera_another() -> None:
    first, again, other = (make_scene(1, camera, Difficulty()).backdrop(view(), SIZE).color for camera in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).mean() > 0.02


def test_a_moment_later_only_the_light_differs(scenes: list[Scene]) -> None:
    now, later = (scene.backdrop(view(), SIZE) for scene in (scenes[0], scenes[0].later(stream(0, "later"))))
    np.testing.assert_array_equal(now.depth, later.depth)
    assert 0.001 < np.abs(now.color - later.color).mean() < 0.2


def test_background_difficulty_empties_the_street() -> None:
    full = sum(len(make_scene(0, camera, Difficulty()).solids) for camera in range(6))
    bare = sum(len(make_scene(0, camera, Difficulty(background=0.0)).solids) for camera in range(6))
    assert bare < full / 2


def test_light_difficulty_at_zero_is_an_even_dry_day() -> None:
    for camera in range(6):
        scene = make_scene(0, camera, Difficulty(light=0.0))
        assert scene.light.shade == 0
        assert scene.weather.wet == 0
        assert scene.weather.lamp.max() == 0


def test_people_have_room_and_stand_inside_nothing(scenes: list[Scene]) -> None:
    for camera, scene in enumerate(scenes):
        for x, y, _ in places(scene, camera, 10):
            for foot in scene.feet:
                assert foot.distance(x, y) > 0.5
    assert not scenes[0].clear(*scenes[0].feet[0].center)


def test_shadow_map_is_read_between_its_texels() -> None:
    table = np.zeros((192, 192, 2), np.float32)
    table[10, 20] = 1
    x, y = ORIGIN[0] + 20.5 * CELL, ORIGIN[1] + 10.5 * CELL
    read = look_up(table, np.array([x, x + CELL / 2, x + CELL], np.float32), np.full(3, y, np.float32))
    np.testing.assert_allclose(read[:, 0], [1, 0.5, 0], atol=1e-3)


def test_occluders_hide_some_of_a_person_and_never_all(scenes: list[Scene]) -> None:
    eye = np.array([0, 0, 3], np.float32)
    shares = []
    for camera, scene in enumerate(scenes):
        for number, position in enumerate(places(scene, camera, 10)):
            shares.append(hidden(occluder(stream(0, "o", camera, number), position, eye, scene.clear), position, eye))
    assert min(shares) > LEAST / 2
    assert max(shares) <= MOST
    assert np.std(shares) > 0.05


def test_occluder_appears_before_what_it_hides(scenes: list[Scene]) -> None:
    position, at = np.array([0, 6, 0], np.float32), view()
    solids = occluder(stream(0, "o"), position, at.eye, scenes[0].clear)
    bare, with_it = scenes[0].backdrop(at, SIZE), scenes[0].backdrop(at, SIZE, solids)
    changed = np.abs(bare.color - with_it.color).max(axis=2) > 1e-4
    assert changed.any()
    assert (with_it.depth <= bare.depth + 1e-4).all()
    assert with_it.depth[changed].min() < 6


WHITE = texture(np.ones((2, 2, 3), np.float32), 1.0)
GRAY = np.full(3, 0.5, np.float32)
SOLIDS = (
    Panel(np.array([-0.5, 5, 0], np.float32), NOON.towards[[2, 1, 0]], NOON.towards, 1.0, 1.5, WHITE),
    Box(np.array([0, 5.5, 0], np.float32), np.array([1, 1, 1.5], np.float32), 0.0, None, GRAY),
    Post(np.array([0, 5.3, 0], np.float32), 0.3, 1.5, GRAY),
    Dome(np.array([0, 5.5, 0.5], np.float32), np.array([0.5, 0.5, 0.5], np.float32), GRAY, GRAY),
)


@pytest.mark.parametrize("solid", SOLIDS, ids=lambda one: type(one).__name__)
def test_rays_meet_a_solid_where_it_is(solid: Panel | Box | Post | Dome) -> None:
    """The ray straight ahead at a meter's height meets each front at y = 5."""
    ahead = view(height=1.0 if not isinstance(solid, Dome) else 0.5, pitch=0.0, half=(0.01, 0.01))
    paint = solid.paint(grid(ahead, (3, 3)), NOON)
    assert paint.depth[1, 1] == pytest.approx(5.0, abs=1e-3)


@pytest.mark.parametrize("solid", SOLIDS, ids=lambda one: type(one).__name__)
def test_a_solid_lies_within_its_window(solid: Panel | Box | Post | Dome) -> None:
    at, size = view(), (64, 64)
    (part,) = windows(hull(solid)[None], at, size)
    assert part is not None
    hit = np.isfinite(solid.paint(grid(at, size), NOON).depth)
    assert hit.any()
    outside = hit.copy()
    outside[part] = False
    assert not outside.any()


def test_what_lies_behind_the_camera_has_no_window() -> None:
    behind = Post(np.array([0, -5, 0], np.float32), 0.1, 2.0, GRAY)
    assert windows(hull(behind)[None], view(), SIZE) == [None]


def checks() -> Texture:
    board = (np.indices((8, 8)).sum(axis=0) % 2).astype(np.float32)
    return texture(np.repeat(board[..., None], 3, axis=2), 8.0)


def test_texture_repeats_and_fades_to_its_mean() -> None:
    zero = np.array([0.01], np.float32)
    board = checks()
    assert board.sample(zero, zero, 0.01)[0, 0] == 0
    assert board.sample(zero + 0.125, zero, 0.01)[0, 0] == 1
    np.testing.assert_array_equal(board.sample(zero - 3, zero + 2, 0.01), board.sample(zero, zero, 0.01))
    assert board.sample(zero, zero, 2.0)[0, 0] == pytest.approx(0.5)


def test_texture_wants_powers_of_two() -> None:
    with pytest.raises(ValueError, match="powers of two, got 3×4"):
        texture(np.zeros((3, 4, 3), np.float32), 1.0)


def test_noise_is_normal_and_periodic() -> None:
    field = noise(5, (64, 64), 1.5)
    assert field.std() == pytest.approx(1, abs=1e-3)
    inner = np.abs(np.diff(field, axis=0)).max()
    assert np.abs(field[0] - field[-1]).max() <= inner * 1.5
