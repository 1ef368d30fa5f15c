from __future__ import annotations

import numpy as np
import pytest

from passerby.synthetic.mannequin.loft import Mesh, Tube, capped, loft, stacked

AXES = np.array([[1.0, 0, 0], [0, 1.0, 0]])


def pipe(spacing: float = 0.01, radius: float = 0.1, material: int = 0) -> Tube:
    spine = stacked((0.0, 0.5, 1.0), np.array([[0, 0, 0], [0, 0, 0.5], [0, 0, 1.0]]), AXES)
    return loft(spine, np.full(3, radius), np.full(3, radius), spacing=spacing, material=material)


def ball(spacing: float = 0.01) -> Tube:
    heights = np.cos(np.linspace(np.pi - 0.05, 0.05, 15))
    spine = stacked(heights, 0.2 * heights[:, None] * [0, 0, 1.0], AXES)
    radius = 0.2 * np.sqrt(1 - heights**2)
    return capped(spine, radius, radius, spacing=spacing, material=1)


def test_normals_point_outwards() -> None:
    tube = pipe()
    radial = tube.points * [1, 1, 0]
    np.testing.assert_allclose(tube.normals, radial / np.linalg.norm(radial, axis=-1, keepdims=True), atol=1e-3)


def test_a_ball_is_round_and_its_normals_are_radii() -> None:
    tube = ball()
    length = np.linalg.norm(tube.points, axis=-1)
    assert length == pytest.approx(0.2, rel=0.03)
    inner = tube.points[3:-3]
    cosine = np.sum(inner / np.linalg.norm(inner, axis=-1, keepdims=True) * tube.normals[3:-3], axis=-1)
    assert cosine.min() > 0.98


@pytest.mark.parametrize("tube", [pipe(), ball()])
def test_no_gap_is_wider_than_the_spacing_allows(tube: Tube) -> None:
    along = np.linalg.norm(np.diff(tube.points, axis=0), axis=-1)
    around = np.linalg.norm(tube.points - np.roll(tube.points, 1, axis=1), axis=-1)
    assert max(along.max(), around.max()) < 1.35 * 0.01


def test_a_piece_ends_where_it_should() -> None:
    spine = stacked((0.0, 0.5, 1.0), np.array([[0, 0, 0], [0, 0, 0.5], [0, 0, 1.0]]), AXES)
    piece = loft(spine, np.full(3, 0.1), np.full(3, 0.1), spacing=0.01, material=0, start=0.25, end=0.75)
    assert piece.points[..., 2].min() == pytest.approx(0.25, abs=1e-3)
    assert piece.points[..., 2].max() == pytest.approx(0.75, abs=1e-3)


def test_look_up_finds_the_tube_and_the_place_of_every_point() -> None:
    mesh = Mesh()
    mesh.add(pipe(0.05, material=3))
    mesh.add(pipe(0.04, radius=0.2, material=5), owner=1)
    points, _ = mesh.points()
    found = mesh.look_up(np.arange(len(points)))
    first = mesh.tubes[0].points[..., 0].size
    assert (found.material == np.where(np.arange(len(points)) < first, 3, 5)).all()
    assert (found.owner == np.where(np.arange(len(points)) < first, -1, 1)).all()
    np.testing.assert_allclose(found.along, points[:, 2], atol=1e-5)
    np.testing.assert_allclose(np.arctan2(points[:, 0], points[:, 1]), found.angle, atol=1e-4)
