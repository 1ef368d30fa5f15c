"""Groups that a gallery on disk proposes (``passerby gallery group``), against the known people.

Pairwise precision and recall by the radius, on synthetic people and on the first people of a data set's gallery and
query images together; with and without the frame numbers, which say that two rows of one frame are different people.
Person IDs are used to measure only.

usage: python benchmarks/groups.py [--run street] [--market PATH] [--people 100] [--radii 0.6 0.7 …] [-o FILE]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import passerby
from passerby.data.dataset import Dataset
from passerby.data.images.open import open_images
from passerby.gallery.feedback.groups import Grouping, agreement, known_people
from passerby.gallery.store import Store
from passerby.gallery.store.table import Facts
from passerby.inference.model import Model
from passerby.training.run import environment
from passerby.types import Embeddings, Role

RESULTS = Path(__file__).parent / "results"
WORLD = "pedestrians:people=80,cameras=4,images=2"


def embedded(model: Model, data: Dataset, people: int) -> Embeddings:
    """Return the query and gallery images of the first people, embedded."""
    samples = [each for each in (*data.query, *data.gallery) if each.role is Role.PERSON]
    chosen = sorted({each.pid for each in samples})[:people]
    return model.embed_samples(data.source, [each for each in samples if each.pid in chosen])


def grouped(model: Model, rows: Embeddings, radii: list[float]) -> list[dict[str, Any]]:
    """Return how well groups agree with people, by radius."""
    found = []
    for frames in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            store = Store.create(Path(folder) / "g", model.origin(), model.embedding_size)
            store.add(rows, Facts(content=[hashlib.sha256(path.encode()).digest() for path in rows.paths]))
            for radius in radii:
                start = time.process_time()
                proposed = Grouping(store).propose(radius=radius, frames=frames)
                seconds = time.process_time() - start
                groups = Grouping(store).all()
                precision, recall = agreement(groups, known_people(store))
                found.append(
                    {
                        "frames": frames,
                        "radius": radius,
                        "precision": None if precision is None else round(precision, 4),
                        "recall": None if recall is None else round(recall, 4),
                        "groups": len(groups),
                        "rows_in_groups": sum(len(each.rows) for each in groups),
                        "contradictions": proposed.contradictions,
                        "cpu_seconds": round(seconds, 2),
                    }
                )
                print(found[-1], flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="street")
    parser.add_argument("--market", help="Market-1501; without it, synthetic people only")
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("--radii", type=float, nargs="+", default=[0.4, 0.5, 0.6, 0.7, 0.8])
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "groups.json")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    model = passerby.load(asked.run)
    places = {"synthetic people": WORLD, **({"Market-1501": asked.market} if asked.market else {})}
    results = json.loads(asked.output.read_text()) if asked.output.exists() else {}
    for name, place in places.items():
        rows = embedded(model, open_images(place), asked.people)
        assert rows.pids is not None
        results[name] = {
            "recorded": {**environment(), "command": f"python benchmarks/groups.py --run {asked.run}"},
            "people": len(set(rows.pids.tolist())),
            "images": len(rows),
            "result": grouped(model, rows, asked.radii),
        }
        asked.output.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
