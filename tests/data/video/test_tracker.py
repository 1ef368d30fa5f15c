"""The tracker: a Kalman filter against its textbook form, and which boxes become one track."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from passerby.data.video.detector import Detections
from passerby.data.video.motion import Motion
from passerby.data.video.tracker import Tracked, Tracker
from passerby.errors import ConfigError, ShapeError


def detections(*rows: tuple[float, ...]) -> Detections:
    """Return boxes of 20×50 pixels, from (left, top, score)."""
    boxes = np.array([(x, y, x + 20, y + 50) for x, y, _ in rows], np.float32).reshape(-1, 4)
    return Detections(boxes, np.array([score for _, _, score in rows], np.float32))


def by_track(seen: list[Tracked]) -> dict[int, float]:
    return {each.track: float(each.box[0]) for each in seen}


def test_the_filter_is_the_textbook_one() -> None:
    """Every step with full matrices, the inverse, and the covariance's symmetric (Joseph) form."""
    rng = np.random.default_rng(0)
    motion = Motion(np.array([10, 20, 40, 90], np.float32))
    x, P = motion.mean.copy(), motion.covariance.copy()
    F = np.eye(8)
    F[range(4), range(4, 8)] = 1
    H = np.eye(4, 8)
    for step in range(12):
        h = x[3]
        Q = np.diag(np.square([h / 20, h / 20, 1e-2, h / 20, h / 160, h / 160, 1e-5, h / 160]))
        x, P = F @ x, F @ P @ F.T + Q
        motion.predict()
        left, top = 10 + 3 * step + rng.normal(), 20 + rng.normal()
        box = np.array([left, top, left + 30, top + 70], np.float32)
        R = np.diag(np.square([x[3] / 20, x[3] / 20, 1e-1, x[3] / 20]))
        z = np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2, (box[2] - box[0]) / (box[3] - box[1]), 70.0])
        z[3] = float(box[3]) - float(box[1])
        K = P @ H.T @ np.linalg.inv(H @ P @ H.T + R)
        x, P = x + K @ (z - H @ x), (np.eye(8) - K @ H) @ P @ (np.eye(8) - K @ H).T + K @ R @ K.T
        motion.update(box)
        np.testing.assert_allclose(motion.mean, x, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(motion.covariance, P, rtol=1e-4, atol=1e-7)
    assert motion.mean[4] == pytest.approx(3, abs=0.7)  # it has learned the velocity


def test_people_who_pass_each_other_keep_their_tracks() -> None:
    tracker = Tracker()
    found = [by_track(tracker.update(detections((10 + 5 * n, 0, 0.9), (200 - 5 * n, 12, 0.8)))[0]) for n in range(38)]
    assert {track for each in found for track in each} == {0, 1}
    assert (found[-1][0], found[-1][1]) == (195, 15)  # each is where that person walks


def test_an_uncertain_box_continues_a_track_but_begins_none() -> None:
    tracker = Tracker(confident=0.4)
    for n in range(5):
        tracker.update(detections((10 + 3 * n, 0, 0.9)))
    seen, _ = tracker.update(detections((25, 0, 0.2), (300, 0, 0.3), (100, 0, 0.42)))
    assert by_track(seen) == {0: 25}
    seen, _ = tracker.update(detections((28, 0, 0.05)))  # less than uncertain
    assert by_track(seen) == {}


def test_a_person_who_was_hidden_is_the_same_one() -> None:
    tracker = Tracker(patience=8)
    for n in range(10):
        tracker.update(detections((10 + 4 * n, 0, 0.9)))
    for _ in range(6):
        assert tracker.update(detections()) == ([], [])
    seen, _ = tracker.update(detections((10 + 4 * 16, 0, 0.9)))
    assert by_track(seen) == {0: 74}


def test_tracks_end_once() -> None:
    tracker = Tracker(patience=2)
    for _ in range(3):
        tracker.update(detections((10, 0, 0.9)))
    ended = list(itertools.chain(*(tracker.update(detections((300, 0, 0.9)))[1] for _ in range(6))))
    assert ended == [0]
    assert tracker.close() == [1]
    assert tracker.close() == []


def test_a_track_of_one_box_ends_at_once() -> None:
    tracker = Tracker(patience=30)
    assert by_track(tracker.update(detections((10, 0, 0.9)))[0]) == {0: 10}
    assert tracker.update(detections())[1] == [0]


def test_settings_out_of_range_are_errors() -> None:
    with pytest.raises(ConfigError, match=r"confident score is 0.1 to 0.95"):
        Tracker(confident=1.0)
    with pytest.raises(ConfigError, match="patience 0 or more"):
        Tracker(patience=-1)
    with pytest.raises(ShapeError, match="one box of four numbers per score"):
        Detections(np.zeros((2, 4), np.float32), np.zeros(3, np.float32))
