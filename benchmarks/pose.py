"""Keypoints on Market-1501: a fixed mean pose, OpenVINO's network with 18 keypoints, and the pose network of passerby.

The reference is ``market1501_body_point``: 13 of OpenPose's keypoints per image, *predicted by a network*, so that PCK
is agreement with another estimator, not accuracy. PCK is relative to the image height (``box``) and to the extent from
the topmost to the lowest keypoint (``joints``). The mean pose is that of the training images; OpenVINO's network runs
at the size that is best of four on training images. Everything is reported on the query images, for the pose network
also on unseen synthetic people.

The neck of these files is another place than OpenPose's, which is midway between the shoulders. All numbers are given
with both, and without a neck.

usage: python benchmarks/pose.py --market market1501:ZIP --points FOLDER [--openpose FILE.xml] [--network RUN]
           [--threads 2] [-o benchmarks/results/pose.json]
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from passerby.data.dataset import Dataset
from passerby.data.images.decode import read_all
from passerby.data.keypoints.dataset import PoseSet, read_pose_set
from passerby.data.keypoints.estimator import Keypoints, PoseEstimator
from passerby.data.keypoints.files import market_keypoints
from passerby.data.keypoints.skeleton import KEYPOINT_NAMES
from passerby.data.registry import load
from passerby.data.source import open_source
from passerby.models.keypoints.estimator import SHIPPED, NetworkPoseEstimator, load_pose_network
from passerby.models.keypoints.heatmaps import openvino_pose_estimator
from passerby.training.pose.training import measure_pck
from passerby.training.run import environment

SIZE = (128, 64)
OPENPOSE_SIZES = ((128, 64), (192, 96), (256, 128), (384, 192))
SYNTHETIC = "pedestrians:people=100,cameras=6,images=2,seed=1"


class MeanPose:
    """A pose estimator that returns the same keypoints for every image."""

    def __init__(self, people: PoseSet) -> None:
        known = people.confidence[..., None]
        self.mean = (people.keypoints * known).sum(0) / known.sum(0).clamp_min(1)

    def __call__(self, names: Any, images: torch.Tensor) -> Keypoints:  # noqa: ARG002 - the protocol's
        n = len(images)
        return Keypoints(self.mean.expand(n, -1, -1).numpy(), np.ones((n, len(KEYPOINT_NAMES)), np.float32))


@dataclass(frozen=True)
class Known:
    """A pose estimator that returns known keypoints, to measure them in several ways."""

    keypoints: Keypoints

    def __call__(self, names: Any, images: torch.Tensor) -> Keypoints:  # noqa: ARG002 - the protocol's
        return self.keypoints


def market_set(market: Dataset, points: Path, split: str, every: int = 1, *, own_neck: bool = True) -> PoseSet:
    """Return every ``every``-th image of a split with the reference keypoints."""
    samples = getattr(market, split)[::every]
    annotations = market_keypoints(open_source(points), market.source.names(), own_neck=own_neck)
    keypoints = annotations([s.path for s in samples])
    images = read_all(market.source, samples, SIZE)
    return PoseSet(images, torch.from_numpy(keypoints.xy), torch.from_numpy(keypoints.confidence))


def milliseconds(estimator: PoseEstimator, images: torch.Tensor, repeats: int = 5) -> float:
    """Return the wall time per image, the best of some runs."""
    names = ["x"] * len(images)
    estimator(names, images)
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        estimator(names, images)
        times.append(time.perf_counter() - started)
    return round(1000 * min(times) / len(images), 2)


def openpose(path: Path, training: PoseSet) -> tuple[PoseEstimator, dict[str, Any]]:
    """Return OpenVINO's network at the size that is best on training images."""
    found = {
        size: measure_pck(openvino_pose_estimator(path, size=size), training)["box"]["pck_5"] for size in OPENPOSE_SIZES
    }
    best = max(found, key=lambda size: found[size])
    tried = {f"{height}x{width}": share for (height, width), share in found.items()}
    return openvino_pose_estimator(path, size=best), {"size": list(best), "pck_5_on_training_pictures": tried}


def _command(arguments: argparse.Namespace) -> str:
    """Return the command without the paths of this machine."""
    openpose_file = f" --openpose {arguments.openpose.name}" if arguments.openpose else ""
    return (
        f"python benchmarks/pose.py --market market1501:{Path(arguments.market).name} --points {arguments.points.name}"
        f"{openpose_file} --threads {arguments.threads} --every {arguments.every} --synthetic {arguments.synthetic}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).parent / "results" / "pose.json"
    parser.add_argument("--market", required=True)
    parser.add_argument("--points", required=True, type=Path)
    parser.add_argument("--openpose", type=Path)
    parser.add_argument("--network", type=Path, default=SHIPPED)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--every", type=int, default=1, help="measure every n-th query image")
    parser.add_argument("--synthetic", default=SYNTHETIC)
    parser.add_argument("-o", "--output", type=Path, default=default)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    market = load(arguments.market)
    training = market_set(market, arguments.points, "train", every=25)
    query = market_set(market, arguments.points, "query", every=arguments.every)
    network = load_pose_network(arguments.network)
    ours, once = NetworkPoseEstimator(network), NetworkPoseEstimator(network, flip_tta=False)
    estimators: dict[str, PoseEstimator] = {"mean_pose": MeanPose(training), "ours": ours, "ours_without_mirror": once}
    result: dict[str, Any] = {
        "what": "PCK (share of keypoints within 5 % and 10 % of a height) against market1501_body_point, which a "
        "network predicted, on Market-1501's query images",
        "recorded": {**environment(), "command": _command(arguments)},
        "network": json.loads((arguments.network / "model.json").read_text()),
    }
    if arguments.openpose:
        estimators["openvino"], result["openvino"] = openpose(arguments.openpose, training)
    found = {name: Known(estimator([""] * len(query), query.images)) for name, estimator in estimators.items()}
    result["market1501_query"] = {name: measure_pck(known, query) for name, known in found.items()}
    without = replace(query, confidence=query.confidence.clone())
    without.confidence[:, KEYPOINT_NAMES.index("neck")] = 0
    result["market1501_query_without_neck"] = {
        name: measure_pck(known, without)["box"] for name, known in found.items()
    }
    shoulders = market_set(market, arguments.points, "query", every=arguments.every, own_neck=False)
    mean = MeanPose(market_set(market, arguments.points, "train", every=25, own_neck=False))
    found["mean_pose"] = Known(mean([""] * len(query), query.images))
    result["market1501_query_neck_of_openpose"] = {name: measure_pck(known, shoulders) for name, known in found.items()}
    people = load(arguments.synthetic)
    unseen = read_pose_set(people.source, (*people.query, *people.gallery), SIZE)
    result["synthetic"] = {
        "data": arguments.synthetic,
        **{name: measure_pck(estimator, unseen) for name, estimator in estimators.items() if name != "mean_pose"},
    }
    result["milliseconds_a_picture"] = {
        "threads": torch.get_num_threads(),
        "one": milliseconds(ours, query.images[:1], repeats=50),
        "batch_of_64": milliseconds(ours, query.images[:64]),
        "batch_of_64_without_mirror": milliseconds(once, query.images[:64]),
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")
    for data in ("market1501_query", "market1501_query_neck_of_openpose", "synthetic"):
        for name in estimators:
            if name in result[data]:
                box, extent = (result[data][name][height] for height in ("box", "joints"))
                print(
                    f"{data} {name}: PCK at 5 % {box['pck_5']:.1%}, at 10 % {box['pck_10']:.1%}; of the keypoints' "
                    f"extent {extent['pck_5']:.1%}, {extent['pck_10']:.1%}"
                )
    print(result["milliseconds_a_picture"])


if __name__ == "__main__":
    main()
