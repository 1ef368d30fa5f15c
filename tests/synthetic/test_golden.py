"""Equal settings render equal images, on other machines and after other changes too.

``python tests/synthetic/test_golden.py`` renders the images of ``golden.npz`` anew.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from passerby.synthetic.settings import VERSION, Settings
from passerby.synthetic.street.world import World

GOLDEN = Path(__file__).with_name("golden.npz")
LARGE, SMALL = (128, 64), (64, 32)
IMAGES: dict[str, tuple[Settings, tuple[int, int, int]]] = {
    "default": (Settings(size=LARGE), (0, 0, 0)),
    "easy": (Settings(size=SMALL, preset="easy"), (1, 1, 0)),
    "hard": (Settings(size=SMALL, preset="hard", seed=1), (2, 2, 1)),
    "crowded": (Settings(size=SMALL, preset="hard", changes={"occluder": 1.0, "passerby": 1.0}), (3, 3, 0)),
    "plain": (Settings(size=SMALL, changes={"clothes": 0.0, "background": 0.0, "quality": 0.0}), (4, 0, 0)),
    "changed clothes": (Settings(size=SMALL, two_outfits=True, changes={"twins": 1.0}), (5, 5, 0)),
}
"""Settings, then person, camera and number."""
WITHIN, SHARE = 1, 0.995
"""Gray levels, and the share of values that lie within: processors round the last bits differently."""


def rendered(name: str) -> NDArray[np.uint8]:
    settings, key = IMAGES[name]
    return World(settings).shot(*key).image


@pytest.fixture(scope="module")
def golden() -> dict[str, NDArray[np.uint8]]:
    with np.load(GOLDEN) as content:
        return dict(content)


def test_the_version_is_that_of_the_golden_images(golden: dict[str, NDArray[np.uint8]]) -> None:
    assert golden["version"] == VERSION, f"VERSION was raised: python {Path(__file__).name} renders them anew"


@pytest.mark.parametrize("name", IMAGES)
def test_images_stay_as_they_are(golden: dict[str, NDArray[np.uint8]], name: str) -> None:
    wanted, got = golden[name].astype(int), rendered(name).astype(int)
    assert got.shape == wanted.shape
    same = float((abs(got - wanted) <= WITHIN).mean())
    assert same >= SHARE, (
        f"{name}: {100 * (1 - same):.1f} % of the values differ by more than {WITHIN}. If the renderer was meant to "
        "change, raise VERSION in synthetic/settings.py (else caches mix old images with new ones) and run "
        "python tests/synthetic/test_golden.py"
    )


def test_the_file_is_small() -> None:
    assert GOLDEN.stat().st_size <= 60_000


if __name__ == "__main__":
    np.savez_compressed(GOLDEN, version=np.array(VERSION), **{name: rendered(name) for name in IMAGES})
