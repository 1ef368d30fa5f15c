"""Verdicts that are withheld, in a gallery in memory, in a file and on disk alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from passerby.gallery import Gallery
from passerby.gallery.verdicts import pairs as module
from passerby.gallery.verdicts.check import DomainCheck
from passerby.gallery.verdicts.rows import Rows
from passerby.inference.model import Model
from passerby.metrics.calibration import Calibration
from passerby.metrics.probability import Sigmoid
from passerby.metrics.verification import CalibrationQuality, Threshold
from passerby.types import Embeddings, Protocol


def calibration(near: float, *, fingerprint: str = "f", protocol: Protocol | None = None) -> Calibration:
    """Return a calibration of which every pair below ``near`` is possible."""
    thresholds = (Threshold(1e-2, 9.0), Threshold(1e-3, near), Threshold(1e-4, None))
    quality = CalibrationQuality(1, 1, 0.0, 0.0, ())
    how = protocol or Protocol()
    return Calibration(Sigmoid(0.0, 1.0), thresholds, 9, 9, how, fingerprint, "d:/there", "", 0, quality)


def images(n: int) -> Embeddings:
    vectors = torch.randn(n, 32, generator=torch.Generator().manual_seed(2))
    return Embeddings(vectors, tuple(map(str, range(n))))


def share_below(e: Embeddings, share: float) -> float:
    """Return the distance below which a share of all pairs lies."""
    rows = torch.nn.functional.normalize(e.embedding)
    return float(torch.pdist(rows).square().quantile(share))


def test_the_gallerys_own_distances_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IMAGES_OF_A_PERSON", 200)  # P stays above one half
    e = images(400)
    held = DomainCheck.of(Rows.of(e), calibration(share_below(e, 0.0005)))
    assert (held.state, held.margin) == ("holds", 0.0)
    assert held.verdict(0.0) == (pytest.approx(0.731, abs=1e-3), "possible")
    more = DomainCheck.of(Rows.of(e), calibration(share_below(e, 0.0019)))
    assert more.state == "holds"
    assert more.margin > 0
    assert "further margin" in more.reason
    failed = DomainCheck.of(Rows.of(e), calibration(share_below(e, 0.02)))
    assert failed.state == "withheld"
    assert failed.verdict(0.0) == failed.verdict(9.0) == (None, "withheld")
    assert failed.reason.startswith("Verdicts are withheld: of 79,800 random pairs of this gallery 2.00% are possible")
    few = DomainCheck.of(Rows.of(e[:30]), calibration(0.0))
    assert (few.state, few.expected()) == ("unknown", None)
    assert "at least 3,334 independent ones" in few.reason
    none = DomainCheck.of(Rows.of(e[:1]), calibration(0.0))
    assert (none.state, none.found) == ("unknown", None)
    assert none.to_dict()["state"] == "unknown"


def test_a_larger_gallery_makes_the_same_distance_less_probable() -> None:
    e = images(400)
    known = replace(calibration(share_below(e, 0.0005)), curve=Sigmoid(0.0, 3.0))
    small, large = (DomainCheck.of(Rows.of(e[:n]), known) for n in (40, 400))
    assert (small.prior, large.prior) == (0.5, 0.05)
    assert small.verdict(0.0)[0] == pytest.approx(0.9526, abs=1e-4)
    assert large.verdict(0.0)[0] == pytest.approx(0.5139, abs=1e-4)
    assert large.expected() == pytest.approx(400 * (large.found.interval[1] if large.found else 0))
    assert large.expected(800) == pytest.approx(2 * (large.expected() or 0))


def test_the_number_of_expected_false_matches_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IMAGES_OF_A_PERSON", 2000)
    e = images(2000)
    check = DomainCheck.of(Rows.of(e), calibration(share_below(e, 0.0009)))
    assert check.state == "holds"
    count = check.expected()
    assert count is not None
    assert 1.5 < count < 4
    assert f"about {count:.0f} images of other people may be possible for each query" in check.reason


def test_larger_distances_than_calibrated_are_no_evidence_of_anything() -> None:
    e = images(400)
    known = calibration(0.1)
    known = replace(known, curve=Sigmoid(50.0, 5.0), thresholds=(Threshold(1e-2, 0.2), *known.thresholds[1:]))
    assert known.verdict(1.0)[1] == "no evidence"
    check = DomainCheck.of(Rows.of(e), known)
    assert check.verdict(1.0)[1] == "unsure"
    assert check.found is not None
    assert (check.state, check.found.near, check.to_dict()["distant"]) == ("holds", 0.0, True)
    assert "Distances are larger here" in check.reason
    fits = replace(known, thresholds=(Threshold(1e-2, share_below(e, 0.01)), Threshold(1e-3, 0.1)))
    assert DomainCheck.of(Rows.of(e), fits).verdict(3.0)[1] == "no evidence"


def test_memory_file_and_disk_agree(model: Model, people: Path, tmp_path: Path) -> None:
    known = Model(
        model.network, model.size, calibration=calibration(9.0, fingerprint=model.fingerprint, protocol=model.protocol)
    )
    memory = Gallery(known)
    memory.add(people)
    memory.save(tmp_path / "g.parquet")
    disk = Gallery.create(known, tmp_path / "g.gallery")
    disk.add(people)
    for gallery in (memory, Gallery.open(known, tmp_path / "g.parquet"), disk):
        first, *others = gallery.search(people / "0.png", k=4)
        assert (first.verdict, first.same_person) == ("same file", None)
        assert {(hit.verdict, hit.same_person) for hit in others} == {("withheld", None)}
        assert gallery.domain is not None
        assert gallery.domain.state == "withheld"
        assert gallery.domain.found == memory.domain.found if memory.domain else False


def test_each_version_of_a_gallery_on_disk_is_checked(model: Model, people: Path, tmp_path: Path) -> None:
    known = Model(
        model.network, model.size, calibration=calibration(9.0, fingerprint=model.fingerprint, protocol=model.protocol)
    )
    gallery = Gallery.create(known, tmp_path / "g.gallery")
    gallery.add(people / "0.png")
    first = gallery.domain
    assert first is not None
    assert (first.state, first.rows) == ("unknown", 1)
    assert gallery.domain is first
    gallery.add(people)
    later = gallery.domain
    assert later is not None
    assert (later.state, later.rows) == ("withheld", 6)
