"""Heads above the crops of ``attention_driven``: how often R_0 of Eq 1–2 cuts the crown, with and without the neck.

The reference on Market-1501 is the first of the 14 points of ``market1501_body_point``, the top of the head, which no
region is computed from; it was *predicted by a network*. Only images count where it lies inside. Regions come from the
package's pose network and from the other 13 points of those files, whose eyes, nose and ears canonical poses fill.

usage: python benchmarks/crowns.py --market market1501:ZIP --points FOLDER [--images 600]
           [-o benchmarks/results/crowns.json]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, get_args

import h5py
import numpy as np
from numpy.typing import NDArray

from passerby.data.dataset import Dataset
from passerby.data.images.decode import read_all
from passerby.data.keypoints.canonical import shipped_canonical_poses
from passerby.data.keypoints.crops import PartCutter
from passerby.data.keypoints.estimator import Keypoints
from passerby.data.keypoints.files import BODY_POINTS, market_keypoints
from passerby.data.keypoints.regions import Head
from passerby.data.registry import load
from passerby.data.source import open_source
from passerby.models.keypoints.estimator import shipped_pose_estimator
from passerby.training.run import environment
from passerby.types import Sample

SIZE, SEED = (128, 64), 0
FOLDER = "query"


def crowns(market: Dataset, points: Path) -> dict[str, float]:
    """Return the y of the top of the head in pixels, by the names of the query images."""
    with h5py.File(points / BODY_POINTS[FOLDER]) as file:
        places = np.asarray(file["pp"], np.float64)  # (n, 28): x, then y, from 1 at the center of the first pixel
    names = sorted(sample.path for sample in market.query)
    return dict(zip(names, (places[:, places.shape[1] // 2] - 0.5).tolist(), strict=True))


def chosen_images(market: Dataset, known: dict[str, float], images: int) -> list[Sample]:
    """Return random query images whose crown lies inside the image."""
    inside = [sample for sample in market.query if known[sample.path] >= 0]
    order = np.random.default_rng(SEED).permutation(len(inside))[:images]
    return [inside[row] for row in sorted(order.tolist())]


def measured(keypoints: Keypoints, crown: NDArray[np.float64], head: Head) -> dict[str, Any]:
    """Return the share of crowns above R_0, and by how much of the image's height R_0 begins above the crown."""
    cutter = PartCutter(canonical=shipped_canonical_poses(), head=head)
    found = cutter.rectangles(keypoints, SIZE)
    margin = (crown - found.whole[:, 1]) / SIZE[0]
    return {
        "head": head,
        "crowns_cut": round(float((margin < 0).mean()), 4),
        "cut_by_more_than_2_percent": round(float((margin < -0.02).mean()), 4),
        "median_margin": round(float(np.median(margin)), 4),
        "by_mean_pose": int(found.by_mean_pose.sum()),
    }


def _command(arguments: argparse.Namespace) -> str:
    """Return the command without the paths of this machine."""
    return (
        f"python benchmarks/crowns.py --market market1501:{Path(arguments.market).name} --points "
        f"{arguments.points.name} --images {arguments.images}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--market", required=True)
    parser.add_argument("--points", required=True, type=Path)
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    market = load(arguments.market)
    known = crowns(market, arguments.points)
    samples = chosen_images(market, known, arguments.images)
    names = [sample.path for sample in samples]
    crown = np.array([known[name] for name in names])
    images = read_all(market.source, samples, SIZE)
    annotated = market_keypoints(open_source(arguments.points), market.source.names())
    keypoints = {"pose network": shipped_pose_estimator()(names, images), "body points": annotated(names)}
    result: dict[str, Any] = {
        "what": "crowns of Market-1501 above the whole-body crop R_0, by the keypoints of the head region",
        "recorded": environment() | {"command": _command(arguments)},
        "images": len(samples),
        "regions": {
            source: [measured(found, crown, head) for head in get_args(Head)] for source, found in keypoints.items()
        },
    }
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    for source, rows in result["regions"].items():
        for row in rows:
            print(f"{source}: {row}")


if __name__ == "__main__":
    main()
