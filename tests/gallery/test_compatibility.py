"""A gallery records the keypoints that cut its images: other ones of a query are an error or a warning."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from passerby.data.keypoints.origin import KeypointOrigin
from passerby.errors import ConfigError, DatasetLayoutError
from passerby.gallery import compatibility
from passerby.gallery.compatibility import check_same_keypoints
from passerby.gallery.gallery import Gallery
from passerby.inference import keypoint_source as parts
from passerby.inference.embeddings_file import read_embeddings
from passerby.inference.model import Model
from passerby.inference.options import InferenceOptions
from passerby.models.base import ReidModel
from passerby.models.keypoints.estimator import NetworkPoseEstimator, load_pose_network, save_pose_network
from passerby.models.keypoints.network import PoseNetwork
from passerby.models.registry import create_model

SIZE = (64, 32)


@pytest.fixture(scope="module")
def network() -> ReidModel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return create_model("attention_driven", num_classes=3, width=0.125)


@pytest.fixture
def networks(tmp_path: Path) -> tuple[Path, Path]:
    """Two pose networks of other weights."""
    folders = (tmp_path / "shipped", tmp_path / "other")
    for seed, folder in enumerate(folders):
        folder.mkdir()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            save_pose_network(PoseNetwork(size=(32, 16), width=2), folder, {})
    return folders


@pytest.fixture(autouse=True)
def once(monkeypatch: pytest.MonkeyPatch, networks: tuple[Path, Path]) -> Iterator[None]:
    """A tiny network in the shipped one's place, and no warning was given before."""
    monkeypatch.setattr("passerby.models.keypoints.estimator.SHIPPED", networks[0])
    for said in (
        parts._shipped,
        parts._warn_network_keypoints,
        compatibility._warn_other_keypoints,
        compatibility.warn_unknown_keypoints,
    ):
        said.cache_clear()
    yield
    parts._shipped.cache_clear()


@pytest.fixture
def drawn(tmp_path: Path, draw_people: Callable[..., Path]) -> Path:
    """Images with keypoints of their own."""
    return draw_people(tmp_path / "drawn", people=4, cameras=2, images=1, size=SIZE, preset="easy")


@pytest.fixture
def photograph(tmp_path: Path, drawn: Path) -> Path:
    """An image without keypoints."""
    return Path(shutil.copy(next((drawn / "query").glob("*.jpg")), tmp_path / "photograph.jpg"))


def filled(model: Model, place: Path) -> Gallery:
    """Return a gallery of the images of a place."""
    gallery = Gallery(model)
    gallery.add(place)
    return gallery


def saved(network: ReidModel, place: Path, file: Path, keypoints: str) -> Path:
    filled(Model(network, SIZE, InferenceOptions(keypoints=keypoints)), place).save(file)
    return file


def opened(network: ReidModel, file: Path, keypoints: str) -> Gallery:
    return Gallery.open(Model(network, SIZE, InferenceOptions(keypoints=keypoints)), file)


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    assert all(record.levelno == logging.WARNING for record in caplog.records)  # which Python prints by itself
    return [record.getMessage() for record in caplog.records if record.name == compatibility.__name__]


def test_a_file_names_the_source_of_its_keypoints(
    network: ReidModel, drawn: Path, networks: tuple[Path, Path], tmp_path: Path
) -> None:
    shipped, other = (NetworkPoseEstimator(load_pose_network(folder)).fingerprint[:16] for folder in networks)
    annotations = drawn / "keypoints.json"
    for keypoints, origin in (
        ("own", KeypointOrigin("own")),
        ("auto", KeypointOrigin("own")),
        ("network", KeypointOrigin("network", shipped)),
        (str(networks[1]), KeypointOrigin(str(networks[1]), other)),
        (str(annotations), KeypointOrigin(str(annotations))),
    ):
        file = saved(network, drawn, tmp_path / "g.parquet", keypoints)
        assert read_embeddings(file).origin.keypoints == origin
    assert (
        Gallery(Model(network, SIZE, parts={"by": "strips"}), opened(network, file, "own").embeddings, "/").keypoints
        is None
    )


def test_a_query_cut_by_another_network_raises(
    network: ReidModel, drawn: Path, photograph: Path, networks: tuple[Path, Path], tmp_path: Path
) -> None:
    file = saved(network, drawn, tmp_path / "g.parquet", str(networks[1]))
    for keypoints in ("network", "auto"):
        with pytest.raises(ConfigError, match=rf"cut by other keypoints.*search with --keypoints {networks[1]} "):
            opened(network, file, keypoints).search(photograph)
    assert opened(network, file, str(networks[1])).search(photograph)
    moved = networks[1].rename(tmp_path / "moved")  # a network is told by its weights
    assert opened(network, file, str(moved)).search(photograph)


def test_annotated_keypoints_of_a_query_raise_where_a_network_found_the_gallerys(
    network: ReidModel, drawn: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = saved(network, drawn, tmp_path / "g.parquet", "network")
    query = f"{drawn}::query/{next((drawn / 'query').glob('*.jpg')).name}"
    with pytest.raises(ConfigError, match=r"got the dataset's own, expected .*--keypoints network "):
        opened(network, file, "auto").search(query)
    assert opened(network, file, "network").search(query)
    assert not messages(caplog)


def test_a_query_without_such_keypoints_is_searched_for_with_one_warning(
    network: ReidModel, drawn: Path, photograph: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = saved(network, drawn, tmp_path / "g.parquet", "own")
    for gallery in (opened(network, file, "auto"), filled(Model(network, SIZE), drawn)):
        for _ in range(2):
            assert gallery.search(photograph)
    (said,) = messages(caplog)
    assert said.startswith(
        f"{drawn}: the gallery's parts were cut by other keypoints (the dataset's own) than the query's"
    )
    assert "found by the pose network of this package" in said


def test_a_query_of_the_same_dataset_needs_no_warning(
    network: ReidModel, drawn: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gallery = opened(network, saved(network, drawn, tmp_path / "g.parquet", "auto"), "auto")
    assert gallery.search(f"{drawn}::{gallery.embeddings.paths[0]}", 1)[0].path == gallery.embeddings.paths[0]
    assert not caplog.records


def test_another_version_of_the_same_network_needs_embedding_again() -> None:
    with pytest.raises(ConfigError, match="Fix: embed the gallery again: passerby embed RUN people "):
        check_same_keypoints(KeypointOrigin("network", "a"), KeypointOrigin("network", "b"), "people")


def test_what_is_opened_and_saved_again_keeps_its_keypoints(network: ReidModel, drawn: Path, tmp_path: Path) -> None:
    file = saved(network, drawn, tmp_path / "g.parquet", "network")
    opened(network, file, "own").save(tmp_path / "again.parquet")
    assert read_embeddings(tmp_path / "again.parquet").origin == read_embeddings(file).origin


def test_a_former_file_opens_with_a_warning(
    network: ReidModel, drawn: Path, photograph: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = saved(network, drawn, tmp_path / "g.parquet", "own")
    table = pq.read_table(file)
    said = json.loads(table.schema.metadata[b"passerby"])
    assert said.pop("keypoints") == {"name": "own", "fingerprint": ""}
    pq.write_table(table.replace_schema_metadata({b"passerby": json.dumps({**said, "format": 2}).encode()}), file)
    for _ in range(2):
        assert opened(network, file, "network").search(photograph)
    (words,) = messages(caplog)
    assert words.startswith(
        f"'{file}' was written by an older passerby and does not record which keypoints cut its images"
    )
    damaged = {b"passerby": json.dumps({**said, "format": 3, "keypoints": ["own"]}).encode()}
    pq.write_table(table.replace_schema_metadata(damaged), file)
    with pytest.raises(DatasetLayoutError, match="its description of the embeddings is damaged"):
        read_embeddings(file)


def test_models_of_whole_images_have_no_keypoints(model: Model, people: Path, tmp_path: Path) -> None:
    filled(model, people).save(tmp_path / "g.parquet")
    assert read_embeddings(tmp_path / "g.parquet").origin.keypoints is None
    assert Gallery.open(model, tmp_path / "g.parquet").keypoints is None
