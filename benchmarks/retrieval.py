"""Time and memory of evaluation, search and re-ranking on this machine, each measured in its own process.

The embeddings are random: every person has a center, with images around it by six cameras. Times are those of the
operation; memory is the peak of the whole process, of which Python and torch alone take about 0.25 GB.

usage: python benchmarks/retrieval.py [--only OPERATION …] [--queries 3368] [--gallery 15913] [--json]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from passerby.errors import ConfigError, PasserbyError
from passerby.metrics.protocol import evaluate_embeddings
from passerby.retrieval.ranking import top_k
from passerby.types import Embeddings, Protocol, Rerank

CAMERAS = 6
IMAGES_PER_PERSON = 20
"""The mean number of images of a person."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes of one measurement; those of Market-1501 by default."""

    queries: int = 3368
    gallery: int = 15913
    dimensions: int = 512
    stripes: int = 16
    channels: int = 128
    """The number of dimensions of a stripe."""
    threads: int = 1
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one operation: medians over its repeats."""

    operation: str
    cpu_seconds: float
    wall_seconds: float
    peak_gigabytes: float
    sizes: Sizes
    repeats: int


def people(sizes: Sizes, *, local: bool = False) -> tuple[Embeddings, Embeddings]:
    """Return random query and gallery embeddings."""
    generator = torch.Generator().manual_seed(sizes.seed)
    n = sizes.queries + sizes.gallery
    persons = max(2, n // IMAGES_PER_PERSON)
    pids = torch.randint(persons, (n,), generator=generator)
    camids = torch.randint(CAMERAS, (n,), generator=generator)
    embedding = _around(pids, persons, (sizes.dimensions,), generator)
    stripes = None
    if local:
        stripes = F.normalize(_around(pids, persons, (sizes.stripes, sizes.channels), generator), dim=2)
    everything = Embeddings(embedding, tuple(map(str, range(n))), pids, camids, local=stripes)
    return everything[torch.arange(sizes.queries)], everything[torch.arange(sizes.queries, n)]


def _around(pids: Tensor, persons: int, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    rows = torch.randn(len(pids), *shape, generator=generator)
    rows += torch.randn(persons, *shape, generator=generator)[pids]
    return rows


def _evaluate(sizes: Sizes) -> Callable[[], object]:
    return partial(evaluate_embeddings, *people(sizes))


def _top_k(sizes: Sizes) -> Callable[[], object]:
    return partial(top_k, *people(sizes), min(50, sizes.gallery))


def _rerank(sizes: Sizes) -> Callable[[], object]:
    return partial(evaluate_embeddings, *people(sizes), Protocol(rerank=Rerank()))


def _dmli(sizes: Sizes) -> Callable[[], object]:
    return partial(evaluate_embeddings, *people(sizes, local=True), Protocol(distance="local"))


OPERATIONS: dict[str, Callable[[Sizes], Callable[[], object]]] = {
    "evaluate": _evaluate,
    "top-50": _top_k,
    "re-rank": _rerank,
    "dmli": _dmli,
}
"""The operations: evaluation, search, re-ranked evaluation, evaluation by aligned stripes (DMLI)."""


def measure(operation: str, sizes: Sizes, *, repeats: int = 3) -> Cost:
    """Run an operation several times, each in a fresh process, and return the median costs.

    Raises:
        ConfigError: if a process dies, most likely out of memory.
    """
    runs = [_in_a_process(operation, sizes) for _ in range(repeats)]
    cpu, wall, peak = (statistics.median(column) for column in zip(*runs, strict=True))
    return Cost(operation, round(cpu, 3), round(wall, 3), round(peak, 3), sizes, repeats)


def _in_a_process(operation: str, sizes: Sizes) -> tuple[float, float, float]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(operation, sizes, theirs))
    process.start()
    theirs.close()
    try:
        found: tuple[float, float, float] | str = ours.recv()
    except EOFError:
        process.join()
        raise ConfigError(
            f"{operation} of {sizes.queries:,} × {sizes.gallery:,} ended with exit code {process.exitcode}, most "
            "likely out of memory. Fix: choose smaller sizes"
        ) from None
    process.join()
    if isinstance(found, str):
        raise ConfigError(f"{operation} of {sizes.queries:,} × {sizes.gallery:,} cannot be measured: {found}")
    return found


def _run(operation: str, sizes: Sizes, answer: Any) -> None:
    torch.set_num_threads(sizes.threads)
    work = OPERATIONS[operation](sizes)
    cpu, wall = time.process_time(), time.perf_counter()
    try:
        work()
    except PasserbyError as error:  # sizes that are too small
        answer.send(str(error))
        return
    answer.send((time.process_time() - cpu, time.perf_counter() - wall, _peak_gigabytes()))


def _peak_gigabytes() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Return e of cost ~ size^e: the slope of the least-squares line through the logarithms."""
    x, y = (torch.tensor(values, dtype=torch.float64).log() for values in (sizes, costs))
    return (((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).pow(2).sum()).item()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sizes = Sizes()
    add = parser.add_argument
    add("--queries", type=int, default=sizes.queries, help="query images (default %(default)s, Market-1501's)")
    add("--gallery", type=int, default=sizes.gallery, help="gallery images (default %(default)s, Market-1501's)")
    add("--dimensions", type=int, default=sizes.dimensions, help="dimensions of an embedding (default %(default)s)")
    add("--only", action="append", choices=list(OPERATIONS), help="repeatable (default all but dmli)")
    add("--stripes", type=int, default=sizes.stripes, help="stripes per image, for dmli (default %(default)s)")
    add("--channels", type=int, default=sizes.channels, help="dimensions of a stripe, for dmli (default %(default)s)")
    add("--threads", type=int, default=sizes.threads, help="threads (default %(default)s)")
    add("--repeats", type=int, default=3, help="measurements, of which the median counts (default %(default)s)")
    add("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    asked = Sizes(**{name: getattr(options, name) for name in asdict(sizes) if name != "seed"})
    costs = []
    for name in options.only or ("evaluate", "top-50", "re-rank"):
        cost = measure(name, asked, repeats=options.repeats)
        costs.append(asdict(cost))
        if not options.json:
            print(
                f"{name}: {cost.cpu_seconds:.2f} CPU seconds, {cost.wall_seconds:.2f} by the clock, "
                f"peak {cost.peak_gigabytes:.2f} GB"
            )
    if options.json:
        print(json.dumps(costs, indent=2))


if __name__ == "__main__":
    main()
