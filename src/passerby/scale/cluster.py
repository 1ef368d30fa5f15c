"""Ray for one job: a cluster that runs, or one on this machine, without dashboard and telemetry, on loopback only."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from passerby.errors import ConfigError, PasserbyError
from passerby.scale.options import Workers

_STORE_BYTES = 256 << 20
"""The shared memory of a local cluster: chunks on their way take a few megabytes."""
_LOCAL = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_worker_niceness": "0",
}
"""No telemetry; addresses of loopback, by the setting that Ray has for clusters of one machine; and the priority of
this process, since workers of Ray's own low one would starve on a busy machine."""


class ClusterError(PasserbyError):
    """An error of a cluster: it cannot be started or reached, or its workers die."""


@contextmanager
def cluster(workers: Workers) -> Iterator[Any]:
    """Yield Ray, connected to the cluster; one that was started for this job is ended afterwards.

    Raises:
        ConfigError: if Ray is not installed, or a local cluster has too few CPUs.
        ClusterError: if the cluster cannot be started or reached.
    """
    with ExitStack() as stack:
        if workers.address is None:
            workers.check_cpus(os.cpu_count() or 1)
            stack.enter_context(_environment(_LOCAL))
        ray = _ray()
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="passerby-ray-", ignore_cleanup_errors=True))
        _connect(ray, workers, folder)
        stack.callback(ray.shutdown)
        yield ray


def _connect(ray: Any, workers: Workers, folder: str) -> None:
    """Connect to the cluster of an address, or start one whose files are in a folder."""
    known: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if workers.address is None:
        known |= {"include_dashboard": False, "object_store_memory": _STORE_BYTES, "_temp_dir": folder}
    else:
        known |= {"address": workers.address}
    try:
        ray.init(**known)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        where = "on this machine" if workers.address is None else f"at {workers.address!r}"
        reason = (str(error) or type(error).__name__).splitlines()[0]
        fix = "check memory and /dev/shm" if workers.address is None else "check the address and that it runs"
        raise ClusterError(
            f"there is no Ray cluster {where}: {reason}. Fix: {fix}, or leave --engine ray out"
        ) from None


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        raise ConfigError("Ray is not installed. Fix: pip install 'passerby[ray]', or leave --engine ray out") from None
    return ray


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set variables that a user has not set, which processes of the cluster inherit."""
    added = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
