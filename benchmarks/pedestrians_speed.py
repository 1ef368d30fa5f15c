"""Speed of the generator: images per second, with labels, encoded and written.

usage: python benchmarks/pedestrians_speed.py [--workers 2] [--people 40] [-o benchmarks/results/pedestrians_speed.json]
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from passerby.synthetic.export import write_pedestrians
from passerby.synthetic.settings import Settings
from passerby.training.run import environment

SIZES = ((128, 64), (256, 128))


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and its finished children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def measure(size: tuple[int, int], people: int, workers: int) -> dict[str, Any]:
    """Measure with the start of the workers, and without: from the first images to the last."""
    settings = Settings(people=people, cameras=6, images=4, size=size)
    arrivals: list[tuple[float, int]] = []
    cpu, wall = cpu_seconds(), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        write_pedestrians(
            Path(folder) / "data",
            settings,
            workers=workers,
            progress=lambda images: arrivals.append((time.perf_counter(), images)),
        )
    wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
    images = sum(count for _, count in arrivals)
    steady = sum(count for _, count in arrivals[1:]) / (arrivals[-1][0] - arrivals[0][0])
    return {
        "images": images,
        "images_per_second": round(steady, 1),
        "images_per_second_with_start": round(images / wall, 1),
        "cpu_milliseconds_per_image": round(1000 * cpu / images, 1),
        "wall_seconds": round(wall, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).parent / "results" / "pedestrians_speed.json"
    parser.add_argument("-o", "--output", type=Path, default=default)
    parser.add_argument("--people", type=int, default=40)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    sizes = {f"{h}x{w}": measure((h, w), arguments.people, arguments.workers) for h, w in SIZES}
    result = {
        "what": f"{arguments.people} people, 6 cameras, 4 images each, default preset, {arguments.workers} worker "
        "processes of one thread; on a busy machine trust CPU milliseconds: workers × 1000 ÷ them is the quiet speed",
        "recorded": environment(),
        "workers": arguments.workers,
        "sizes": sizes,
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(result, indent=1) + "\n")
    for size, found in sizes.items():
        print(f"{size}: {found['images_per_second']} images/s, {found['cpu_milliseconds_per_image']} CPU ms each")


if __name__ == "__main__":
    main()
