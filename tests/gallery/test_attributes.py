"""Searching by attributes: what passes the filter, what is likeliest, and what a gallery's file says of them."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from torch import Tensor

from passerby.data.attributes.query import AttributeQuery, attribute_query
from passerby.data.attributes.schema import MARKET, SCHEMAS
from passerby.errors import ConfigError, DatasetLayoutError, ProtocolError, WeightsError
from passerby.figures.search_result import search_figure
from passerby.gallery.feedback.notes import Group, Groups
from passerby.gallery.gallery import Gallery
from passerby.gallery.store.where import Where
from passerby.gallery.stored_hits import StoredHit
from passerby.inference.attributes import log_probability, match_predictions
from passerby.inference.embeddings_file import attribute_names
from passerby.inference.model import Model
from passerby.models.registry import create_model
from passerby.types import Embeddings, Hit, Role


def asked(text: str) -> AttributeQuery:
    return attribute_query(text, MARKET)


def random_probabilities(n: int = 40, *, seed: int = 0) -> Tensor:
    scores = torch.randn(n, MARKET.logits, generator=torch.Generator().manual_seed(seed)).mul(2)
    return torch.cat([scores[:, part].softmax(dim=1) for part in MARKET.slices], dim=1)


@pytest.fixture(scope="module")
def aanet() -> Model:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Model(create_model("aanet", num_classes=3, backbone="resnet18_half"), (64, 32))


@pytest.fixture
def gallery(aanet: Model, people: Path) -> Gallery:
    """Six images, the last of them junk, whose attributes are made up."""
    embeddings = aanet.embed(sorted(people.rglob("*.png")))
    rows = random_probabilities(6)
    rows[:, MARKET.slices[MARKET.index("hat")]] = torch.tensor(
        [[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.45, 0.55], [0.7, 0.3], [0.0, 1.0]]
    )
    roles = torch.tensor([int(Role.PERSON)] * 5 + [int(Role.JUNK)])
    return Gallery(aanet, Embeddings(embeddings.embedding, embeddings.paths, roles=roles, attributes=rows), "/")


@pytest.mark.parametrize("text", ["hat=yes", "hat=no,age=adult", "upper_color=red,lower_color=blue,gender=female"])
def test_parity_with_a_literal_product(text: str) -> None:
    rows, query = random_probabilities(), asked(text)
    for row, matches, log in zip(rows, match_predictions(rows, query), log_probability(rows, query), strict=True):
        product, all_best = 1.0, True
        for name, value in query.values.items():
            start = MARKET.slices[MARKET.index(name)].start
            shares = [float(row[start + i]) for i in range(len(MARKET[name]))]
            product *= shares[MARKET[name].index(value)]
            all_best &= max(shares) == shares[MARKET[name].index(value)]
        assert math.exp(log) == pytest.approx(product)
        assert bool(matches) == all_best


def test_a_probability_that_vanished_still_ranks_last() -> None:
    rows = random_probabilities(2)
    rows[0, MARKET.slices[5]] = torch.tensor([1.0, 0.0])
    logs = log_probability(rows, asked("hat=yes"))
    assert logs.isfinite().all()
    assert logs.argmin() == 0


def test_without_a_query_all_are_ranked_by_probability(gallery: Gallery) -> None:
    hits = gallery.search(None, attributes="hat=yes")
    assert [Path(hit.path).name for hit in hits] == ["2.png", "1.png", "3.png", "4.png", "0.png"]
    assert [hit.probability for hit in hits] == pytest.approx([0.8, 0.6, 0.55, 0.3, 0.1])
    assert [hit.distance for hit in hits] == pytest.approx([-math.log(p) for p in (0.8, 0.6, 0.55, 0.3, 0.1)])
    assert [hit.rank for hit in gallery.search(None, k=2, attributes={"hat": "yes"})] == [1, 2]


def test_with_a_query_predictions_filter_and_distances_rank(gallery: Gallery) -> None:
    query = Image.open(gallery.embeddings.paths[0])
    whole = {hit.path: hit for hit in gallery.search(query, k=5)}
    hits = gallery.search(query, attributes="hat=yes")
    assert [hit.path for hit in hits] == [p for p in whole if Path(p).name in ("1.png", "2.png", "3.png")]
    for hit in hits:
        assert hit.distance == pytest.approx(whole[hit.path].distance, rel=1e-5)
        assert hit.probability in (pytest.approx(0.6), pytest.approx(0.8), pytest.approx(0.55))
        assert whole[hit.path].probability is None
    assert gallery.matching(asked("hat=yes")) == 3
    assert len(gallery.search(query, k=2, attributes="hat=yes")) == 2
    assert len(gallery.search(query, k=5, attributes="hat=yes")) == 3, "fewer match than were asked for"


def test_filters_one_after_another_answer_as_each_alone(gallery: Gallery) -> None:
    query = Image.open(gallery.embeddings.paths[0])
    filters = [None, "hat=yes", "hat=no", "hat=yes", None]
    fresh = [Gallery(gallery.model, gallery.embeddings, "/").search(query, k=5, attributes=text) for text in filters]
    assert [gallery.search(query, k=5, attributes=text) for text in filters] == fresh
    assert [len(hits) for hits in fresh] == [5, 3, 2, 3, 5]


def test_a_filter_that_nothing_passes_finds_nothing(gallery: Gallery) -> None:
    gallery.embeddings.attributes[:, MARKET.slices[5]] = torch.tensor([1.0, 0.0])
    changed = Gallery(gallery.model, gallery.embeddings, "/")
    assert changed.search(Image.open(changed.embeddings.paths[0]), attributes="hat=yes") == []
    assert len(changed.search(None, attributes="hat=yes")) == 5


def test_invalid_searches_raise(gallery: Gallery, model: Model) -> None:
    bare = Embeddings(gallery.embeddings.embedding, gallery.embeddings.paths)
    for place, text, error, message in (
        (gallery, "hat=maybe", ConfigError, "hat has no value 'maybe'; it has no, yes"),
        (gallery, "hut=yes", ConfigError, "has no attribute 'hut'"),
        (Gallery(gallery.model, bare, "/"), "hat=yes", DatasetLayoutError, "embedded without attributes"),
        (Gallery(model, bare, "/"), "hat=yes", ConfigError, "osnet_x0_25 predicts no attributes"),
        (gallery, None, ProtocolError, "nothing to search for"),
    ):
        with pytest.raises(error, match=message):
            place.search(None, attributes=text)
    with pytest.raises(ProtocolError, match="k must be at least 1, got 0"):
        gallery.search(None, k=0, attributes="hat=yes")
    assert len(gallery.search(None, k=6, attributes="hat=yes")) == 5, "there are no more"


def test_a_query_in_other_attributes_raises(gallery: Gallery) -> None:
    """Its numbers would be taken for other groups and values."""
    duke = attribute_query("boots=yes", SCHEMAS["dukemtmc"])
    for ask in (gallery.attribute_query, lambda query: gallery.search(None, attributes=query)):
        with pytest.raises(ConfigError, match="boots = yes is asked for in the attributes of DukeMTMC-reID"):
            ask(duke)
    assert gallery.attribute_query(asked("hat=yes")) == asked("hat=yes")


def test_a_file_carries_them_with_their_names(gallery: Gallery, tmp_path: Path) -> None:
    gallery.save(tmp_path / "g.parquet")
    read = Gallery.open(gallery.model, tmp_path / "g.parquet")
    assert torch.equal(read.embeddings.attributes, gallery.embeddings.attributes)
    assert read.search(None, attributes="hat=yes") == gallery.search(None, attributes="hat=yes")
    table = pq.read_table(tmp_path / "g.parquet")
    said = json.loads(table.schema.metadata[b"passerby"])["attributes"]
    assert said[0] == ["gender", ["male", "female"]]
    assert [len(values) for _, values in said] == list(MARKET.sizes)
    assert table["attributes"].type == pa.list_(pa.float32(), 39)


def test_a_file_without_attributes_opens_and_raises_when_asked_for_them(gallery: Gallery, tmp_path: Path) -> None:
    bare = Embeddings(gallery.embeddings.embedding, gallery.embeddings.paths)
    Gallery(gallery.model, bare, "/").save(tmp_path / "g.parquet")
    read = Gallery.open(gallery.model, tmp_path / "g.parquet")
    assert len(read.search(Image.open(gallery.embeddings.paths[0]))) == 6
    with pytest.raises(DatasetLayoutError, match="passerby embed RUN FOLDER"):
        read.search(None, attributes="hat=yes")


def test_files_with_other_attribute_names_raise(gallery: Gallery, tmp_path: Path) -> None:
    gallery.save(tmp_path / "g.parquet")
    table = pq.read_table(tmp_path / "g.parquet")
    said = json.loads(table.schema.metadata[b"passerby"])
    renamed = [["helmet" if name == "hat" else name, values] for name, values in said["attributes"]]
    for groups, error, message in (
        (renamed, WeightsError, "has other attributes than this run: got gender"),
        (renamed[:3], DatasetLayoutError, "39 attribute probabilities per image, but 6 names"),
        ([["hat"]], DatasetLayoutError, "its description of the embeddings is damaged"),
    ):
        changed = {b"passerby": json.dumps({**said, "attributes": groups}).encode()}
        pq.write_table(table.replace_schema_metadata(changed), tmp_path / "g.parquet")
        with pytest.raises(error, match=message):
            Gallery.open(gallery.model, tmp_path / "g.parquet")


def test_names_are_those_of_the_schema() -> None:
    assert attribute_names(None) == ()
    assert attribute_names(MARKET)[5] == ("hat", ("no", "yes"))


def test_the_figure_of_a_search_without_a_query() -> None:
    hits = [(Hit(1, "a", 0.5, pid=7, probability=0.6065), Image.new("RGB", (64, 128)))]
    figure = search_figure(None, hits, attributes={"hat": "yes", "upper color": "red"})
    texts = [axes.texts[0].get_text() for axes in figure.axes]
    assert texts == ["attributes\n\nhat: yes\nupper color: red", "#1\np = 0.6065\nperson 7"]


def test_the_strip_of_a_filtered_search() -> None:
    image = Image.new("RGB", (64, 128))
    figure = search_figure(image, [(Hit(1, "a", 0.5, probability=0.25), image)], attributes={"hat": "yes"})
    texts = [axes.texts[0].get_text() for axes in figure.axes]
    assert texts == ["query\n\nhat: yes", "#1\nd = 0.5000\np = 0.2500"]


def test_a_gallery_on_disk_answers_as_one_in_memory(aanet: Model, people: Path, tmp_path: Path) -> None:
    memory, stored = Gallery(aanet), Gallery.create(aanet, tmp_path / "g")
    memory.add(people)
    stored.add(people)
    value = memory.model.predict_attributes(memory.embeddings)[2]["age"].value
    for query in (people / "1.png", None):
        found, expected = (each.search(query, attributes=f"age={value}") for each in (stored, memory))
        assert len(found) >= 1
        assert [(h.rank, h.distance, h.probability) for h in found] == [
            (h.rank, pytest.approx(h.distance), pytest.approx(h.probability)) for h in expected
        ]
        assert [h.path.rpartition("::")[2] for h in found] == [h.path for h in expected]
    wanted = stored.attribute_query(f"age={value}")
    assert stored.matching(wanted) == memory.matching(wanted)


def test_groups_are_conditions_of_searches_by_attributes_and_of_unknown_cameras(
    aanet: Model, people: Path, tmp_path: Path
) -> None:
    stored = Gallery.create(aanet, tmp_path / "g")
    stored.add(people)
    hats = stored.attribute_query("hat=no"), stored.attribute_query("hat=yes")
    group = Group(id=1, rows=(1, 2, 4), accepted=True)
    stored.store.change_note("groups", lambda *_: Groups(groups=(group,), next_id=2))
    within, found = Where(groups=[1]), list[int]()
    for hat in hats:
        everywhere = [hit.id for hit in stored.search(None, 10, attributes=hat) if isinstance(hit, StoredHit)]
        hits = [hit.id for hit in stored.search(None, 10, attributes=hat, where=within) if isinstance(hit, StoredHit)]
        assert hits == [row for row in everywhere if row in group.rows]
        found += hits
    assert len(found) >= 3, "each image has a hat, or none"
    assert stored.of_unknown_camera(None, replace(within, not_cameras=[9])) == 3
    assert sum(stored.of_unknown_camera(hat, within) for hat in hats) == 3
    assert stored.of_unknown_camera(None, Where()) == 6
