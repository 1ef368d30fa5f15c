"""What retrieval costs here: time and memory of each operation, every one in a process of its own.

The embeddings are random people: a center each, and pictures around it, by six cameras. Times are those of the
operation; memory is the largest that the whole process ever had, with Python and torch, which alone take about a
quarter of a gigabyte.
"""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
_A_PERSON = 20
"""Pictures of each, about."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of one measurement."""

    queries: int = 3368
    gallery: int = 15913
    dimensions: int = 512
    stripes: int = 16
    channels: int = 128
    """Of a stripe."""
    threads: int = 1
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one operation, medians over its repeats."""

    operation: str
    cpu_seconds: float
    wall_seconds: float
    peak_gigabytes: float
    sizes: Sizes
    repeats: int


def people(sizes: Sizes, *, local: bool = False) -> tuple[Embeddings, Embeddings]:
    """Random query and gallery."""
    generator = torch.Generator().manual_seed(sizes.seed)
    n = sizes.queries + sizes.gallery
    persons = max(2, n // _A_PERSON)
    pids = torch.randint(persons, (n,), generator=generator)
    camids = torch.randint(CAMERAS, (n,), generator=generator)
    features = _around(pids, persons, (sizes.dimensions,), generator)
    stripes = None
    if local:
        stripes = F.normalize(_around(pids, persons, (sizes.stripes, sizes.channels), generator), dim=2)
    everything = Embeddings(features, tuple(map(str, range(n))), pids, camids, local=stripes)
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
"""What :func:`measure` knows: evaluation, search, re-ranked evaluation, evaluation by aligned stripes."""


def measure(operation: str, sizes: Sizes, *, repeats: int = 3) -> Cost:
    """Run an operation several times, each in a fresh process.

    Raises:
        ConfigError: if a process dies, most likely for want of memory.
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
            "likely for want of memory; ask for smaller sizes"
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
    except PasserbyError as error:  # of sizes that are too small
        answer.send(str(error))
        return
    answer.send((time.process_time() - cpu, time.perf_counter() - wall, _peak_gigabytes()))


def _peak_gigabytes() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Of the power of size that cost grows with: the slope of a straight line through their logarithms."""
    x, y = (torch.tensor(values, dtype=torch.float64).log() for values in (sizes, costs))
    return (((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).pow(2).sum()).item()
