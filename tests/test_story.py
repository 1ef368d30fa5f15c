"""The sentence of the library, lived through once on drawn people and the CPU."""

from __future__ import annotations

from pathlib import Path

import pytest

import passerby
from passerby.data.figures import write_figures
from passerby.recipes.registry import load_recipe
from passerby.training.config import with_overrides
from passerby.training.loop import train

PEOPLE = 32
SETTINGS = {
    "model.options.trunk": "resnet18",
    "data.height": 48,
    "data.width": 24,
    "sampler.k": 2,
    "optimizer.lr": 1e-3,
    "schedule.name": "cosine",
    "epochs": 24,
    "checkpoint_every": 24,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_figures(tmp_path_factory.mktemp("story") / "data", people=PEOPLE, images=3, size=(48, 24))


def test_train_evaluate_search(data: Path, tmp_path: Path) -> None:
    config = with_overrides(load_recipe("aap_reid"), {**SETTINGS, "data.train": str(data)})
    result = train(config, tmp_path / "run", show_progress=False)

    assert result is not None
    strangers = PEOPLE // 2  # nobody of them was trained on
    assert result.queries == strangers * 3
    assert result.rank1 > 0.7, "chance is 1 in 16, an untrained model gets 0.27"
    assert result.mean_ap > 0.5

    model = passerby.load(tmp_path / "run")
    again = passerby.evaluate(model.model, passerby.data.load(str(data)), size=model.size)
    assert again.rank1 == result.rank1

    gallery = passerby.Gallery.from_folder(model, data)
    query = min((data / "query").iterdir())
    hits = gallery.search(query, k=5)
    person = int(query.name[:4])
    assert hits[0].pid == person
    assert sum(hit.pid == person for hit in hits) >= 3, "its other cameras too"
