"""Crops: their quality, which are chosen, and their names."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageFilter

from passerby.data.video.address import is_stream, is_video, without_password
from passerby.data.video.crop import CropName, as_file, whole_box
from passerby.data.video.quality import quality, sharpness, spread, visibility
from passerby.data.video.source import StreamCrops, open_video
from passerby.errors import DatasetLayoutError


def noise(seed: int = 0, size: tuple[int, int] = (90, 40)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def test_sharpness_is_the_variance_of_the_laplacian() -> None:
    crop = noise()
    gray = crop.astype(np.float64).mean(axis=2)
    plain = [
        gray[y - 1, x] + gray[y + 1, x] + gray[y, x - 1] + gray[y, x + 1] - 4 * gray[y, x]
        for y in range(1, 89)
        for x in range(1, 39)
    ]
    assert sharpness(crop) == pytest.approx(np.var(plain), rel=1e-4)
    blurred = np.asarray(Image.fromarray(crop).filter(ImageFilter.GaussianBlur(2)))
    assert sharpness(blurred) < 0.1 * sharpness(crop)
    assert sharpness(crop[:2]) == 0


def test_visibility_is_what_border_and_others_leave() -> None:
    boxes = np.array([[10, 10, 30, 50], [20, 10, 40, 50], [-10, 60, 10, 100], [60, 60, 80, 90]], np.float32)
    found = visibility(boxes, (200, 100))
    np.testing.assert_allclose(found, [0.5, 0.5, 0.25, 1.0], atol=1e-6)  # half is out, and the border cuts
    assert quality(noise(), 1.0, 0.9) > quality(noise(), 0.5, 0.9) > 0


def test_crops_are_spread_over_time() -> None:
    moments = [0, 100, 200, 300, 400, 500, 600, 700, 1000]
    qualities = [0.9, 0.95, 0.8, 0.6, 0.5, 0.7, 0.6, 0.5, 0.8]
    assert spread(qualities, moments, 4) == [1, 3, 5, 8]  # the best of each quarter
    assert spread(qualities[:3], moments[:3], 4) == [0, 1, 2]
    assert spread([0.5, 0.7], [3.0, 3.0], 1) == [1]
    assert spread([0.5, 0.7, 0.6, 0.4], [0, 1, 2, 1000], 3) == [1, 2, 3]  # an empty span: the best that is left
    assert spread([0.5, 0.7, 0.6, 0.1], [0, 1, 2, 1000], 4) == [0, 1, 2]  # one that is much worse is none


def test_a_name_tells_frame_box_and_pixels() -> None:
    frame = noise(1, (120, 160))
    box = (30, 20, 41, 67)
    pixels = frame[20:87, 30:71]
    name = CropName.of(123, box, pixels)
    read = CropName.read(str(name))
    assert str(name).startswith("0000123_30-20-41-67_")
    assert read == name
    assert read is not None
    assert read.is_exactly(read.cut(frame))
    rounded = np.clip(pixels.astype(int) + np.random.default_rng(0).integers(-1, 2, pixels.shape), 0, 255)
    other = rounded.astype(np.uint8)
    assert not read.is_exactly(other)
    assert read.is_nearly(other)  # as another decoder rounds
    assert not read.is_nearly(255 - pixels // 2)
    assert not read.is_nearly(pixels[:-1])
    for odd in ("x.bmp", f"{name}.bmp", str(name).replace("_", "-"), f"../{name}"):
        assert CropName.read(odd) is None


def test_a_box_in_whole_pixels_stays_in_the_frame() -> None:
    box = np.array([-3.2, 10.4, 20.1, 300.0], np.float32)
    assert whole_box(box, (100, 80)) == (0, 10, 21, 90)
    assert whole_box(np.array([90, 10, 95, 20], np.float32), (100, 80))[2] == 0


def test_the_file_of_a_crop_is_lossless_and_always_the_same() -> None:
    pixels = noise(2)[::-1]
    assert as_file(pixels) == as_file(pixels.copy())
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(as_file(pixels)))), pixels)


def test_videos_are_told_by_their_names() -> None:
    assert is_video("/a/b.MP4")
    assert is_video("rtsp://10.0.0.1/live")
    assert not is_video("people.zip")
    assert not is_stream("market1501:/data")
    assert without_password("rtsp://me:secret@host:554/live?token=9#x") == "rtsp://host:554/live"


@pytest.mark.parametrize("password", ["pa@ss", "pa:ss", "[pass", "pa%2Fss"])
def test_no_part_of_a_password_is_shown(password: str) -> None:
    assert without_password(f"RTSP://admin:{password}@10.0.0.7:554/live?token=1") == "rtsp://10.0.0.7:554/live"
    assert StreamCrops(f"rtsp://admin:{password}@10.0.0.7/live").place == "rtsp://10.0.0.7/live"


@pytest.mark.parametrize("rest", ["admin:se/cret@h/x", "admin:se#cret@h", "admin:se?cret@h", "h/x?cret=me@home"])
@pytest.mark.parametrize("shown", [without_password, StreamCrops, open_video])
def test_an_address_of_which_the_password_is_not_certain_is_refused(rest: str, shown: Callable[[str], object]) -> None:
    with pytest.raises(DatasetLayoutError, match=r"not certain.*Fix: .*%40, %2F") as error:
        shown(f"rtsp://{rest}")
    assert not any(part in str(error.value) for part in ("admin", "se/", "cret", "home"))
