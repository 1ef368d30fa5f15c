"""Galleries on disk: cost of search, memory, exactness, and what kills and full disks leave.

speed      CPU ms of a query alone and in batches of 20, with and without conditions, time to open, peak memory;
           every size in a process of its own, one thread
exact      1,000 random queries × conditions (none, 2.7 %, 0.05 % of rows): IDs and order against the ranking core
kills      SIGKILL at random moments of a process that adds, deletes and merges; what it acknowledged is checked
full       a tmpfs that fills up while rows are added (needs the right to mount)
clients    20 threads that ask 100,000 rows at once: joined into products, and one after another
fsync      the calls of one add and one delete, by strace
ingest     2,000 images of a dataset added, against the bare loop that embeds them, by turns in one process (--images)

usage: python benchmarks/gallery.py [speed exact kills full clients fsync ingest] [--sizes 100000 1000000] [-o FILE]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch

import passerby
from passerby.data.images.open import list_images
from passerby.data.source import Source
from passerby.errors import OutputError
from passerby.gallery.asking.batching import BatchedSearch
from passerby.gallery.ingest.inputs import Known, Part
from passerby.gallery.ingest.options import IngestOptions
from passerby.gallery.ingest.places import OnePart
from passerby.gallery.store import Store
from passerby.gallery.store.compact import SHARD_ROWS
from passerby.gallery.store.results import Found
from passerby.gallery.store.table import Facts
from passerby.gallery.store.verify import verify
from passerby.gallery.store.where import Where
from passerby.gallery.stored import StoredGallery
from passerby.inference.embeddings_file import Origin
from passerby.retrieval.ranking import top_k
from passerby.training.run import environment
from passerby.types import Embeddings, Sample

RESULTS = Path(__file__).parent / "results"
DIMENSIONS = 512
CAMERAS = 37
"""The number of cameras: one of them has 2.7 % of the rows."""
RARE = 2000
"""One row in so many has the rare tag: 0.05 %."""
ORIGIN = Origin("0123456789abcdef", "random", (256, 128), "")


def rows(count: int, seed: int, dimensions: int = DIMENSIONS) -> Embeddings:
    generator = torch.Generator().manual_seed(seed)
    embedding = torch.randn(count, dimensions, generator=generator)
    names = tuple(f"crops/camera_{seed:02}/{row:08}.jpg" for row in range(count))
    return Embeddings(embedding, names, camids=torch.randint(0, CAMERAS, (count,), generator=generator))


def facts(embeddings: Embeddings, **known: Any) -> Facts:
    return Facts(content=[hashlib.sha256(path.encode()).digest() for path in embeddings.paths], **known)


def build(folder: Path, count: int) -> tuple[Store, float]:
    """Return a gallery of random rows, and the CPU seconds that storing them took."""
    store, seconds = Store.create(folder, ORIGIN, DIMENSIONS), 0.0
    for seed, first in enumerate(range(0, count, SHARD_ROWS)):
        part = rows(min(SHARD_ROWS, count - first), seed)
        rare = torch.arange(first, first + len(part)) % RARE == 0
        known = facts(part)
        start = time.process_time()
        for chosen, tags in ((~rare, ()), (rare, ("rare",))):
            picked = chosen.nonzero().squeeze(1)
            contents = [known.content[row] for row in picked.tolist()]
            store.add(part[picked], Facts(content=contents, place="/data/crops", tags=tags))
        seconds += time.process_time() - start
    return store, seconds


def spent(function: Callable[[int], object], times: int = 15) -> dict[str, float]:
    """Return the median and the largest CPU milliseconds of a call."""
    function(times)
    found = []
    for turn in range(times):
        start = time.process_time()
        function(turn)
        found.append(1000 * (time.process_time() - start))
    return {"median": round(median(found), 2), "largest": round(max(found), 2)}


def resident() -> dict[str, float]:
    status = Path("/proc/self/status").read_text()
    found = {name: int(re.search(rf"{name}:\s+(\d+)", status)[1]) for name in ("VmHWM", "RssAnon", "RssFile")}  # type: ignore[index]
    names = {"VmHWM": "peak", "RssAnon": "own_now", "RssFile": "mapped_now"}
    return {f"{names[name]}_gigabytes": round(value / 1e6, 2) for name, value in found.items()}


def measured(folder: Path) -> dict[str, Any]:
    """Return the costs of searches in a gallery, in this process."""
    torch.set_num_threads(1)
    start, wall = time.process_time(), time.perf_counter()
    store = Store(folder)
    found: dict[str, Any] = {
        "rows": len(store),
        "shards": len(store.shards),
        "open_cpu_ms": round(1000 * (time.process_time() - start), 1),
        "open_seconds": round(time.perf_counter() - wall, 3),
    }
    queries = torch.randn(400, DIMENSIONS, generator=torch.Generator().manual_seed(99))
    start = time.process_time()
    store.search(queries[:1], 10)
    found["first_search_cpu_ms"] = round(1000 * (time.process_time() - start), 1)
    conditions = {"none": None, "2.7 % of rows": Where(cameras=[5]), "0.05 % of rows": Where(tags=["rare"])}
    conditions["97.3 % of rows"] = Where(not_cameras=[5])
    found["cpu_ms"] = {}
    for k in (10, 200):
        for name, where in conditions.items():
            alone = spent(lambda turn, k=k, where=where: store.search(queries[turn : turn + 1], k, where))
            found["cpu_ms"][f"top {k}, condition {name}"] = alone
        batch = spent(lambda turn, k=k: store.search(queries[20 * turn : 20 * turn + 20], k), 9)
        found["cpu_ms"][f"top {k}, in batches of 20, each"] = {name: round(v / 20, 2) for name, v in batch.items()}
    return {**found, **resident()}


def speed(sizes: list[int], work: Path) -> list[dict[str, Any]]:
    found = []
    for size in sizes:
        folder = work / f"speed{size}"
        _, seconds = build(folder, size)
        done = subprocess.run(
            [sys.executable, __file__, "--measure", str(folder)], capture_output=True, text=True, check=True
        )
        found.append({**json.loads(done.stdout), "store_cpu_microseconds_per_row": round(1e6 * seconds / size, 1)})
        print(json.dumps(found[-1], indent=1), flush=True)
        shutil.rmtree(folder)
    return found


def clients(work: Path, *, count: int = 20, each: int = 5) -> dict[str, Any]:
    """Return what concurrent clients wait, and what a query costs: joined into products, and one after another."""
    folder = work / "clients"
    build(folder, 100_000)
    queries = torch.randn(count * each, DIMENSIONS, generator=torch.Generator().manual_seed(7))
    found: dict[str, Any] = {"rows": 100_000, "clients": count, "queries": len(queries)}
    for k in (10, 200):
        batched, lock, store = BatchedSearch(Store(folder)), threading.Lock(), Store(folder)

        def joined(row: int, k: int = k, batched: BatchedSearch = batched) -> list[list[Found]]:
            return batched.search(queries[row : row + 1], k)

        def alone(row: int, k: int = k, store: Store = store, lock: threading.Lock = lock) -> list[list[Found]]:
            with lock:
                return store.search(queries[row : row + 1], k)

        for name, ask in (("joined", joined), ("one after another", alone)):
            ask(0)
            found[f"top {k}, {name}"] = asked_at_once(ask, count, each)
        found[f"top {k}, joined"]["products"] = batched.products - 1
    return found


def asked_at_once(ask: Callable[[int], object], count: int, each: int) -> dict[str, float]:
    """Return the waiting times of clients in milliseconds, and the CPU milliseconds of a query."""
    waits: list[float] = []
    start = threading.Barrier(count + 1)

    def client(number: int) -> None:
        start.wait()
        for turn in range(each):
            began = time.perf_counter()
            ask(number * each + turn)
            waits.append(1000 * (time.perf_counter() - began))

    threads = [threading.Thread(target=client, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    start.wait()
    began = time.process_time()
    for thread in threads:
        thread.join()
    spent_on = 1000 * (time.process_time() - began) / len(waits)
    ordered = sorted(waits)
    return {
        "p50_ms": round(ordered[len(ordered) // 2], 1),
        "p95_ms": round(ordered[int(0.95 * len(ordered))], 1),
        "cpu_ms_a_query": round(spent_on, 2),
    }


def exact(work: Path, *, size: int = 100_000, queries: int = 1000, k: int = 10) -> dict[str, Any]:
    """Return how many answers are those of the ranking core, and what the others differ by."""
    store, _ = build(work / "exact", size)
    order = torch.tensor([row for shard in store.shards for row in shard.ids.tolist()])
    everything = torch.cat([shard.embeddings(shard.ids - shard.ids[0]) for shard in store.shards])
    cameras = torch.cat([torch.from_numpy(shard.column("camid").to_numpy().copy()) for shard in store.shards])
    rare = torch.tensor([tag == "rare" for shard in store.shards for tag in shard.column("tags").to_pylist()])
    assert torch.equal(order, torch.arange(size))
    generator = torch.Generator().manual_seed(7)
    found: dict[str, Any] = {}
    for name, where, mask in (
        ("none", None, torch.ones(size, dtype=torch.bool)),
        ("2.7 % of rows", Where(cameras=[5]), cameras == 5),
        ("0.05 % of rows", Where(tags=["rare"]), rare),
    ):
        query = torch.randn(queries, DIMENSIONS, generator=generator)
        kept = mask.nonzero().squeeze(1)
        gallery = Embeddings(everything[kept], ("",) * len(kept))
        true = top_k(Embeddings(query, ("",) * queries), gallery, k)
        answers = store.search(query, k, where)
        ids = torch.tensor([[int(hit.shard.ids[hit.place]) for hit in hits] for hits in answers])
        expected = kept[true.indices]
        differing = (ids != expected).any(1)
        gaps = []
        for row in differing.nonzero().squeeze(1).tolist():
            places = (ids[row] != expected[row]).nonzero().squeeze(1)
            gaps.append((true.distances[row][places].max() - true.distances[row][places].min()).item())
        found[name] = {
            "rows": len(kept),
            "same_ids_and_order": int((~differing).sum()),
            "same_ids": int((ids.sort(1).values == expected.sort(1).values).all(1).sum()),
            "queries": queries,
            "largest_gap_of_exchanged_distances": max(gaps, default=0.0),
        }
        print(name, found[name], flush=True)
    return found


def killed(folder: Path, report: Path) -> None:
    """Add, delete and merge until killed; each acknowledged call is written to a file."""
    store, turn = Store(folder), 0
    with report.open("a", buffering=1) as log:
        while True:
            turn += 1
            part = rows(random.randint(1, 40), random.randint(0, 10**9), 64)
            log.write(json.dumps({"adding": list(part.paths)}) + "\n")
            ids = store.add(part, facts(part)).ids
            log.write(json.dumps({"added": dict(zip(ids, part.paths, strict=True))}) + "\n")
            live = store.ids()
            gone = random.sample(live, min(len(live), random.randint(0, 30)))
            log.write(json.dumps({"deleting": gone}) + "\n")
            store.delete(gone, scan=False)
            log.write(json.dumps({"deleted": gone}) + "\n")


def zygote(folder: Path, report: Path) -> None:
    """Start a process that writes for each line of the standard input, and print its ID: imports take longer."""
    for _ in sys.stdin:
        process = os.fork()
        if not process:
            random.seed(time.time_ns())
            killed(folder, report)
        print(process, flush=True)


def kills(work: Path, *, times: int = 50) -> dict[str, Any]:
    """Return what was found after each of many kills of a process that writes."""
    folder, report = work / "kills", work / "kills.log"
    Store.create(folder, ORIGIN, 64)
    random.seed(0)
    alive: dict[int, str] = {}
    dead: set[int] = set()
    found = {"kills": times, "acknowledged_calls": 0, "lost_rows": 0, "returned_rows": 0, "problems": 0}
    during: dict[str, int] = {}
    starter = subprocess.Popen(
        [sys.executable, __file__, "--zygote", str(folder), str(report)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    assert starter.stdin
    assert starter.stdout
    for _ in range(times):
        report.write_text("")
        starter.stdin.write("next\n")
        process = int(starter.stdout.readline())
        while not report.stat().st_size:
            time.sleep(0.02)
        time.sleep(random.uniform(0, 0.8))
        os.kill(process, signal.SIGKILL)
        while Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            time.sleep(0.01)
        events = [json.loads(line) for line in report.read_text().splitlines() if line.endswith("}")]
        pending_add: set[str] = set()
        pending_delete: set[int] = set()
        for event in events:
            ((kind, value),) = event.items()
            if kind == "adding":
                pending_add = set(value)
            elif kind == "added":
                alive |= {int(row): path for row, path in value.items()}
                pending_add = set()
            elif kind == "deleting":
                pending_delete = set(value)
            else:
                dead |= set(value)
                alive = {row: path for row, path in alive.items() if row not in dead}
                pending_delete = set()
            found["acknowledged_calls"] += kind in ("added", "deleted")
        last = next(iter(events[-1]))
        during[last] = during.get(last, 0) + 1
        store = Store(folder)
        here = {
            int(row): path
            for shard in store.shards
            for row, path in zip(shard.ids, shard.column("path").to_pylist(), strict=True)
        }
        lost = {row for row in alive if row not in here and row not in pending_delete}
        unknown = {row for row, path in here.items() if row not in alive and path not in pending_add}
        found["lost_rows"] += len(lost)
        found["returned_rows"] += len(set(here) & dead) + len(unknown)
        found["problems"] += len(verify(folder).problems)
        alive = dict(here)
    starter.terminate()
    starter.wait()
    return {**found, "last_line_before_the_kill": during, "rows_at_the_end": len(alive)}


def full(work: Path) -> dict[str, Any]:
    """Return what a disk that fills up does to a gallery: 24 MB of tmpfs."""
    place = work / "tmpfs"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", place], capture_output=True, text=True)
    if mounted.returncode:
        return {"skipped": f"mount: {mounted.stderr.strip()}"}
    try:
        store, acknowledged, error = Store.create(place / "g", ORIGIN, DIMENSIONS), 0, ""
        for seed in range(100):
            part = rows(1000, seed)
            try:
                acknowledged += len(store.add(part, facts(part)).ids)
            except OutputError as failed:
                error = str(failed)
                break
        again = Store(place / "g")
        return {
            "acknowledged_rows": acknowledged,
            "rows_there": len(again),
            "problems": len(verify(place / "g").problems),
            "error": error.replace(str(work), "…"),
        }
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)  # shards are still mapped


_ONE_OF_EACH = """
import sys
sys.path.insert(0, {here!r})
from pathlib import Path
from gallery import DIMENSIONS, ORIGIN, Store, facts, rows
store = Store.create(Path({folder!r}), ORIGIN, DIMENSIONS)
part = rows(20, 1)
print("add", flush=True)
store.add(part, facts(part))
print("delete", flush=True)
store.delete([3])
print("end", flush=True)
"""


def fsync(work: Path) -> dict[str, Any]:
    """Return the calls of the system that decide what is on the disk, in order, for one add and one delete."""
    code = _ONE_OF_EACH.format(here=str(Path(__file__).parent), folder=str(work / "traced"))
    calls = "trace=fsync,rename,renameat,renameat2,unlink,unlinkat,write"
    if shutil.which("strace") is None:
        return {"skipped": "strace is not installed"}
    done = subprocess.run(
        ["strace", "-f", "-y", "-s", "6", "-e", calls, sys.executable, "-c", code], capture_output=True, text=True
    )
    found: dict[str, list[str]] = {}
    step = None
    for line in done.stderr.splitlines():
        if said := re.search(r'write\(1<.*?"(add|delete|end)', line):
            step = said[1]
        elif step in ("add", "delete") and (call := _call(line)):
            found.setdefault(step, []).append(call)
    return found


def _call(line: str) -> str | None:
    if "/traced" not in line or "= -1" in line or re.search(r"/(lock|writer)\b", line):
        return None
    name = re.search(r"\b(fsync|rename\w*|unlink\w*|write)\(", line)
    paths = re.findall(r"/traced(/[\w.\-/]*)?", line)
    if name is None or not paths:
        return None
    short = " → ".join(re.sub(r"[0-9a-f]{16}\.arrow", "ID.arrow", path) or "/" for path in paths)
    return f"{name[1]} {short}"


def ingest(work: Path, images: str, *, run: str = "street-s", count: int = 2000, rounds: int = 3) -> dict[str, Any]:
    """Return what adding images costs, against embedding the same ones and keeping nothing, by turns in one process.

    The turns are of 500 images, since what else the machine does changes within a round.
    """
    model = passerby.load(run, device="cpu")
    source, samples = list_images(images, "gallery")
    blocks = [samples[first : first + 500] for first in range(0, count, 500)]
    model.embed_samples(source, samples[:128])
    spent: dict[str, list[tuple[float, float]]] = {"embed": [], "ingest": []}
    for turn in range(rounds):
        gallery = StoredGallery.create(model, work / f"{turn}.gallery")
        total = dict.fromkeys(spent, (0.0, 0.0))
        for number, block in enumerate(blocks):
            ways = {
                "embed": lambda block=block: model.embed_samples(source, block),
                "ingest": lambda block=block, gallery=gallery: added(gallery, source, block),
            }
            for name in [*ways][:: 1 - 2 * ((turn + number) % 2)]:
                cpu, wall = seconds_of(ways[name])
                total[name] = total[name][0] + cpu, total[name][1] + wall
        for name in spent:
            spent[name].append(total[name])
        print(turn, total, flush=True)
    small = StoredGallery.create(model, work / "thumbnails.gallery")
    options = IngestOptions(thumbnails=True, blur=True)
    thumbnails = seconds_of(lambda: added(small, source, blocks[0], options))[0]
    found: dict[str, Any] = {"model": run, "images": count, "rounds": rounds}
    for place, kind in enumerate(("cpu", "wall")):
        for name, seconds in spent.items():
            found[f"{name}_{kind}_ms_per_image"] = round(1000 * median(each[place] for each in seconds) / count, 2)
        shares = [a[place] / b[place] for a, b in zip(spent["embed"], spent["ingest"], strict=True)]
        found[f"rate_against_embed_by_{kind}"] = {"median": round(median(shares), 3), "least": round(min(shares), 3)}
    return {**found, "ingest_with_blurred_thumbnails_cpu_ms_per_image": round(1000 * thumbnails / len(blocks[0]), 2)}


def added(
    gallery: StoredGallery, source: Source, samples: Sequence[Sample], options: IngestOptions | None = None
) -> None:
    part = Part(source, samples, [Known()] * len(samples))
    result = gallery.ingest([OnePart(part)], options or IngestOptions())
    assert len(result.ids) + result.known == len(samples), result


def seconds_of(function: Callable[[], object]) -> tuple[float, float]:
    """Return the CPU seconds of this process and the seconds that a call takes."""
    cpu, wall = time.process_time(), time.perf_counter()
    function()
    return time.process_time() - cpu, time.perf_counter() - wall


def main() -> None:
    parts = {
        "speed": speed,
        "exact": exact,
        "kills": kills,
        "full": full,
        "clients": clients,
        "fsync": fsync,
        "ingest": ingest,
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help=", ".join(parts))
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--images", help="dataset for ingest (without one it is left out)")
    parser.add_argument("--work", type=Path, help="folder to work in (default a temporary one)")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--zygote", type=Path, nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "gallery.json")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.measure:
        print(json.dumps(measured(asked.measure)))
        return
    if asked.zygote:
        zygote(*asked.zygote)
        return
    found = json.loads(asked.output.read_text()) if asked.output.exists() else {}
    work = Path(tempfile.mkdtemp(prefix="gallery", dir=asked.work))
    try:
        for name in asked.parts or [part for part in parts if part != "ingest" or asked.images]:
            arguments = {"speed": (asked.sizes, work), "ingest": (work, asked.images)}.get(name, (work,))
            result = parts[name](*arguments)  # type: ignore[operator]
            command = f"python benchmarks/gallery.py {name}"
            command += f" --images {Path(asked.images).name}" if name == "ingest" else ""
            found[name] = {"recorded": {**environment(), "command": command}, "result": result}
            print(name, json.dumps(result, indent=1), flush=True)
            asked.output.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(f"{usage.ru_utime + usage.ru_stime:.0f} CPU s, and those of the processes that it started", os.getpid())


if __name__ == "__main__":
    main()
