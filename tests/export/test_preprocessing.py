"""The resizing inside ONNX files, beside Pillow's, which embedding uses."""

from __future__ import annotations

from typing import Any

import numpy as np
import PIL
import pytest
from numpy.typing import NDArray
from PIL import Image

from passerby.export.preprocessing import preprocessing

onnxruntime = pytest.importorskip("onnxruntime", reason="passerby[onnx] is not installed")
pytest.importorskip("onnx", reason="passerby[onnx] is not installed")

SAME_ORDER = int(PIL.__version__.split(".")[0]) >= 13
"""Earlier versions of Pillow always resize columns first."""


def session_of(size: tuple[int, int]) -> Any:
    return onnxruntime.InferenceSession(preprocessing(size).SerializeToString(), providers=["CPUExecutionProvider"])


def resized(images: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """By Pillow: ``(b, H, W, 3)`` → ``(b, 3, h, w)``."""
    return np.stack(
        [np.asarray(Image.fromarray(each).resize(size[::-1], Image.Resampling.BILINEAR)) for each in images]
    ).transpose(0, 3, 1, 2)


@pytest.mark.parametrize("size", [(64, 32), (96, 48), (7, 90)])
def test_images_of_any_size_become_what_pillow_makes_of_them(size: tuple[int, int]) -> None:
    session, generator = session_of(size), np.random.default_rng(0)
    shapes = [(1, 1), (1, 90), (64, 32), (128, 64), (37, 83), (140, 20), (75, 35), (193, 86), (300, 140)]
    for place, (height, width) in enumerate(shapes):
        images = generator.integers(0, 256, (1 + place % 3, height, width, 3), dtype=np.uint8)
        found, expected = session.run(None, {"images": images})[0], resized(images, size)
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= (0 if SAME_ORDER else 2), (height, width)


def test_an_image_of_the_size_of_the_model_is_not_touched() -> None:
    images = np.random.default_rng(1).integers(0, 256, (5, 64, 32, 3), dtype=np.uint8)
    (found,) = session_of((64, 32)).run(None, {"images": images})
    assert (found == images.transpose(0, 3, 1, 2)).all()
