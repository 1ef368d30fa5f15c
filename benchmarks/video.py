"""Videos into galleries: tracklets, crops, CPU time by part, and which other tracklets a crop finds.

The video is looked through with the detector in the package, its crops are embedded and searched for: one crop of each
tracklet, the middle one, against the crops of all others. Where ``--people`` says which tracklets are of one person,
as somebody saw, it is counted whether the first tracklet found is of that person, and the average precision over
tracklets; a tracklet of several people may be named with each. ``--frames`` says how many people somebody counted in
frames, to be compared with the boxes of the detector there. Only numbers are written.

usage: python benchmarks/video.py VIDEO [--run RUN] [--gallery FOLDER] [--people FILE] [--frames FILE] [-o FILE]
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import passerby
from passerby.data.images.open import QueryImage
from passerby.data.video.frames import Video
from passerby.gallery import StoredGallery
from passerby.gallery.ingest.options import IngestOptions
from passerby.gallery.ingest.video import VideoInput
from passerby.models.nanodet.detector import NanoDet
from passerby.training.run import environment

RESULTS = Path(__file__).parent / "results"
CONFIDENT = 0.4
"""The score from which a box counts as a person, as it does for the tracker."""


class _Kept(VideoInput):
    """A video whose counts can be read afterwards."""

    def _summary(self, people: Any) -> str:
        self.spent = people.spent
        return super()._summary(people)


def ingested(video: Path, gallery: StoredGallery) -> dict[str, Any]:
    options = IngestOptions(camera=1, taken=0)
    source, begin = _Kept(str(video), options), time.perf_counter()
    gallery.ingest([source], options)
    spent = source.spent
    return {
        "frames": spent.frames,
        "boxes_in_tracks": spent.detections,
        "tracklets": spent.tracklets,
        "crops": spent.crops,
        "cpu_ms_per_frame": {part: round(1000 * each / spent.frames, 2) for part, each in spent.seconds.items()},
        "seconds": round(time.perf_counter() - begin, 1),
    }


def found(gallery: StoredGallery) -> dict[int, list[int]]:
    """Return, for one crop of each tracklet, the other tracklets, nearest first; tracklets numbered by their end."""
    gallery.store.refresh()
    columns = {name: [each for shard in gallery.store.shards for each in shard.column(name).to_pylist()]
               for name in ("tracklet", "place", "path")}  # fmt: skip
    crops: dict[int, list[str]] = {}
    for tracklet, place, path in zip(*columns.values(), strict=True):
        crops.setdefault(tracklet, []).append(f"{place}::{path}")
    numbers = {tracklet: number for number, tracklet in enumerate(sorted(crops))}
    ranked = {}
    for tracklet, paths in crops.items():
        hits = gallery.search(QueryImage.of(paths[len(paths) // 2]), len(gallery))
        others = dict.fromkeys(getattr(hit, "tracklet", None) for hit in hits)
        ranked[numbers[tracklet]] = [numbers[each] for each in others if each is not None and each != tracklet]
    return ranked


def judged(ranked: dict[int, list[int]], people: dict[str, list[int]]) -> dict[str, Any]:
    """Return how often the first other tracklet is of the query's person, and the mean average precision."""
    of = {tracklet: {who for who, theirs in people.items() if tracklet in theirs} for tracklet in ranked}
    rows = []
    for tracklet, others in sorted(ranked.items()):
        right = [bool(of[tracklet] & of[other]) for other in others]
        if len(of[tracklet]) == 1 and any(right):
            places = [place for place, is_right in enumerate(right, 1) if is_right]
            precision = sum(n / place for n, place in enumerate(places, 1)) / len(places)
            rows.append({"query": tracklet, "others": len(places), "first_right": places[0], "ap": round(precision, 3)})
    return {
        "queries": rows,
        "first_is_right": sum(row["first_right"] == 1 for row in rows) / len(rows),
        "mean_ap": round(sum(row["ap"] for row in rows) / len(rows), 3),
    }


def counted(video: Path, seen: dict[str, dict[str, int]]) -> list[dict[str, int]]:
    """Return the boxes of the detector in some frames beside what somebody counted there."""
    detector = NanoDet()
    rows = []
    for frame in Video(video).frames():
        if str(frame.number) in seen:
            boxes = int((detector(frame.image).scores >= CONFIDENT).sum())
            rows.append({"frame": frame.number, "boxes": boxes, **seen[str(frame.number)]})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--run", default="street-s")
    parser.add_argument("--gallery", type=Path, help="folder of the gallery, to be kept and, if it is there, searched")
    parser.add_argument("--people", type=Path, help='JSON of tracklets by person: {"A": [3, 7], …}')
    parser.add_argument("--frames", type=Path, help='JSON of counts by frame: {"20": {"people": 5, "found": 4}, …}')
    parser.add_argument("-o", "--output", type=Path, default=RESULTS / "video.json")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    before = json.loads(asked.output.read_text()) if asked.output.exists() else {}
    work = Path(tempfile.mkdtemp(prefix="video"))
    try:
        model, folder = passerby.load(asked.run), asked.gallery or work / "people.gallery"
        if folder.exists():
            gallery, result = passerby.Gallery.open(model, folder), before.get("result", {})
        else:
            gallery = passerby.Gallery.create(model, folder)
            assert isinstance(gallery, StoredGallery)
            result = {"video": ingested(asked.video, gallery)}
        assert isinstance(gallery, StoredGallery)
        if asked.people:
            result["search"] = judged(found(gallery), json.loads(asked.people.read_text()))
        if asked.frames:
            result["detector"] = counted(asked.video, json.loads(asked.frames.read_text()))
        command = f"python benchmarks/video.py {asked.video.name} --run {asked.run}"
        command += "".join(f" --{name} {name}.json" for name in ("people", "frames") if getattr(asked, name))
        text = json.dumps({"recorded": {**environment(), "command": command}, "result": result}, indent=1)
        asked.output.write_text(text + "\n")
        print(text)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
