"""What a match is made of, for every model: numbers of a search, and parts that add up to them."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from passerby.data.dataset import Dataset
from passerby.data.registry import load as load_dataset
from passerby.errors import ConfigError
from passerby.evaluation.calibrate import calibrate
from passerby.explain.images import ImageSet
from passerby.explain.matching.explanation import MatchExplanation, explain_match
from passerby.figures.match import match_figure
from passerby.inference.model import Model
from passerby.models.base import ReidModel
from passerby.models.registry import create_model, list_models
from passerby.retrieval.ranking import top_k
from passerby.types import Protocol

LIGHTEST: dict[str, dict[str, Any]] = {
    "aanet": {"backbone": "resnet18_half"},
    "aap_reid": {"backbone": "resnet18_half"},
    "aligned_reid": {"backbone": "resnet18_half"},
    "attention_driven": {"width": 0.125},
    "dual_attention": {"backbone": "resnet18_half"},
    "ide": {"backbone": "resnet18_half"},
    "strong_baseline": {"backbone": "resnet18_half"},
}
TOKENS = ("clip_vit_b16", "vit_b16")
"""The models whose layers are no maps."""
MAPPED = [name for name in list_models() if name not in TOKENS]


def model(name: str, *, parts: dict[str, Any] | None = None, **options: Any) -> Model:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = create_model(name, num_classes=3, **{**LIGHTEST.get(name, {}), **options})
    return Model(model, (64, 32), parts=parts)


@pytest.fixture(scope="module")
def people(draw_people: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = draw_people(tmp_path_factory.mktemp("match") / "people", people=8, cameras=2, images=2)
    return load_dataset(f"market1501:{folder}")


def explained(reid: Model, people: Dataset, **how: Any) -> MatchExplanation:
    images = ImageSet(people.source)
    return explain_match(reid, images, people.query[0], images, people.gallery[-1], **how)


@pytest.mark.parametrize("name", MAPPED)
def test_every_model_explains_its_matches(name: str, people: Dataset) -> None:
    reid = model(name)
    found = explained(reid, people)
    x = reid.embed_samples(people.source, people.query[:1])
    y = reid.embed_samples(people.source, people.gallery[-1:])
    served = top_k(x, y, 1, normalize=reid.protocol.normalize).distances.item()
    assert found.distance == pytest.approx(served, rel=1e-3, abs=1e-4)
    if found.blocks:
        assert sum(part.distance for part in found.blocks) == pytest.approx(found.distance, rel=1e-4)
    assert (found.alignment is not None) == ("local" in reid.card.distances)
    assert bool(found.attributes) == (reid.schema is not None)
    assert all(0 <= part.dissimilarity <= 2 for part in found.parts)
    assert found.maps is not None
    assert [tuple(each.shape) for each in found.maps] == [(64, 32)] * 2
    assert found.sentence.endswith(".")
    assert json.loads(json.dumps(found.to_dict()))["distance"] == found.distance
    assert match_figure(found).axes


def test_the_local_distance_is_the_alignment(people: Dataset) -> None:
    found = explained(model("aap_reid"), people, protocol=Protocol(distance="local"))
    assert found.alignment is not None
    assert found.distance == pytest.approx(found.alignment.distance, rel=1e-4)
    assert [part.name for part in found.stripes] == [f"stripe {i}" for i in range(1, 5)]


def test_an_image_matches_itself(people: Dataset) -> None:
    images = ImageSet(people.source)
    found = explain_match(model("attention_driven"), images, people.query[0], images, people.query[0], saliency=False)
    assert found.distance == 0
    assert found.same
    assert found.maps is None
    assert found.sentence.endswith("no part differs.")


def test_of_normalised_embeddings_the_blocks_add_up_too(people: Dataset) -> None:
    reid = model("aanet")
    found = explained(reid, people, protocol=Protocol(normalize=True), saliency=False)
    assert 0 < found.distance < 2
    assert sum(part.distance for part in found.blocks) == pytest.approx(found.distance, rel=1e-4)


def test_attributes_count_where_both_are_confident(people: Dataset) -> None:
    reid = model("aanet")
    strict, lax = (explained(reid, people, confident=c, saliency=False).attributes for c in (1.0, 0.0))
    assert {row.judged for row in strict} == {"uncertain"}
    assert [row.judged for row in lax] == ["agrees" if row.a == row.b else "conflicts" for row in lax]
    described = reid.predict_attributes(reid.embed_samples(people.source, people.query[:1]))[0]
    assert [row.a for row in lax] == [one.value for one in described.values()]
    assert [row.probability_a for row in lax] == pytest.approx([one.probability for one in described.values()])


def test_blocks_follow_the_switches(people: Dataset) -> None:
    one = explained(model("aanet", parts=None, attention_map=False, attributes=False), people, saliency=False)
    assert [part.name for part in one.blocks] == ["whole body", *(f"part {i}" for i in range(1, 7))]
    assert explained(model("attention_driven", fusion="fc"), people, saliency=False).blocks == ()


def test_strips_are_no_parts_of_the_body(people: Dataset) -> None:
    found = explained(model("attention_driven", parts={"by": "strips"}), people, saliency=False)
    assert [part.region for part in found.blocks] == ["", *(f"strip {i} of 4" for i in range(1, 5))]
    assert "head" not in found.sentence
    assert list(found.crops) == [f"strip {i} of 4" for i in range(1, 5)]


def test_a_calibrated_run_says_how_probable_it_is(people: Dataset) -> None:
    reid = model("osnet_x0_25")
    reid.calibration = calibrate(reid, people)
    found = explained(reid, people, saliency=False)
    probability, verdict = reid.calibration.verdict(found.distance)
    assert (found.same_person, found.verdict) == (probability, verdict)
    assert "P" in found.sentence
    other = explained(reid, people, protocol=Protocol(normalize=False), saliency=False)
    assert other.same_person is None


def test_a_model_that_hides_its_maps_is_explained_without(
    people: Dataset, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def hidden(self: ReidModel) -> None:
        raise ConfigError("osnet does not say where its maps are")

    reid = model("osnet_x0_25")
    monkeypatch.setattr(type(reid.network), "map_layers", hidden)
    with caplog.at_level(logging.WARNING):
        assert explained(reid, people).maps is None
    assert "does not say where its maps are" in caplog.text
