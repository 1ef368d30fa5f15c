"""The calibration of a gallery by its own pairs."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch

from passerby.errors import ConfigError, ProtocolError
from passerby.gallery import StoredGallery
from passerby.gallery.store import Store
from passerby.gallery.store.table import Facts
from passerby.gallery.store.verify import verify
from passerby.gallery.verdicts.own import Answer, answers_of
from passerby.gallery.verdicts.rows import Rows
from passerby.inference.model import Model
from passerby.types import Embeddings

PEOPLE, IMAGES = 80, 4


@pytest.fixture(autouse=True)
def _unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda _: None)


def vectors(size: int) -> torch.Tensor:
    """Return embeddings of people, each of whom has some images in a row; distances overlap."""
    draw = torch.Generator().manual_seed(4)
    centers = torch.zeros(PEOPLE, size)
    centers[:, :12] = torch.randn(PEOPLE, 12, generator=draw)
    noise = torch.zeros(PEOPLE * IMAGES, size)
    noise[:, :12] = 0.5 * torch.randn(PEOPLE * IMAGES, 12, generator=draw)
    return centers.repeat_interleave(IMAGES, 0) + noise


@pytest.fixture
def gallery(model: Model, tmp_path: Path) -> StoredGallery:
    store = Store.create(tmp_path / "people.gallery", model.origin(), model.embedding_size)
    rows = vectors(model.embedding_size)
    content = [n.to_bytes(32, "big") for n in range(len(rows))]
    store.add(Embeddings(rows, tuple(map(str, range(len(rows))))), Facts(content=content))
    return StoredGallery(model, store)


def answers(people: int) -> list[Answer]:
    """Return all pairs of some people, and as many of different ones."""
    same = [(IMAGES * p + a, IMAGES * p + b, True) for p in range(people) for a, b in combinations(range(IMAGES), 2)]
    return [*same, *((a, b + IMAGES, False) for a, b, _ in same)]


def squared_distances(gallery: StoredGallery) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the distances of all same and of all different pairs."""
    rows = torch.nn.functional.normalize(Rows.of_shards(gallery.store.shards).read(np.arange(PEOPLE * IMAGES)))
    first, second = torch.triu_indices(len(rows), len(rows), 1)
    distances = (rows[first] - rows[second]).square().sum(1)
    same = first // IMAGES == second // IMAGES
    return distances[same], distances[~same]


def test_random_pairs_without_labels_make_thresholds_that_hold(gallery: StoredGallery) -> None:
    found = gallery.calibrate(answers(30))
    assert (found.confirmed, found.rejected, found.kind) == (180, 180, "random")
    same, different = squared_distances(gallery)
    for rate in (1e-2, 1e-3):
        threshold = found.calibration.threshold(rate)
        assert threshold is not None
        assert (different < threshold).double().mean().item() == pytest.approx(rate, rel=0.5)
        assert (same < threshold).double().mean() > 0.5
    # random pairs as they are would allow fewer of them, as 0.9 % are of one person
    everything = torch.cat([same, different]).sort().values
    naive = everything[int(len(everything) * 1e-3)].item()
    assert (different < naive).double().mean().item() < 2e-4
    assert found.calibration.held_out.same + found.calibration.held_out.different > 10_000


def test_it_wins_over_the_runs_is_kept_and_can_be_dropped(gallery: StoredGallery, model: Model) -> None:
    assert gallery.calibration is None
    assert gallery.domain is None
    for a, b, same in answers(10):
        gallery.feedback.answer(a, b, same=same)
    found = gallery.calibrate()
    again = StoredGallery(model, Store(gallery.store.path))
    assert again.calibration == found.calibration
    check = again.domain
    assert check is not None
    assert (check.own, check.state) == (True, "holds")
    same, different = squared_distances(gallery)
    said = [check.verdict(d)[1] for d in (same.median().item(), different.median().item())]
    assert said == ["possible", "no evidence"]
    assert verify(gallery.store.path).problems == ()
    gallery.delete(range(IMAGES))
    assert gallery.calibration == found.calibration, "numbers about distances stay"
    assert len(gallery.feedback.pairs()) < len(answers(10))
    assert verify(gallery.store.path).problems == ()
    gallery.store.drop_note("calibration")
    assert gallery.calibration is None
    assert gallery.domain is None


def test_too_few_pairs_are_an_error_and_change_nothing(gallery: StoredGallery) -> None:
    with pytest.raises(ProtocolError, match="got 18 of 3 people, expected at least 20 of 10"):
        gallery.calibrate(answers(3))
    with pytest.raises(ProtocolError, match="got 30 of 5 people"):
        gallery.calibrate(answers(5))
    with pytest.raises(ConfigError, match="1 rows of the pairs are not in the gallery, the first has the ID 999"):
        gallery.calibrate([*answers(10), (0, 999, True)])
    gallery.delete(range(100, PEOPLE * IMAGES))
    with pytest.raises(ProtocolError, match=r"too few pairs of different people to calibrate: got \d,\d+, expected"):
        gallery.calibrate(answers(10))
    assert gallery.calibration is None


def test_a_damaged_calibration_is_an_error(gallery: StoredGallery) -> None:
    gallery.calibrate(answers(10))
    (file,) = (gallery.store.path / "notes").iterdir()
    file.write_bytes(file.read_bytes().replace(b"logistic", b"magic000"))
    with pytest.raises(Exception, match="--drop calibration"):
        _ = StoredGallery(gallery.model, Store(gallery.store.path)).domain


def test_answers_of_a_table() -> None:
    assert answers_of([("1", "2", "1"), ("2", " 1", "yes"), ("3", "4", "False")]) == [(1, 2, True), (3, 4, False)]
    for lines, error in (
        ([("1", "x", "1")], "line 2 of the pairs is '1,x,1'"),
        ([("1", "1", "1")], "line 2"),
        ([("1", "2", "1"), ("3", "4", "maybe")], "line 3"),
        ([("1", "2", "1"), ("2", "1", "0")], "line 3 of the pairs contradicts"),
    ):
        with pytest.raises(ConfigError, match=error):
            answers_of(lines)
