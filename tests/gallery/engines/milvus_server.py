"""Run a Milvus server in a folder until the standard input is closed, and print its port.

Its parts listen on ports of their own, etcd among them, so that several servers run beside each other.

usage: python milvus_server.py FOLDER [SETTING=VALUE …]
"""

from __future__ import annotations

import fcntl
import os
import socket
import sys
from pathlib import Path

import milvus


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def give_etcd_ports(folder: Path) -> None:
    """Write the configuration of the etcd within the server, which has no setting of Milvus."""
    clients, peers = (f"http://127.0.0.1:{port}" for port in free_ports(2))
    file = folder / "etcd.yaml"
    file.write_text(
        f"listen-client-urls: {clients}\nadvertise-client-urls: {clients}\n"
        f"listen-peer-urls: {peers}\ninitial-advertise-peer-urls: {peers}\ninitial-cluster: default={peers}\n"
    )
    os.environ["ETCD_CONFIG_PATH"] = str(file)


def unpack(folder: Path) -> None:
    """Unpack the server's programs, 190 MB, once for a venv."""
    place = Path(sys.prefix) / "share" / "milvus-server"
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        milvus._initialize_data_files(str(place))
    (folder / "bin").symlink_to(place / "bin")


def configured(folder: Path, settings: dict[str, str]) -> milvus.MilvusServer:
    server = milvus.MilvusServer()
    server.set_base_dir(str(folder))
    config = server.config
    config.template_text = config.template_text.replace("rocksmq:\n", "rocksmq:\n  timtickerInterval: 600\n", 1)
    ports = [name for name in config.configurable_items if name.endswith("_port")]
    config.update(**dict(zip(ports, free_ports(len(ports)), strict=True)))
    for name, value in settings.items():
        config.set(name, value)
    give_etcd_ports(folder)
    unpack(folder)
    return server


if __name__ == "__main__":
    given = dict(each.split("=") for each in sys.argv[2:])
    server = configured(Path(sys.argv[1]), given)
    server.start()
    try:
        sys.stdout.write(f"{server.listen_port}\n")
        sys.stdout.flush()
        sys.stdin.read()
    finally:
        server.stop()
