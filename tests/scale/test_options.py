"""What workers reserve: half a CPU each, and a share of the GPUs."""

from __future__ import annotations

import pytest

from passerby.errors import ConfigError
from passerby.scale.options import Workers


@pytest.mark.parametrize(
    ("count", "device", "gpus", "expected"),
    [(2, "auto", 0, 0), (2, "auto", 1, 0.5), (4, "cuda", 8, 1.0), (2, "cpu", 8, 0.0), (3, "cuda:0", 1, 1 / 3)],
)
def test_gpus_are_shared(count: int, device: str, gpus: float, expected: float) -> None:
    assert Workers(count=count).gpus(device, gpus) == pytest.approx(expected)


def test_what_cannot_run_is_told() -> None:
    Workers(count=4).check_cpus(2)
    with pytest.raises(ConfigError, match="Fix: at most 4 workers"):
        Workers(count=5).check_cpus(2)
    with pytest.raises(ConfigError, match="got 0 workers"):
        Workers(count=0)
    with pytest.raises(ConfigError, match="has no GPU"):
        Workers().gpus("cuda", 0)
