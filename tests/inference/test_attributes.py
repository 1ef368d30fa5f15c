"""Predicted attributes: their names, and their accuracy against labels."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from passerby.data.attributes.labels import Attributes, read_attributes
from passerby.data.attributes.schema import DUKE, MARKET
from passerby.data.dataset import Dataset
from passerby.data.registry import load
from passerby.data.source import DirectorySource
from passerby.errors import ConfigError, DatasetLayoutError
from passerby.evaluation.attribute_test import AttributeTest
from passerby.evaluation.evaluate import evaluate
from passerby.inference.attributes import (
    attribute_predictions,
    attribute_queries,
    match_predictions,
    predicted_classes,
    schema_of,
)
from passerby.inference.embed import embed
from passerby.inference.model import Model
from passerby.inference.session import TorchSession
from passerby.models.registry import create_model
from passerby.types import Embeddings, Role, Sample

SIZE = (64, 32)


def model(**options: object) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return create_model("aanet", num_classes=3, backbone="resnet18_half", **options).eval()


def probabilities(*values: str) -> torch.Tensor:
    """Return the probabilities of one image: 0.7 for each group's named (or first) value, the rest shared."""
    rows = []
    for group in MARKET.groups:
        best = next((group.index(v) for v in values if v in group.values and group.name != "hat"), 0)
        rest = torch.full((len(group),), 0.3 / (len(group) - 1))
        rest[best] = 0.7
        rows.append(rest)
    return torch.cat(rows)


def test_probabilities_get_their_names() -> None:
    (description,) = attribute_predictions(probabilities("female", "brown")[None], MARKET)
    assert list(description) == [group.name for group in MARKET.groups]
    assert description["gender"].value == "female"
    assert description["gender"].probability == pytest.approx(0.7)
    assert description["lower color"].value == "brown"
    assert description["age"].probabilities == pytest.approx({"young": 0.7, "teenager": 0.1, "adult": 0.1, "old": 0.1})


def test_what_is_asked_for_beside_each_query() -> None:
    queries = torch.stack([probabilities("female", "brown"), probabilities("old")])
    same = attribute_queries("lower_color=brown", queries, MARKET)
    assert [asked.values for asked in same] == [{"lower color": "brown"}] * 2
    some = attribute_queries("own:Lower_Colour,gender", queries, MARKET)
    assert [asked.values for asked in some] == [
        {"lower color": "brown", "gender": "female"},
        {"lower color": MARKET.groups[-1].values[0], "gender": "male"},
    ]
    every = attribute_queries("own", queries, MARKET)
    assert [len(asked.values) for asked in every] == [12, 12]
    assert [match_predictions(queries, asked).tolist() for asked in every] == [[True, False], [False, True]]
    with pytest.raises(ConfigError, match="no attribute 'shoes'"):
        attribute_queries("own:shoes", queries, MARKET)
    with pytest.raises(ConfigError, match="no attribute ''"):
        attribute_queries("own:", queries, MARKET)


def test_classes_are_the_most_probable() -> None:
    found = predicted_classes(torch.stack([probabilities(), probabilities("female", "old")]), MARKET)
    assert found[0].tolist() == [0] * 12
    assert found[1].tolist() == [1, *[0] * 8, 3, 0, 0]


def test_predictions_are_the_scores_of_the_network(tmp_path: Path, draw_people: Callable[..., Path]) -> None:
    people = draw_people(tmp_path / "people", people=4, cameras=2, images=1)
    file = min((people / "query").iterdir())
    net = model()
    aanet = Model(net, SIZE)
    (said,) = aanet.predict_attributes([file])
    embedded = aanet.embed([file])
    assert embedded.attributes is not None
    assert embedded.attributes.shape == (1, 39)
    for group, part in zip(MARKET.groups, MARKET.slices, strict=True):
        shares = embedded.attributes[0, part]
        assert shares.sum().item() == pytest.approx(1)
        assert said[group.name].value == group.values[int(shares.argmax())]
        assert list(said[group.name].probabilities.values()) == pytest.approx(shares.tolist())


def test_models_without_attributes_raise() -> None:
    bare = model(attributes=False, attention_map=False)
    for net in (bare, create_model("osnet_x0_25", num_classes=3)):
        with pytest.raises(ConfigError, match="predicts no attributes"):
            schema_of(net)
    with pytest.raises(ConfigError, match="aanet predicts no attributes"):
        Model(bare, SIZE).predict_attributes(["a.jpg"])


def test_embeddings_of_a_model_without_attributes_have_none(tmp_path: Path, draw_people: Callable[..., Path]) -> None:
    dataset = load(str(draw_people(tmp_path / "people", people=4, cameras=2, images=1)))
    net = create_model("osnet_x0_25", num_classes=3)
    assert embed(TorchSession(net), dataset.source, dataset.query, size=SIZE).attributes is None


def people(tmp_path: Path) -> Dataset:
    """Three people to train on, two in the gallery, with junk and a distractor."""
    train = tuple(Sample(f"t{i}.jpg", pid=pid, camid=1) for i, pid in enumerate((1, 1, 1, 2, 3)))
    gallery = (
        Sample("g0.jpg", pid=7, camid=1),
        Sample("g1.jpg", pid=-1, camid=1, role=Role.JUNK),
        Sample("g2.jpg", pid=8, camid=1),
        Sample("g3.jpg", pid=0, camid=1, role=Role.DISTRACTOR),
    )
    return Dataset("made", DirectorySource(tmp_path), train, (Sample("q.jpg", pid=7, camid=2),), gallery)


def told(*female: int, hats: tuple[int, ...] = (), whom: tuple[int, ...] = (0, 1, 2, 3, 7, 8)) -> Attributes:
    def row(pid: int) -> np.ndarray:
        return np.array([int(pid in female), *[0] * 4, int(pid in hats), *[0] * 6])

    return Attributes(MARKET, "told", {pid: row(pid) for pid in whom})


def test_people_of_the_gallery_are_compared_and_training_people_count_once(tmp_path: Path) -> None:
    dataset = people(tmp_path)
    # person 1 has three of five training images, but is one of three people
    test = AttributeTest.of(model(), dataset, told(2, 3, 8, hats=(0,)))
    assert test.rows.tolist() == [0, 1], "junk is not embedded"
    assert len(test.training) == 3
    rows = torch.stack([probabilities(), probabilities(), probabilities("female")])
    result = test.result(Embeddings(torch.zeros(3, 2), ("g0", "g2", "g3"), attributes=rows))
    gender = result.groups[0]
    assert (gender.images, gender.accuracy, gender.balanced) == (2, 0.5, 0.5)
    assert (gender.majority, gender.majority_accuracy) == ("female", 0.5)
    hat = next(group for group in result.groups if group.name == "hat")
    assert (hat.values, hat.accuracy) == (1, 1.0)


def test_people_without_labels_are_left_out(tmp_path: Path) -> None:
    test = AttributeTest.of(model(), people(tmp_path), told(8, whom=(8, 2)))
    rows = torch.stack([probabilities("female")] * 4)
    gender = test.result(Embeddings(torch.zeros(4, 2), ("",) * 4, attributes=rows)).groups[0]
    assert (gender.images, gender.accuracy, gender.majority) == (1, 1.0, "male")


def test_labels_that_do_not_fit_raise_before_images_are_opened(tmp_path: Path) -> None:
    dataset = people(tmp_path)
    others = Attributes(DUKE, "duke.mat", {7: np.zeros(10, np.int64)})
    for known, error, message in (
        (
            others,
            ConfigError,
            "duke.mat' has the attributes of DukeMTMC-reID, but the model predicts those of Market-1501",
        ),
        (told(whom=(1, 2)), DatasetLayoutError, "describes none of 2 images"),
    ):
        with pytest.raises(error, match=message):
            evaluate(model(), dataset, size=SIZE, attributes=known)
    with pytest.raises(ConfigError, match="osnet_x0_25 predicts no attributes"):
        evaluate(create_model("osnet_x0_25", num_classes=3), dataset, size=SIZE, attributes=told())


def test_an_evaluation_carries_it(tmp_path: Path, draw_people: Callable[..., Path]) -> None:
    dataset = load(str(draw_people(tmp_path / "people", people=6, cameras=2, images=2)))
    known = read_attributes(dataset.source, MARKET)
    plain = evaluate(model(), dataset, size=SIZE)
    result = evaluate(model(), dataset, size=SIZE, attributes=known)
    assert result.attributes is not None
    assert "attributes" not in plain.to_dict()
    written = json.loads(json.dumps(result.to_dict()))
    assert written.pop("attributes")["groups"]["hat"]["images"] == len(dataset.gallery)
    assert written == plain.to_dict()
    embedded = embed(TorchSession(model()), dataset.source, dataset.gallery, size=SIZE)
    assert embedded.attributes is not None
    right = (
        (predicted_classes(embedded.attributes, MARKET) == torch.from_numpy(known.of_all(dataset.gallery)))
        .double()
        .mean(0)
    )
    assert [group.accuracy for group in result.attributes.groups] == pytest.approx(right.tolist())
