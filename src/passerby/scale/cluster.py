"""Ray for one job: a cluster that runs, or one on this machine, without dashboard and telemetry, on loopback only."""

from __future__ import annotations

import logging
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from passerby.errors import ConfigError, OutputError
from passerby.scale.options import Workers

_STORE_BYTES = 256 << 20
"""The shared memory of a local cluster: chunks on their way take a few megabytes."""
_PATIENCE = 10.0
"""The seconds within which a cluster has to answer."""
_LOCAL = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_worker_niceness": "0",
}
"""No telemetry; addresses of loopback, by the setting that Ray has for clusters of one machine and reads when it is
imported; and the priority of this process, since workers of Ray's own low one would starve on a busy machine."""


class ClusterError(OutputError):
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
        if workers.address is not None:
            _reach(workers.address)
        stack.callback(ray.shutdown)
        _connect(ray, workers, folder)
        if workers.address is None:
            _check_private(ray)
        yield ray


def _reach(address: str) -> None:
    """Check that something answers at an address such as ``10.0.0.5:6379``: Ray itself would wait for minutes.

    Raises:
        ClusterError: if nothing does.
    """
    parts = urlsplit(address if "://" in address else f"//{address}")
    try:
        if parts.hostname is None or parts.port is None:
            return  # `auto`, or a form that Ray itself judges
        socket.create_connection((parts.hostname, parts.port), timeout=_PATIENCE).close()
    except (ValueError, OSError) as error:
        raise _no_cluster(f"at {address!r}", error, "check the address and that it runs") from None


def _check_private(ray: Any) -> None:
    """Check that a cluster that was started here is reached from this machine only.

    Raises:
        ClusterError: if it is not, as where Ray was imported before, when its addresses are decided.
    """
    addresses = {node["NodeManagerAddress"] for node in ray.nodes()}
    if not all(ip_address(address).is_loopback for address in addresses):
        raise ClusterError(
            f"Ray would listen at {', '.join(sorted(addresses))}, not at addresses of this machine alone: it was "
            "imported earlier in this process. Fix: import ray only after passerby.scale.cluster has started it"
        )


def _no_cluster(where: str, error: Exception, fix: str) -> ClusterError:
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return ClusterError(f"there is no Ray cluster {where}: {reason}. Fix: {fix}, or leave --engine ray out")


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
        if workers.address is None:
            raise _no_cluster("on this machine", error, "check memory and /dev/shm") from None
        raise _no_cluster(f"at {workers.address!r}", error, "check the address and that it runs") from None


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
