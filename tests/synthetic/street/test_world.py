"""Pictures are functions of their numbers, and their labels are true."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from passerby.data.keypoints.skeleton import KEYPOINT_NAMES, OUTSIDE, PARTS, VISIBLE
from passerby.synthetic.people.describe import attributes
from passerby.synthetic.people.person import Person, Thing
from passerby.synthetic.settings import Settings
from passerby.synthetic.shot import Shot
from passerby.synthetic.street.world import World

CLEAN = {"quality": 0.0, "color": 0.0, "light": 0.0, "occluder": 0.0, "passerby": 0.0, "crop": 0.0}


@pytest.fixture(scope="module")
def shots() -> list[Shot]:
    world = World(Settings())
    return [world.shot(pid, camid, 0) for pid in range(20) for camid in range(3)]


def part(shot: Shot, *names: str) -> NDArray[np.bool_]:
    return np.isin(shot.labels.parts, [PARTS.index(n) for n in names])


def test_an_image_depends_on_nothing_but_its_numbers() -> None:
    one, other = World(Settings()), pickle.loads(pickle.dumps(World(Settings(people=9, images=9))))
    wanted = one.shot(4, 1, 2)
    other.shot(7, 1, 0)
    again = other.shot(4, 1, 2)
    np.testing.assert_array_equal(wanted.image, again.image)
    np.testing.assert_array_equal(wanted.labels.parts, again.labels.parts)
    assert (wanted.image != one.shot(4, 1, 3).image).any()
    assert (wanted.image != World(Settings(seed=1)).shot(4, 1, 2).image).any()


@pytest.mark.parametrize("size", [(128, 64), (256, 128), (160, 64)])
def test_images_have_the_size_that_was_asked(size: tuple[int, int]) -> None:
    shot = World(Settings(size=size)).shot(0, 0, 0)
    assert shot.image.shape == (*size, 3)
    assert shot.image.dtype == np.uint8
    assert shot.labels.parts.shape == size


def test_visible_keypoints_lie_in_the_mask(shots: list[Shot]) -> None:
    hits = [hit for shot in shots for hit in _visible_in_mask(shot)]
    assert len(hits) > 400
    assert np.mean(hits) >= 0.99


def _visible_in_mask(shot: Shot) -> Iterator[bool]:
    for (x, y), seen in zip(shot.labels.keypoints, shot.labels.visibility, strict=True):
        if seen == VISIBLE:
            yield bool(shot.labels.mask[int(y), int(x)])


def test_keypoints_outside_the_image_are_marked_so(shots: list[Shot]) -> None:
    for shot in shots:
        height, width = shot.labels.parts.shape
        x, y = shot.labels.keypoints.T
        outside = (x < 0) | (x >= width) | (y < 0) | (y >= height)
        np.testing.assert_array_equal(shot.labels.visibility == OUTSIDE, outside)


def test_heads_are_above_shoes_and_inside_the_box(shots: list[Shot]) -> None:
    for shot in shots:
        rows, columns = np.nonzero(shot.labels.mask)
        x0, y0, x1, y1 = shot.labels.box
        assert columns.min() >= x0 - 2
        assert columns.max() <= x1 + 2
        assert rows.min() >= y0 - 2
        assert rows.max() <= y1 + 2
        face, shoes = part(shot, "face", "hair"), part(shot, "shoes")
        if face.any() and shoes.any():
            assert np.nonzero(face)[0].mean() < np.nonzero(shoes)[0].mean()


def test_viewpoint_says_which_side_is_seen() -> None:
    world = World(Settings(changes={**CLEAN, "viewpoint": 1.0}))
    faces: dict[str, list[bool]] = {}
    for pid in range(24):
        shot = world.shot(pid, 0, 0)
        faces.setdefault(shot.labels.viewpoint, []).append(
            bool(shot.labels.visibility[KEYPOINT_NAMES.index("nose")] == VISIBLE)
        )
    assert np.mean(faces["front"]) > 0.9
    assert np.mean(faces["back"]) < 0.1
    left = [world.shot(p, 0, 0) for p in range(40) if world.shot(p, 0, 0).labels.viewpoint == "left"]
    ear = KEYPOINT_NAMES.index("left_ear")
    assert np.mean([s.labels.visibility[ear] == VISIBLE for s in left]) > 0.8


def person_without_things(world: World, pid: int) -> Person:
    who = world.person(pid)
    return replace(who, things=(), hat="none", glasses=False)


def changed(a: Shot, b: Shot) -> NDArray[np.bool_]:
    """Pixels that differ by more than rounding."""
    return np.abs(a.image.astype(int) - b.image.astype(int)).max(axis=2) > 2


def pair(first: Person, second: Person, camid: int = 1) -> tuple[Shot, Shot]:
    world = World(Settings(size=(256, 128), changes=CLEAN))
    return world.take(first, 5, camid, 0), world.take(second, 5, camid, 0)


def assert_only(a: Shot, b: Shot, *parts: str) -> None:
    """Check that something changed, and nothing outside those parts (of either image) and the blur around them."""
    difference = changed(a, b)
    allowed = binary_dilation(part(a, *parts) | part(b, *parts), iterations=5)
    assert difference.sum() > 20
    assert (difference & ~allowed).sum() <= 0.01 * difference.sum()


RED = (0.75, 0.1, 0.1)


@pytest.mark.parametrize(
    ("change", "parts"),
    [("upper", ("upper",)), ("lower", ("lower",)), ("hair", ("hair", "face")), ("shoes", ("shoes",))],
)
def test_a_color_changes_its_own_pixels_only(change: str, parts: tuple[str, ...]) -> None:
    world = World(Settings(changes=CLEAN))
    who = person_without_things(world, 12)
    outfit = who.outfits[0]
    if change == "hair":
        other = replace(who, hair=replace(who.hair, color=RED))
    else:
        dyed = replace(getattr(outfit, change), color=RED)
        other = replace(who, outfits=(replace(outfit, **{change: dyed}),))
    collar = ("arms",) if change == "upper" else ()
    assert_only(*pair(who, other), *parts, *collar)


def test_glasses_change_the_face_only() -> None:
    world = World(Settings(changes={**CLEAN, "viewpoint": 0.0}))
    who = person_without_things(world, 12)
    shots = [world.take(replace(who, glasses=worn), 5, 1, 0) for worn in (False, True)]
    difference = changed(*shots)
    assert difference.sum() >= 3
    assert not (difference & ~binary_dilation(part(shots[0], "face"), iterations=3)).any()


def test_a_hat_covers_the_head_only() -> None:
    who = person_without_things(World(Settings(changes=CLEAN)), 12)
    without, with_hat = pair(who, replace(who, hat="cap", hat_color=RED))
    assert part(with_hat, "hat").any()
    assert not part(without, "hat").any()
    assert attributes(replace(who, hat="cap"))["hat"] == 2
    assert attributes(who)["hat"] == 1
    assert_only(without, with_hat, "hat", "hair", "face")


@pytest.mark.parametrize("kind", ["backpack", "shoulder_bag", "handbag"])
def test_bags_are_rendered_and_described(kind: str) -> None:
    who = person_without_things(World(Settings(changes=CLEAN)), 12)
    thing = Thing(kind, RED, RED, "left")  # type: ignore[arg-type]
    without, with_bag = pair(who, replace(who, things=(thing,)))
    assert part(with_bag, "carried").sum() > 30
    assert not part(without, "carried").any()
    name = {"shoulder_bag": "bag"}.get(kind, kind)
    assert attributes(replace(who, things=(thing,)))[name] == 2
    assert attributes(who)[name] == 1
    difference = changed(without, with_bag) & ~binary_dilation(part(with_bag, "carried"), iterations=6)
    on_her = difference & (without.labels.mask | with_bag.labels.mask)
    assert on_her.sum() <= 0.02 * part(with_bag, "carried").sum(), "elsewhere a bag casts its shadow, on the ground"


def test_short_sleeves_bare_the_arms() -> None:
    who = person_without_things(World(Settings(changes=CLEAN)), 12)
    outfit = who.outfits[0]
    long, short = (replace(who, outfits=(replace(outfit, upper=replace(outfit.upper, length=x)),)) for x in (1.0, 0.3))
    a, b = pair(long, short)
    assert part(b, "arms").sum() > 1.5 * part(a, "arms").sum()
    assert attributes(long)["up"] == 1
    assert attributes(short)["up"] == 2
    assert_only(a, b, "upper", "arms")


def test_outfits_change_between_camera_halves_when_asked() -> None:
    world = World(Settings(two_outfits=True))
    assert [world.outfit(c) for c in range(6)] == [0, 0, 0, 1, 1, 1]
    assert len(world.person(0).outfits) == 2
    assert [World(Settings()).outfit(c) for c in range(6)] == [0] * 6


def test_occluders_and_passersby_are_never_part_of_the_mask() -> None:
    base = {**CLEAN, "quality": 0.0}
    clear, crowded = (World(Settings(changes={**base, "occluder": x, "passerby": x})) for x in (0.0, 1.0))
    hidden = 0
    for pid in range(8):
        a, b = clear.shot(pid, 0, 0), crowded.shot(pid, 0, 0)
        assert not (b.labels.mask & ~a.labels.mask).any()
        hidden += int((a.labels.mask & ~b.labels.mask).sum())
    assert hidden > 0
