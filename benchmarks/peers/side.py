"""Time one operation of one toolkit, from embeddings to metrics, in this process (``compare.py`` starts it)."""

from __future__ import annotations

import argparse
import importlib
import json
import resource
import sys
import time
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import normalize

Arrays = dict[str, Any]
Work = Callable[[], dict[str, float]]


def shell_of(package: str, folder: Path) -> None:
    """Register a package without running its ``__init__``, which imports what retrieval does not need."""
    module = types.ModuleType(package)
    module.__path__ = [str(folder.joinpath(*package.split(".")))]
    sys.modules[package] = module


def of_torchreid(
    folder: Path, root: str, inner: str
) -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
    packages = [root, *([f"{root}.{inner}"] if inner else [])]
    base = packages[-1]
    for package in (*packages, f"{base}.metrics", f"{base}.utils", f"{base}.metrics.rank_cylib"):
        shell_of(package, folder)
    rank = importlib.import_module(f"{base}.metrics.rank")
    distance = importlib.import_module(f"{base}.metrics.distance")
    rerank = importlib.import_module(f"{base}.utils.rerank")
    print(f"{root}: compiled evaluator: {rank.IS_CYTHON_AVAI}", file=sys.stderr)
    return distance.compute_distance_matrix, rank.evaluate_rank, rerank.re_ranking


def of_fastreid(folder: Path) -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
    sys.path.append(str(folder))  # for faiss, which its distances import
    for package in ("fastreid", "fastreid.evaluation", "fastreid.utils"):
        shell_of(package, folder)
    rank = importlib.import_module("fastreid.evaluation.rank")
    distance = importlib.import_module("fastreid.utils.compute_dist")
    rerank = importlib.import_module("fastreid.evaluation.rerank")
    print(f"fastreid: compiled evaluator: {rank.IS_CYTHON_AVAI}", file=sys.stderr)
    return distance.build_dist, rank.evaluate_rank, rerank.re_ranking


def theirs(side: str, task: str, folder: Path, arrays: Arrays) -> Work:
    """Return what the toolkit's own engine does: normalize, distances of all pairs, re-rank, evaluate."""
    if side == "fastreid":
        between, evaluate, re_rank = of_fastreid(folder / side)
    else:
        root, inner = ("torchreid", "reid") if side == "torchreid" else ("pyppbox_torchreid", "")
        between, evaluate, re_rank = of_torchreid(folder / side, root, inner)

    def distances(x: torch.Tensor, y: torch.Tensor) -> Any:
        found = between(x, y, metric="euclidean")
        return found.numpy() if isinstance(found, torch.Tensor) else found

    def work() -> dict[str, float]:
        q, g = (normalize(torch.from_numpy(arrays[f"{s}_f"])) for s in ("query", "gallery"))
        found = distances(q, g)
        if task == "re-rank":
            found = re_rank(found, distances(q, q), distances(g, g), k1=20, k2=6, lambda_value=0.3)
        labels = [arrays[f"{s}_{name}"] for name in ("pid", "cam") for s in ("query", "gallery")]
        numbers = evaluate(found, *labels)
        return {"rank1": float(numbers[0][0]), "mean_ap": float(np.mean(numbers[1]))}

    return work


def ours(task: str, arrays: Arrays) -> Work:
    from passerby.metrics.protocol import evaluate_embeddings
    from passerby.types import Embeddings, Protocol, Rerank

    def work() -> dict[str, float]:
        query, gallery = (
            Embeddings(
                torch.from_numpy(arrays[f"{s}_f"]),
                tuple(map(str, range(len(arrays[f"{s}_f"])))),
                torch.from_numpy(arrays[f"{s}_pid"]),
                torch.from_numpy(arrays[f"{s}_cam"]),
            )
            for s in ("query", "gallery")
        )
        protocol = Protocol(rerank=Rerank(torchreid_compat=True) if task == "re-rank" else None)
        result = evaluate_embeddings(query, gallery, protocol)
        assert result.mean_ap is not None
        return {"rank1": result.rank1, "mean_ap": result.mean_ap}

    return work


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("side", choices=["passerby", "torchreid", "pyppbox", "fastreid"])
    parser.add_argument("task", choices=["evaluate", "re-rank"])
    parser.add_argument("arrays", type=Path)
    parser.add_argument("folder", type=Path)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    with np.load(asked.arrays) as stored:
        arrays = dict(stored)
    work = (
        ours(asked.task, arrays) if asked.side == "passerby" else theirs(asked.side, asked.task, asked.folder, arrays)
    )
    cpu, wall = time.process_time(), time.perf_counter()
    numbers = work()
    taken = {
        "cpu_seconds": time.process_time() - cpu,
        "wall_seconds": time.perf_counter() - wall,
        "peak_gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
    }
    print(json.dumps({**{name: round(value, 4) for name, value in taken.items()}, "numbers": numbers}))


if __name__ == "__main__":
    main()
