"""Queries told apart by what a data set says of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from passerby.data.attributes.labels import Attributes, read_attributes
from passerby.data.attributes.schema import MARKET
from passerby.data.dataset import Dataset
from passerby.data.keypoints.skeleton import VISIBLE
from passerby.data.registry import load
from passerby.errors import ConfigError, DatasetLayoutError, ProtocolError, UnknownNameError
from passerby.evaluation.subgroups import Grouping, parse_dimensions
from passerby.metrics.protocol import evaluate_embeddings
from passerby.types import Embeddings, EvalResult, Protocol, Sample


@pytest.fixture(scope="module")
def drawn() -> Dataset:
    return load("pedestrians:people=8,cameras=3,images=2,size=32x16")


def embedded(samples: tuple[Sample, ...]) -> Embeddings:
    """Features at random."""
    features = torch.randn(len(samples), 4, generator=torch.Generator().manual_seed(len(samples)))
    pids, camids = ([getattr(s, name) for s in samples] for name in ("pid", "camid"))
    return Embeddings(features, tuple(s.path for s in samples), torch.tensor(pids), torch.tensor(camids))


def evaluated(dataset: Dataset) -> tuple[Embeddings, Embeddings, EvalResult]:
    query, gallery = embedded(dataset.query), embedded(dataset.gallery)
    return query, gallery, evaluate_embeddings(query, gallery)


def test_every_group_and_the_keypoints_add_up_to_all_queries(drawn: Dataset) -> None:
    slicing = Grouping.of_dataset(("attributes", "visibility"), drawn, attributes=read_attributes(drawn.source))
    query, gallery, result = evaluated(drawn)
    counts = Counter[tuple[str, str]]()
    for some in slicing.subgroups(query, gallery, result):
        counts[some.dimension, some.group] += some.queries
    assert counts == dict.fromkeys(
        [*(("attributes", g.name) for g in MARKET.groups), ("visibility", "visible keypoints")], 12
    )


def test_slices_are_of_the_people_they_name(drawn: Dataset) -> None:
    attributes = read_attributes(drawn.source)
    slices = Grouping.of_dataset(("attributes",), drawn, attributes=attributes).subgroups(*evaluated(drawn))
    women = [s for s in drawn.query if attributes.people[s.pid or 0][MARKET.index("gender")] == 1]
    (found,) = (some for some in slices if (some.group, some.value) == ("gender", "female"))
    assert (found.queries, found.people) == (len(women), len({s.pid for s in women}))


def test_keypoints_are_counted_where_they_can_be_seen(drawn: Dataset) -> None:
    labels = Grouping.of_dataset(("visibility",), drawn).labels[0]
    for sample in drawn.query:
        seen = int((drawn.source.labels(sample.path).visibility == VISIBLE).sum())  # type: ignore[attr-defined]
        low, _, high = labels.of[sample.path].partition("–")
        assert int(low) <= seen <= int(high or low)


def test_an_exported_dataset_has_the_same_keypoints(draw_people: Callable[..., Path], tmp_path: Path) -> None:
    data = draw_people(tmp_path / "data", people=4, cameras=2, images=2)
    dataset = load(str(data))
    assert set(Grouping.of_dataset(("visibility",), dataset).labels[0].of) == {s.path for s in dataset.query}
    whole = json.loads((data / "keypoints.json").read_text())
    for person in whole["annotations"]:
        person["keypoints"][2::3] = [1] * (len(person["keypoints"]) // 3)  # hidden, every one
    (data / "keypoints.json").write_text(json.dumps(whole))
    assert set(Grouping.of_dataset(("visibility",), dataset).labels[0].of.values()) == {"0–9"}


def test_what_is_unknown_is_a_slice_of_its_own_and_groups_of_which_nothing_is_known_are_left_out(
    drawn: Dataset,
) -> None:
    classes = {pid: np.full(12, -1) for pid in (5, 6, 7)}  # person 8 has no labels
    classes[5][0] = 1
    slices = Grouping.of_dataset(("attributes",), drawn, attributes=Attributes(MARKET, "here", classes)).subgroups(
        *evaluated(drawn)
    )
    assert [(some.group, some.value, some.queries) for some in slices] == [
        ("gender", "female", 3),
        ("gender", "unknown", 9),
    ]


def test_data_without_labels_raise(drawn: Dataset, tmp_path: Path, draw_people: Callable[..., Path]) -> None:
    data = draw_people(tmp_path / "data", people=4, cameras=2, images=2)
    for name in ("keypoints.json", "attributes.csv"):
        (data / name).unlink()
    with pytest.raises(DatasetLayoutError, match=r"has no annotated keypoints.*leave visibility out"):
        Grouping.of_dataset(("visibility",), load(str(data)))
    with pytest.raises(DatasetLayoutError, match="no file of attributes"):
        read_attributes(load(str(data)).source)
    others = Attributes(MARKET, "elsewhere", {77: np.zeros(12, int)})
    with pytest.raises(DatasetLayoutError, match="elsewhere describes none of 12 images"):
        Grouping.of_dataset(("attributes",), drawn, attributes=others)
    with pytest.raises(ConfigError, match="need the true attributes"):
        Grouping.of_dataset(("attributes",), drawn)


def test_dimensions_come_in_one_order(drawn: Dataset) -> None:
    assert parse_dimensions("visibility, cameras,cameras") == ("cameras", "visibility")
    with pytest.raises(UnknownNameError, match="Did you mean cameras"):
        parse_dimensions("camera")
    slices = Grouping.of_dataset(parse_dimensions("visibility,cameras"), drawn).subgroups(*evaluated(drawn))
    names = list(dict.fromkeys(some.dimension for some in slices))
    assert names == ["cameras", "visibility"]
    assert {(some.group, some.value) for some in slices if some.dimension == "cameras"} == {
        (str(a), str(b)) for a in (1, 2, 3) for b in (1, 2, 3) if a != b
    }


def test_a_mean_over_draws_cannot_be_sliced(drawn: Dataset) -> None:
    query, gallery, _ = evaluated(drawn)
    result = evaluate_embeddings(query, gallery, Protocol(draws=2))
    with pytest.raises(ProtocolError, match="averages over 2 random galleries and has no results per query"):
        Grouping(("cameras",)).subgroups(query, gallery, result)
