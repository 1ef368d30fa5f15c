"""Put the model of a finished run into the package: half precision, without the classifier of its training people.

It is compared as the recipe of its name says. The license of the weights that the training started from belongs beside
it, by hand, and the printed SHA-256 into passerby/weights/catalog.py.

usage: python scripts/ship_weights.py RUN NAME
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save

from passerby.inference.load import load
from passerby.recipes.registry import load_recipe

PLACE = Path(__file__).parents[1] / "src/passerby/weights/shipped"
KEPT = ("defaults", "model", "options", "size", "normalization", "embedding_size", "evaluation", "weights")
TRAINING_ONLY = ("mix_style",)
"""The options of a model that have no effect after training."""


def ship(run: Path, name: str) -> None:
    folder = PLACE / name
    folder.mkdir(parents=True, exist_ok=True)
    described = json.loads((run / "model.json").read_text())
    network = load(run, device="cpu").network
    state = {
        key: value.half() if value.is_floating_point() else value
        for key, value in load_file(run / "model.safetensors").items()
        if not key.startswith("classifier.")
    }
    least = torch.finfo(torch.float16)
    assert all(bool((value.abs() <= least.max).all()) for value in state.values() if value.is_floating_point())
    (folder / "model.safetensors").write_bytes(save(state))
    options = {key: value for key, value in described["options"].items() if key not in TRAINING_ONLY}
    short = {key: described[key] for key in KEPT if key in described} | {"options": options, "num_classes": None}
    short["evaluation"] = load_recipe(name).evaluation.model_dump()
    for origin in short.get("weights", {}).values():
        origin["source"] = Path(origin["source"]).name
    (folder / "model.json").write_text(json.dumps(short, indent=1) + "\n")
    if (run / "calibration.json").is_file():
        shutil.copy(run / "calibration.json", folder)
    images = torch.rand(8, 3, *described["size"], generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        pairs = [model.eval()(images).embedding for model in (network, load(folder, device="cpu").network)]
    cosine = torch.nn.functional.cosine_similarity(*pairs).min().item()
    file = folder / "model.safetensors"
    print(f"{file}: {file.stat().st_size / 1e6:.2f} MB, least cosine to the run {cosine:.6f}")  # noqa: T201
    print(f"sha256 {hashlib.sha256(file.read_bytes()).hexdigest()}")  # noqa: T201


if __name__ == "__main__":
    ship(Path(sys.argv[1]), sys.argv[2])
