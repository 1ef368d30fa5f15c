"""The detector in the package: that it finds people, is what it was converted from, and refuses other files."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.data.video.conftest import figure

from passerby.errors import ConfigError, WeightsError
from passerby.models.nanodet.detector import SHIPPED, NanoDet

pytest.importorskip("cv2", reason="passerby[video] is not installed")
pytest.importorskip("onnxruntime", reason="passerby[onnx] is not installed")
LARGE = (360, 180)


@pytest.fixture(scope="module")
def nanodet() -> NanoDet:
    return NanoDet()


@pytest.fixture(scope="module")
def scene() -> NDArray[np.uint8]:
    """Three large people on a plain street."""
    frame = np.full((480, 640, 3), 150, np.uint8)
    frame[300:] = 110
    for person in range(3):
        pixels, mask = figure(person, LARGE)
        frame[90:450, 20 + 210 * person : 200 + 210 * person][mask] = pixels[mask]
    return frame


def test_large_people_are_found(nanodet: NanoDet, scene: NDArray[np.uint8]) -> None:
    found = nanodet(scene)
    sure = found.boxes[found.scores >= 0.4]
    assert len(sure) == 3
    for person, (left, top, right, bottom) in enumerate(sure[np.argsort(sure[:, 0])]):
        rows, columns = np.nonzero(figure(person, LARGE)[1])
        true = (columns.min() + 20 + 210 * person, rows.min() + 90, columns.max() + 20 + 210 * person, rows.max() + 90)
        np.testing.assert_allclose((left, top, right, bottom), true, atol=25)
    assert (nanodet(np.full((300, 500, 3), 128, np.uint8)).scores < 0.4).all()


def test_a_frame_keeps_its_proportions(nanodet: NanoDet, scene: NDArray[np.uint8]) -> None:
    pixels, scale = nanodet.prepared(scene)
    assert pixels.shape == (1, 3, 416, 416)
    assert scale == 416 / 640
    black = -np.array([103.53, 116.28, 123.675]) / np.array([57.375, 57.12, 58.395])
    np.testing.assert_allclose(pixels[0, :, 312:].reshape(3, -1).T, np.broadcast_to(black, (104 * 416, 3)), rtol=1e-5)
    blue = scene[0, 0, 2]  # the file takes blue, green, red
    assert pixels[0, 0, 0, 0] == pytest.approx((blue - 103.53) / 57.375, abs=0.02)


def test_eight_bits_find_what_float32_finds(nanodet: NanoDet, scene: NDArray[np.uint8], shared: Path) -> None:
    whole = shared / "weights" / "nanodet" / "nanodet_416.onnx"
    if not whole.is_file():
        pytest.skip("the float32 file is not here")
    packed, exact = nanodet(scene), NanoDet(whole)(scene)
    sure = exact.scores >= 0.3
    assert sure.sum() == (packed.scores >= 0.3).sum() >= 3
    np.testing.assert_allclose(packed.scores[: sure.sum()], exact.scores[sure], atol=0.05)
    np.testing.assert_allclose(packed.boxes[: sure.sum()], exact.boxes[sure], atol=5)


def test_both_licenses_come_with_it() -> None:
    folder = SHIPPED.parent
    assert "Apache License" in (folder / "LICENSE-nanodet").read_text()
    assert "Permission is hereby granted, free of charge" in (folder / "LICENSE-human-models").read_text()
    assert SHIPPED.stat().st_size < 4_000_000


def test_other_files_are_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WeightsError, match="there is no detector"):
        NanoDet(tmp_path / "none.onnx")
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"no model")
    with pytest.raises(WeightsError, match="cannot be read as a detector"):
        NanoDet(bad)
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(SHIPPED.read_bytes()[:100_000])
    with pytest.raises(WeightsError, match="cannot be read as a detector"):
        NanoDet(cut)


def test_outputs_of_another_kind_are_errors(nanodet: NanoDet) -> None:
    scores, sides = np.zeros((1, 169, 80), np.float32), np.zeros((1, 169, 44), np.float32)
    (level,) = nanodet.levels([sides, scores])
    assert level.stride == 32
    outputs: list[list[Any]] = [[scores], [sides], [scores, scores], [scores[0]], [scores[:, :10], sides[:, :10]]]
    for each in outputs:
        with pytest.raises(WeightsError, match="not a detector of a known kind"):
            nanodet.levels(each)


def test_without_the_runtime_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    from passerby.weights import onnx_file

    def absent(name: str) -> None:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(onnx_file.importlib, "import_module", absent)
    with pytest.raises(ConfigError, match=r"pip install 'passerby\[onnx\]'"):
        NanoDet()


def test_a_file_of_the_same_kind_is_taken(tmp_path: Path, scene: NDArray[np.uint8]) -> None:
    own = tmp_path / "own.onnx"
    shutil.copy(SHIPPED, own)
    assert len(NanoDet(own)(scene).boxes) >= 3
