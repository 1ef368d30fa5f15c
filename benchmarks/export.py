"""Measure exported files: agreement with the network on real crops, the loss of accuracy in int8, and time per image.

Accuracy: each network is exported in three precisions, compared on crops of the dataset in batches of 1, 4 and 17,
and the file in int8 (calibrated on training images) is evaluated on its test split beside the file in float32, without
flip test-time augmentation, by the distance of embeddings. ``--only`` replaces the entries of some networks.

Speed: CPU milliseconds per image of uint8 images of the network's size, preprocessing included, in one thread.
OpenVINO and torch.compile are left out where they are not installed.

usage: python benchmarks/export.py accuracy --data market1501:ZIP [--run NAME=RUN …] [--only NAME …]
       python benchmarks/export.py speed [--run NAME=RUN …] [--only NAME …] [--compile]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import passerby
from passerby.data.images.normalize import normalize_images
from passerby.data.registry import load as load_dataset
from passerby.export.onnx import export_onnx
from passerby.inference.session import TorchSession, network_inputs
from passerby.metrics.protocol import evaluate_embeddings
from passerby.models.registry import create_model
from passerby.training.run import environment
from passerby.types import Embeddings, EvalResult
from passerby.weights.catalog import CATALOG

PRECISIONS = ("float32", "float16", "int8")
BATCHES = {"resnet50": (1, 16)}
REPEATS = {1: 15, 16: 3, 64: 3}
Images = NDArray[np.uint8]


def opened(name: str, runs: dict[str, str]) -> passerby.Model:
    """Return a network: weights in the package, a run, or one of random weights, which is as fast as a trained one."""
    if name in CATALOG or name in runs:
        return passerby.load(runs.get(name, name), device="cpu", flip_tta=False)
    torch.manual_seed(0)
    if name == "resnet50":
        return passerby.Model(create_model("strong_baseline", backbone="resnet50").eval(), (256, 128))
    return passerby.Model(create_model(name).eval(), (256, 128))


def accuracy(name: str, arguments: argparse.Namespace, work: Path) -> dict[str, Any]:
    model, dataset = opened(name, arguments.runs), load_dataset(arguments.data)
    entry: dict[str, Any] = {"model": repr(model), "fingerprint": model.fingerprint, "files": {}}
    found: dict[str, tuple[Embeddings, Embeddings]] = {}
    for precision in PRECISIONS:
        start, file = time.process_time(), work / f"{name}-{precision}.onnx"
        done = export_onnx(model, file, crops=arguments.data, precision=precision)
        entry["files"][precision] = {
            "megabytes": round(done.size / 1e6, 2),
            "parity": done.parity.to_dict() | {"data": dataset.name},
            "export_cpu_seconds": round(time.process_time() - start, 1),
        }
        if done.quantization:
            entry["files"][precision] |= {"quantization": done.quantization.to_dict() | {"data": dataset.name}}
        if precision != "float16":
            served = passerby.load(file, device="cpu", flip_tta=False)
            found[precision] = tuple(served.embed_samples(dataset.source, s) for s in (dataset.query, dataset.gallery))
    protocol = replace(model.protocol_for(dataset), distance="global")
    (queries, gallery), (queries8, gallery8) = found["float32"], found["int8"]
    sides = {"float32": (queries, gallery), "int8": (queries8, gallery8), "int8 in float32": (queries8, gallery)}
    for label, (query, others) in sides.items():
        entry[label] = numbers(evaluate_embeddings(query, others, protocol))
    entry["int8_drop"] = {
        metric: round(entry["float32"][metric] - entry["int8"][metric], 3) for metric in ("rank-1", "mAP")
    }
    normal = torch.nn.functional.normalize
    cosine = (normal(gallery.embedding) * normal(gallery8.embedding)).sum(dim=1)
    entry["int8_cosine"] = {"mean": round(cosine.mean().item(), 5), "least": round(cosine.min().item(), 5)}
    entry["images"] = {"query": len(queries), "gallery": len(gallery)}
    return entry


def numbers(result: EvalResult) -> dict[str, float]:
    assert result.mean_ap is not None
    return {"rank-1": round(100 * result.rank1, 3), "mAP": round(100 * result.mean_ap, 3)}


def milliseconds(run: Callable[[Images], object], images: Images) -> float:
    run(images)
    taken = []
    for _ in range(REPEATS[len(images)]):
        start = time.process_time()
        run(images)
        taken.append(1000 * (time.process_time() - start) / len(images))
    return statistics.median(taken)


def ways(model: passerby.Model, name: str, work: Path, *, compiled: bool) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield what runs a network, by name."""
    network = model.network
    to_tensor = lambda images: torch.from_numpy(images).permute(0, 3, 1, 2)  # noqa: E731

    def eager(images: Images, run: Callable[..., Any] = network) -> Any:
        with torch.inference_mode():
            return run(normalize_images(to_tensor(images).contiguous(), model.normalization))

    yield "torch eager", eager

    def channels_last(images: Images) -> Any:
        inputs = network_inputs(to_tensor(images), None, torch.device("cpu"), model.normalization)
        with torch.inference_mode():
            return network(*inputs)

    yield "torch channels-last", channels_last
    session = TorchSession(network, normalization=model.normalization, folded=True)
    yield "passerby", lambda images: session.run(to_tensor(images))
    if compiled:
        fast = torch.compile(network)
        yield "torch.compile", lambda images: eager(images, fast)
    for precision in PRECISIONS:
        file = work / f"{name}-{precision}.onnx"
        export_onnx(model, file, precision=precision)
        served = passerby.load(file, device="cpu", flip_tta=False)
        yield f"onnxruntime {precision}", lambda images, served=served: served.session.run(to_tensor(images))
    try:
        import openvino
    except ImportError:
        return
    for precision in ("float32", "int8"):
        core = openvino.Core()
        settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
        graph = core.read_model(str(work / f"{name}-{precision}.onnx"))
        graph.reshape([-1, *model.size, 3])  # docs/export.md
        read = core.compile_model(graph, "CPU", settings)
        yield f"OpenVINO {precision}", read


def speed(name: str, arguments: argparse.Namespace, work: Path) -> dict[str, Any]:
    torch.set_num_threads(1)
    model = opened(name, arguments.runs)
    draw, (height, width) = np.random.default_rng(0), model.size
    batches = BATCHES.get(name, (1, 64))
    smooth = draw.integers(0, 256, (max(batches), height // 8, width // 8, 3), dtype=np.uint8)
    images = smooth.repeat(8, axis=1).repeat(8, axis=2)
    entry: dict[str, Any] = {"model": repr(model), "cpu_milliseconds_per_image": {}, "times_as_fast_as_eager": {}}
    for label, run in ways(model, name, work, compiled=arguments.compile):
        taken = {f"batch {size}": round(milliseconds(run, images[:size]), 2) for size in batches}
        entry["cpu_milliseconds_per_image"][label] = taken
        eager = entry["cpu_milliseconds_per_image"]["torch eager"]
        entry["times_as_fast_as_eager"][label] = {size: round(eager[size] / taken[size], 2) for size in taken}
        print(name, label, taken, flush=True)
    return entry


PARTS = {
    "accuracy": (accuracy, ("street", "osnet_x0_25", "strong_baseline", "aap_reid", "aanet", "dual_attention")),
    "speed": (speed, ("street", "osnet_x0_25", "resnet50")),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--data")
    parser.add_argument("--run", action="append", default=[], metavar="NAME=RUN")
    parser.add_argument("--only", action="append")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--work", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent / "results/export.json")
    arguments = parser.parse_args()
    arguments.runs = dict(each.split("=", 1) for each in arguments.run)
    measure, everything = PARTS[arguments.part]
    recorded: dict[str, Any] = json.loads(arguments.output.read_text()) if arguments.output.is_file() else {}
    with tempfile.TemporaryDirectory() as temporary:
        work = arguments.work or Path(temporary)
        for name in arguments.only or everything:
            entry = measure(name, arguments, work) | {"recorded": environment()}
            recorded.setdefault(arguments.part, {})[name] = entry
            arguments.output.write_text(json.dumps(recorded, indent=1) + "\n")
            shown = ("int8_drop", "int8_cosine", "float32", "int8", "int8 in float32", "cpu_milliseconds_per_image")
            print(name, {key: entry[key] for key in shown if key in entry}, flush=True)


if __name__ == "__main__":
    main()
