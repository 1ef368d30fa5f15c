"""Ingest through workers: the rows of one process, also after workers and the writer have died.

One cluster serves all tests of the file, since starting one takes seconds.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from passerby.errors import ConfigError, ImageError, WeightsError
from passerby.gallery import StoredGallery
from passerby.gallery.ingest.inputs import open_input
from passerby.gallery.ingest.options import IngestOptions
from passerby.inference.load import load
from passerby.inference.model import Model
from passerby.scale import ingest as scale_ingest
from passerby.scale.cluster import ClusterError, cluster
from passerby.scale.ingest import RayIngest
from passerby.scale.options import Workers
from passerby.synthetic.export import write_pedestrians
from passerby.synthetic.settings import Settings

if importlib.util.find_spec("ray") is None:  # not imported here: a local cluster decides first where it listens
    pytest.skip("needs the extra passerby[ray]", allow_module_level=True)
WORKERS = Workers(count=2)


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    with cluster(WORKERS) as connected:
        yield connected


@pytest.fixture(scope="module")
def model() -> Model:
    return load("street-s", device="cpu")


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Synthetic people, a copy of an image, one that is torn, and one that is no image."""
    root = tmp_path_factory.mktemp("scale")
    write_pedestrians(root / "set", Settings(people=4, images=2, size=(64, 32)))
    images = sorted(root.rglob("*.jpg"))
    folder = root / "crops"
    folder.mkdir()
    for number, image in enumerate(images):
        (folder / f"cam{number % 4 + 1}_{number:04}.jpg").write_bytes(image.read_bytes())
    (folder / "copy.jpg").write_bytes(images[0].read_bytes())
    (folder / "torn.jpg").write_bytes(images[1].read_bytes()[:200])
    (folder / "none.jpg").write_bytes(b"no image")
    return folder


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale_ingest, "CHUNK", 8)


def through_workers(ray: Any, model: Model, gallery: StoredGallery, place: Path | str, **how: Any) -> RayIngest:
    options = IngestOptions(**how)
    found = RayIngest(ray, WORKERS, "street-s", model, gallery.store, options, device="cpu")
    found.add(open_input(str(place), options))
    return found


def rows_of(gallery: StoredGallery) -> dict[str, dict[str, Any]]:
    """The rows by path, without what differs from run to run."""
    gallery.store.refresh()
    found = {}
    for shard in gallery.store.shards:
        varying = ["id", "added", "ingest", "embedding", "attributes", "coarse", "scale", "squared", "crc"]
        table = shard.batch.drop_columns(varying)
        found.update({row["path"]: row for row in table.to_pylist()})
    return found


def vectors_of(gallery: StoredGallery) -> dict[str, torch.Tensor]:
    """The embedding and the attributes of each image."""
    held = gallery.embeddings
    assert held.attributes is not None
    return dict(zip(held.paths, torch.cat([held.embedding, held.attributes], 1), strict=True))


@pytest.mark.usefixtures("small_chunks")
def test_rows_are_those_of_one_process(ray: Any, model: Model, people: Path, tmp_path: Path) -> None:
    alone, together = (StoredGallery.create(model, tmp_path / name) for name in ("alone", "together"))
    options = {"tags": ["hall"], "thumbnails": True}
    expected = alone.add(people, **options)
    found = through_workers(ray, model, together, people, tags=("hall",), thumbnails=True).result
    assert len(found.ids) == len(expected.ids) == len(list(people.iterdir())) - 3
    assert (found.known, sorted(found.broken)) == (expected.known, sorted(expected.broken))
    assert found.known == 1
    assert len(found.broken) == 2
    one, other = rows_of(alone), rows_of(together)
    twins = {"copy.jpg", "cam1_0000.jpg"}  # which of two equal files is taken depends on who comes first
    assert {p: r for p, r in one.items() if p not in twins} == {p: r for p, r in other.items() if p not in twins}
    vectors = vectors_of(together)
    for path, vector in vectors_of(alone).items():
        if path.rsplit("::", 1)[-1] not in twins:
            torch.testing.assert_close(vectors[path], vector, rtol=0, atol=1e-4)


@pytest.mark.usefixtures("small_chunks")
def test_known_images_are_not_embedded_again(ray: Any, model: Model, people: Path, tmp_path: Path) -> None:
    gallery = StoredGallery.create(model, tmp_path / "g")
    through_workers(ray, model, gallery, people)
    rows = len(gallery)
    again = through_workers(ray, model, gallery, people).result
    assert not again.ids
    assert again.known == rows + 1
    assert len(gallery) == rows


@pytest.mark.usefixtures("small_chunks")
def test_a_chunk_of_a_dead_worker_is_done_by_another(
    ray: Any, model: Model, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    gallery = StoredGallery.create(model, tmp_path / "g")
    killed = []
    real = RayIngest._submitted

    def submitted(self: RayIngest, task: Any, source: Any) -> Any:
        reference = real(self, task, source)
        if task.read is not None and len(killed) < 2:
            killed.append(task)
            ray.kill(task.worker)
        return reference

    monkeypatch.setattr(RayIngest, "_submitted", submitted)
    found = through_workers(ray, model, gallery, people).result
    assert len(killed) == 2
    assert "a worker died" in caplog.text
    contents = [bytes(c) for shard in gallery.store.shards for c in shard.column("content").to_pylist()]
    assert len(contents) == len(set(contents)) == len(found.ids) == len(list(people.iterdir())) - 3


@pytest.mark.usefixtures("small_chunks")
def test_a_chunk_that_ends_every_worker_is_an_error(
    ray: Any, model: Model, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery = StoredGallery.create(model, tmp_path / "g")
    real = RayIngest._submitted

    def submitted(self: RayIngest, task: Any, source: Any) -> Any:
        reference = real(self, task, source)
        ray.kill(task.worker)
        return reference

    monkeypatch.setattr(RayIngest, "_submitted", submitted)
    with pytest.raises(ClusterError, match=r"3 workers died of the chunk .* Fix: "):
        through_workers(ray, model, gallery, people)
    assert len(gallery) == 0


@pytest.mark.usefixtures("small_chunks")
def test_chunks_on_their_way_are_bounded(
    ray: Any, model: Model, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = 0
    real = RayIngest._idlest

    def idlest(self: RayIngest, tasks: dict[Any, Any]) -> Any:
        nonlocal most
        most = max(most, len(tasks) + 1)
        return real(self, tasks)

    monkeypatch.setattr(RayIngest, "_idlest", idlest)
    monkeypatch.setattr(scale_ingest, "CHUNK", 2)
    through_workers(ray, model, StoredGallery.create(model, tmp_path / "g"), people)
    assert most == scale_ingest.AHEAD * WORKERS.count


def test_errors_of_workers_are_told_as_they_are(ray: Any, model: Model, people: Path, tmp_path: Path) -> None:
    gallery = StoredGallery.create(model, tmp_path / "g")
    with pytest.raises(ImageError, match=r"torn|none"):
        through_workers(ray, model, gallery, people, strict=True)
    options = IngestOptions()
    wrong = RayIngest(ray, WORKERS, "street", model, gallery.store, options, device="cpu")
    with pytest.raises(WeightsError, match="another model on this worker"):
        wrong.add(open_input(str(people), options))
    gone = RayIngest(ray, WORKERS, tmp_path / "none", model, gallery.store, options, device="cpu")
    with pytest.raises(ConfigError, match="does not exist"):
        gone.add(open_input(str(people), options))
    assert len(gallery) == 0


@pytest.mark.usefixtures("small_chunks")
def test_object_storage_goes_through_workers(ray: Any, model: Model, people: Path, tmp_path: Path) -> None:
    gallery = StoredGallery.create(model, tmp_path / "g")
    through_workers(ray, model, gallery, f"file://{people}")
    (place,) = {row["place"] for row in rows_of(gallery).values()}
    assert place == f"file://{people}"
    query = next(people.glob("cam2_*.jpg"))
    assert gallery.search(query, k=1)[0].path == f"file://{people}::{query.name}"


def machine_address() -> str:
    """The address of this machine for others."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing: asks which address this machine has
        found: str = probe.getsockname()[0]
        return found


def test_a_local_cluster_listens_on_loopback_only(ray: Any) -> None:
    nodes = ray.nodes()
    assert {node["NodeManagerAddress"] for node in nodes} == {"127.0.0.1"}
    outside = machine_address()
    if outside.startswith("127."):
        pytest.skip("this machine has no other address than that of loopback")
    for port in (node["NodeManagerPort"] for node in nodes):
        with socket.socket() as caller:
            caller.settimeout(2)
            assert caller.connect_ex(("127.0.0.1", port)) == 0
        with socket.socket() as caller:
            caller.settimeout(2)
            assert caller.connect_ex((outside, port)) != 0
    assert not any(name.startswith("RAY_USAGE") and value == "1" for name, value in os.environ.items())


def test_a_killed_writer_loses_nothing_and_the_same_command_goes_on(people: Path, model: Model, tmp_path: Path) -> None:
    gallery = tmp_path / "g"
    StoredGallery.create(model, gallery)
    script = (
        "import os, signal, sys\n"
        "from passerby.scale import ingest\n"
        "ingest.CHUNK = 8\n"
        "from passerby.cli.app import main\n"
        "real = ingest.RayIngest.write\n"
        "def write(self, *rest):\n"
        "    real(self, *rest)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "if sys.argv.pop(1) == 'kill': ingest.RayIngest.write = write\n"
        "main()\n"
    )
    arguments = ["ingest", "street-s", str(gallery), str(people), "--engine", "ray", "--workers", "2", "--json"]

    def run(how: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", script, how, *arguments], text=True, capture_output=True, check=False, timeout=120
        )

    assert run("kill").returncode == -signal.SIGKILL
    kept = len(StoredGallery.open(model, gallery))
    assert 0 < kept <= 8
    done = run("on")
    assert done.returncode == 0, done.stderr
    added = json.loads(done.stdout)["added"]
    assert kept + added == len(StoredGallery.open(model, gallery)) == len(list(people.iterdir())) - 3


def test_a_cluster_that_is_not_there_is_told() -> None:
    script = (
        "from passerby.scale.cluster import cluster\nfrom passerby.scale.options import Workers\n"
        "with cluster(Workers(address='127.0.0.1:1')): pass\n"
    )
    done = subprocess.run([sys.executable, "-c", script], text=True, capture_output=True, check=False, timeout=60)
    assert "there is no Ray cluster at '127.0.0.1:1'" in done.stderr
    assert "Fix: " in done.stderr


def test_a_cluster_that_others_could_reach_is_refused() -> None:
    script = (
        "import ray\nfrom passerby.scale.cluster import cluster\nfrom passerby.scale.options import Workers\n"
        "with cluster(Workers()): print('yielded')\n"
    )
    if machine_address().startswith("127."):
        pytest.skip("this machine has no other address than that of loopback")
    variables = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=variables, text=True, capture_output=True, check=False, timeout=120)
    assert "not at addresses of this machine alone" in done.stderr
    assert not done.stdout
