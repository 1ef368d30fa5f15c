"""Compare the embedding of image files with torchreid's FeatureExtractor: the same network, files and thread.

Decoding and resizing count. Each measurement has its own process; toolkits alternate. torchreid's imports that
embedding does not need (drawing, downloads) are replaced by empty modules where they are not installed.

usage: python benchmarks/peers/install.py FOLDER
       python benchmarks/peers/embed.py FOLDER --weights osnet_x0_25.pth --images DIRECTORY [--repeats 3] [-o FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import types
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import torch

from passerby.training.run import environment

SIDES = ("torchreid", "passerby", "passerby onnxruntime")
BATCH, ALONE = 64, 30
"""The number of images at once, and how many are embedded one by one."""
Embed = Callable[[list[str]], torch.Tensor]


def of_torchreid(folder: Path, weights: Path) -> Embed:
    sys.path[:0] = [str(folder / "torchreid")]
    # torchvision's operators in C++ need CUDA's libraries; its transforms, which are all that is used, do not
    operators = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision  # noqa: F401

    missing = [name for name in ("cv2", "gdown", "yacs") if find_spec(name) is None]
    for name in missing:
        sys.modules[name] = sys.modules[f"{name}.config"] = MagicMock(spec=types.ModuleType)
    from torchreid.reid.utils import FeatureExtractor

    extract = FeatureExtractor(
        model_name="osnet_x0_25", model_path=str(weights), image_size=(256, 128), device="cpu", verbose=False
    )
    return lambda paths: torch.cat([extract(paths[i : i + BATCH]) for i in range(0, len(paths), BATCH)])


def of_passerby(side: str, weights: Path) -> Embed:
    import passerby

    model = passerby.load(weights, device="cpu", model="osnet_x0_25")
    if "onnxruntime" in side:
        from passerby.export.onnx import export_onnx

        file = weights.with_name("model.onnx") if os.access(weights.parent, os.W_OK) else Path("model.onnx")
        export_onnx(model, file)
        model = passerby.load(file, device="cpu")
        file.unlink()
    return lambda paths: model.embed(paths).embedding


def measure(side: str, folder: Path, weights: Path, images: Path) -> dict[str, Any]:
    torch.set_num_threads(1)
    paths = sorted(str(path) for path in images.iterdir() if path.suffix == ".jpg")
    embed = of_torchreid(folder, weights) if side == "torchreid" else of_passerby(side, weights)
    embed(paths[:BATCH])
    found: dict[str, Any] = {}
    cpu, wall = time.process_time(), time.perf_counter()
    rows = embed(paths)
    found["batches"] = 1000 * (time.process_time() - cpu) / len(paths)
    found["batches, wall"] = 1000 * (time.perf_counter() - wall) / len(paths)
    taken = []
    for path in paths[:ALONE]:
        cpu = time.process_time()
        embed([path])
        taken.append(1000 * (time.process_time() - cpu))
    found["alone"] = statistics.median(taken)
    found["images"] = len(paths)
    np.save(f"{side}.npy", torch.nn.functional.normalize(rows.float()).numpy())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--side", choices=SIDES, help="measure this one, in this process")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parents[1] / "results/peers_embed.json")
    asked = parser.parse_args()
    if asked.side:
        print(json.dumps(measure(asked.side, asked.folder, asked.weights, asked.images)))
        return
    runs: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    common = ["--weights", str(asked.weights.resolve()), "--images", str(asked.images.resolve())]
    for _ in range(asked.repeats):
        for side in SIDES:
            command = [sys.executable, __file__, str(asked.folder.resolve()), *common, "--side", side]
            paths = [str(asked.folder.resolve() / "torchvision"), os.environ.get("PYTHONPATH", "")]
            env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, paths))}
            done = subprocess.run(command, check=True, capture_output=True, text=True, env=env, cwd=asked.folder)
            runs[side].append(json.loads(done.stdout.splitlines()[-1]))
            print(side, runs[side][-1], flush=True)
    rows = {side: np.load(asked.folder / f"{side}.npy") for side in SIDES}
    names = ("batches", "batches, wall", "alone")
    medians = {side: {n: round(statistics.median(r[n] for r in runs[side]), 2) for n in names} for side in SIDES}
    theirs = medians["torchreid"]
    result = {
        "what": "milliseconds per image file, decoding included, one thread, osnet_x0_25, 256×128: files in batches of "
        f"{BATCH}, and one file alone; CPU time unless wall is said; medians of {asked.repeats}",
        "recorded": environment() | {"threads": 1},
        "images": runs["torchreid"][0]["images"],
        "milliseconds": medians,
        "times_as_fast_as_torchreid": {s: {n: round(theirs[n] / medians[s][n], 2) for n in names} for s in SIDES},
        "least_cosine_with_torchreid": {
            side: round(float((rows[side] * rows["torchreid"]).sum(axis=1).min()), 6) for side in SIDES
        },
    }
    asked.output.write_text(json.dumps(result, indent=1) + "\n")
    print(result["times_as_fast_as_torchreid"])


if __name__ == "__main__":
    main()
