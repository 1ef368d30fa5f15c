"""PCK by hand."""

from __future__ import annotations

import math

import pytest
import torch

from passerby.metrics.pck import keypoint_distances, keypoint_heights, pck, summary


def test_distances_are_in_units_of_the_image_height() -> None:
    """A shift by 3 of 64 columns and 4 of 128 rows is a distance of 5 of 128 rows."""
    found, true = torch.tensor([[[13 / 64, 24 / 128]]]), torch.tensor([[[10 / 64, 20 / 128]]])
    assert keypoint_distances(found, true, aspect=0.5).item() == pytest.approx(5 / 128)


def test_shares_are_of_the_keypoints_that_count() -> None:
    distances = torch.tensor([[0.05, 0.06, 0.0], [0.04, 0.2, 0.0]])
    counted = torch.tensor([[True, True, False], [True, False, False]])
    total, each = pck(distances, counted, tolerance=0.05)
    assert total == pytest.approx(2 / 3)  # a keypoint exactly 5 % away is correct
    assert each[:2].tolist() == [1.0, 0.0]
    assert math.isnan(each[2])
    assert pck(distances, counted, tolerance=0.1)[0] == 1.0


def test_a_smaller_person_has_a_smaller_tolerance() -> None:
    distances, counted = torch.tensor([[0.04], [0.04]]), torch.ones(2, 1, dtype=torch.bool)
    total, _ = pck(distances, counted, tolerance=0.05, heights=torch.tensor([0.9, 0.7]))
    assert total == 0.5  # 0.045 and 0.035 are allowed


def test_the_height_of_the_keypoints() -> None:
    y = torch.tensor([[0.1, 0.5, 0.9], [0.1, 0.5, 0.9], [0.1, 0.5, 0.9]])
    counted = torch.tensor([[True, True, True], [False, True, True], [False, True, False]])
    heights = keypoint_heights(torch.stack([torch.zeros(3, 3), y], dim=-1), counted)
    assert heights.tolist() == pytest.approx([0.8, 0.4, 0.0])


def test_without_people_there_is_no_share() -> None:
    nothing = torch.zeros(2, 3, dtype=torch.bool)
    assert keypoint_heights(torch.rand(2, 3, 2), nothing).tolist() == [0, 0]
    assert math.isnan(pck(torch.zeros(2, 3), nothing, tolerance=0.05)[0])


def test_a_summary_names_the_keypoints_that_count() -> None:
    distances = torch.tensor([[0.07, 0.0, 0.0]])
    counted = torch.tensor([[True, True, False]])
    assert summary(distances, counted, ("nose", "neck", "tail")) == {
        "joints": 2,
        "pictures": 1,
        "pck_5": 0.5,
        "pck_5_by_joint": {"nose": 0.0, "neck": 1.0},
        "pck_10": 1.0,
        "pck_10_by_joint": {"nose": 1.0, "neck": 1.0},
    }


def test_people_with_a_single_keypoint_have_no_height_and_do_not_count() -> None:
    """A share of height 0 is no tolerance, however exact the keypoint."""
    distances = torch.tensor([[0.01, 0.2], [0.01, 0.0]])
    counted = torch.tensor([[True, True], [True, False]])
    heights = torch.tensor([0.8, 0.0])
    total, each = pck(distances, counted, tolerance=0.05, heights=heights)
    assert (total, each.tolist()) == (0.5, [1.0, 0.0])
    found = summary(distances, counted, ("nose", "neck"), heights=heights)
    assert (found["joints"], found["pck_5"], found["pck_5_by_joint"]) == (2, 0.5, {"nose": 1.0, "neck": 0.0})
    assert pck(distances, counted, tolerance=0.05)[0] == pytest.approx(2 / 3)  # the image height does not change


def test_an_empty_summary_is_valid_json() -> None:
    found = summary(torch.zeros(1, 2), torch.tensor([[True, False]]), ("nose", "neck"), heights=torch.zeros(1))
    nothing = {"pck_5": None, "pck_5_by_joint": {}, "pck_10": None, "pck_10_by_joint": {}}
    assert found == {"joints": 0, "pictures": 1, **nothing}
