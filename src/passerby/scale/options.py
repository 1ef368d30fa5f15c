"""How many workers there are, where they run, and what each may take."""

from __future__ import annotations

from dataclasses import dataclass

from passerby.errors import ConfigError

CPUS = 0.5
"""The share of a CPU that a worker reserves: of two whole ones on two CPUs, no other actor would ever start."""


@dataclass(frozen=True, kw_only=True)
class Workers:
    """The workers of a job.

    Raises:
        ConfigError: if there are fewer than one.
    """

    count: int = 2
    cpus: float = CPUS
    """The number of CPUs that each reserves; it computes with one thread, or with as many as ``OMP_NUM_THREADS``."""
    address: str | None = None
    """The address of a cluster that runs; ``None`` starts one on this machine, for this job."""

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ConfigError(f"there must be a worker: got {self.count} workers, expected at least 1. Fix: raise it")

    def check_cpus(self, available: float) -> None:
        """Check that all workers can run at once on one machine.

        Raises:
            ConfigError: if they would wait for CPUs that there are not.
        """
        if self.count * self.cpus > available:
            raise ConfigError(
                f"{self.count} workers reserve {self.count * self.cpus:g} CPUs, and there are {available:g}. "
                f"Fix: at most {int(available / self.cpus)} workers"
            )

    def gpus(self, device: str, available: float) -> float:
        """Return how many GPUs each worker reserves, for a device such as ``auto`` or ``cuda``.

        Raises:
            ConfigError: if CUDA is asked for and the cluster has no GPU.
        """
        if device.startswith("cuda") and not available:
            raise ConfigError(f"device {device!r} is asked for, and the cluster has no GPU. Fix: --device cpu")
        wanted = device == "auto" or device.startswith("cuda")
        return min(1.0, available / self.count) if wanted else 0.0
