"""The program that the documentation begins with, for the model of every recipe."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import passerby
from passerby.models.registry import MODELS
from passerby.recipes.registry import RECIPES, load_recipe
from passerby.training.checkpoint import save_model
from passerby.training.run import RunFolder

SIZE = (64, 32)
SMALL = {"backbone": "resnet18_half", "width": 0.125}
"""Options that make a model small, where it has them."""


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory, draw_people: Callable[..., Path]) -> Path:
    return draw_people(tmp_path_factory.mktemp("program") / "people", people=4, cameras=2, images=2, size=SIZE)


def run_folder(recipe: str, folder: Path) -> Path:
    """A run of the recipe's model with fresh weights, its parts and its evaluation."""
    config = load_recipe(recipe)
    name = config.model.name
    known = inspect.signature(MODELS[name]).parameters
    small = {k: v for k, v in SMALL.items() if k in known and k not in config.model.options}
    options = config.model.options | small
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = passerby.create_model(name, num_classes=3, **options)
    folder.mkdir()
    parts, evaluation = config.parts.model_dump(), config.evaluation.model_dump()
    save_model(RunFolder(folder), network, options=options, size=SIZE, parts=parts, evaluation=evaluation)
    return folder


@pytest.mark.parametrize("recipe", list(RECIPES))
def test_the_program_runs(recipe: str, people: Path, tmp_path: Path) -> None:
    files = sorted((people / "query").glob("*.jpg"))
    image_a, image_b = np.asarray(Image.open(files[0])), Image.open(files[-1])

    model = passerby.load(run_folder(recipe, tmp_path / "run"), device="auto")
    a, b = model.embed([image_a, image_b])
    similarity = model.similarity(a, b)
    gallery = passerby.Gallery(model)
    gallery.add(people)
    hits = gallery.search(files[0], k=3)
    gallery.save(tmp_path / "people.parquet")
    result = model.evaluate(passerby.data.load(people))

    assert -1 <= float(similarity) < float(model.similarity(a, a)) == pytest.approx(1, abs=1e-5)
    assert repr(model).startswith(f"Model({load_recipe(recipe).model.name}, ")
    assert [hit.rank for hit in hits] == [1, 2, 3]
    opened = passerby.Gallery.open(model, tmp_path / "people.parquet")
    assert opened.search(files[0], k=3) == hits
    assert result.queries == len(files)
    assert result.embeddings is not None
    assert result.embeddings.gallery.paths == gallery.embeddings.paths
