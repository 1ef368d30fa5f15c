"""An evaluation of queries that are in the gallery is refused."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from passerby.data.dataset import Dataset
from passerby.data.source import DirectorySource
from passerby.errors import ProtocolError
from passerby.evaluation.copies import check_no_copied_embeddings, check_not_alike
from passerby.evaluation.evaluate import check_evaluable, evaluate
from passerby.inference.embeddings_file import Origin, StoredEmbeddings
from passerby.models.registry import create_model
from passerby.types import Embeddings, Protocol, QueryGallery, Sample

QUERY = tuple(Sample(f"q{pid}.png", pid, 1) for pid in range(3))
GALLERY = tuple(Sample(f"g{pid}.png", pid, 2) for pid in range(3))


@pytest.fixture
def honest(tmp_path: Path) -> Dataset:
    for n, sample in enumerate((*QUERY, *GALLERY)):
        pixels = np.random.default_rng(n).integers(0, 256, (4, 2, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((16, 32)).save(tmp_path / sample.path)
    return Dataset("mine", DirectorySource(tmp_path), query=QUERY, gallery=GALLERY)


def test_a_query_in_the_gallery_under_another_camera_is_refused(honest: Dataset) -> None:
    check_evaluable(honest, Protocol())
    copied = replace(honest, gallery=(*GALLERY, *(replace(query, camid=9) for query in QUERY)))
    message = (
        "3 queries find themselves in the gallery .of 3 queries., a true match whatever the model: query 'q0.png' is "
        "the same file as 'q0.png' of the gallery, of camera 1 and camera 9. Fix: leave"
    )
    with pytest.raises(ProtocolError, match=message):
        check_evaluable(copied, Protocol())


def test_a_copy_by_the_same_camera_is_ignored_where_the_protocol_ignores_it(honest: Dataset) -> None:
    copied = replace(honest, gallery=(*GALLERY, *QUERY))
    check_evaluable(copied, Protocol())
    with pytest.raises(ProtocolError, match="3 queries find themselves"):
        check_evaluable(copied, Protocol(ignore_same_camera=False))


def test_a_copy_in_another_format_is_refused(honest: Dataset, caplog: pytest.LogCaptureFixture) -> None:
    model, root = create_model("osnet_x0_25", num_classes=2), honest.source.root
    with caplog.at_level(logging.WARNING):
        evaluate(model, honest, size=(32, 16))
    assert not caplog.records
    Image.open(root / "q0.png").save(root / "copy.bmp")
    with pytest.raises(ProtocolError, match=r"1 query finds itself .* the same embedding as 'copy\.bmp'"):
        evaluate(model, replace(honest, gallery=(*GALLERY, Sample("copy.bmp", 0, 2))), size=(32, 16))


def test_a_query_in_the_gallery_as_another_person_is_said(honest: Dataset, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        check_evaluable(replace(honest, gallery=(*GALLERY, replace(QUERY[0], pid=2, camid=2))), Protocol())
    (record,) = caplog.records
    assert "1 query is in the gallery as other people" in record.getMessage()
    assert "'q0.png' (person 0) is the same file as 'q0.png' (person 2)" in record.getMessage()


def test_embeddings_that_are_all_equal_are_refused() -> None:
    query, gallery = rows(0, 1, names="q"), rows(1, 2, names="g")
    check_not_alike(QueryGallery(query, gallery))
    for value in (0.0, 1.5):
        alike = replace(gallery, embedding=torch.full_like(gallery.embedding, value))
        with pytest.raises(ProtocolError, match="all 4 embeddings of the gallery are equal"):
            check_not_alike(QueryGallery(query, alike))


def stored(query: Embeddings, gallery: Embeddings, *, own: bool) -> tuple[StoredEmbeddings, QueryGallery]:
    both = Embeddings.concatenate([query, gallery])
    origin = Origin("f", "m", (1, 1), "root") if own else None
    splits = ("query",) * len(query) + ("gallery",) * len(gallery)
    return StoredEmbeddings(Path("f.parquet"), both, splits, origin), QueryGallery(query, gallery)


def rows(seed: int, camid: int, *, names: str, dimensions: int = 32) -> Embeddings:
    embedding = torch.randn(4, dimensions, generator=torch.Generator().manual_seed(seed))
    pids = torch.tensor([0, 0, 1, 2])
    return Embeddings(embedding, tuple(f"{names}{n}" for n in range(4)), pids, torch.full((4,), camid))


def test_stored_embeddings_are_known_by_path_and_by_vector(caplog: pytest.LogCaptureFixture) -> None:
    query, other = rows(0, 1, names="q"), rows(1, 2, names="g")
    check_no_copied_embeddings(*stored(query, other, own=True), Protocol())
    same_names = rows(1, 2, names="q")
    with pytest.raises(ProtocolError, match=r"'f.parquet': 4 queries find themselves .* query 'q0' is the same file"):
        check_no_copied_embeddings(*stored(query, same_names, own=True), Protocol())
    check_no_copied_embeddings(*stored(query, same_names, own=False), Protocol())  # names within a folder each
    assert "is the same file as 'q0'" in caplog.records[-1].getMessage()
    full, same = rows(0, 1, names="all/q"), rows(1, 2, names="all/q")
    with pytest.raises(ProtocolError, match="query 'all/q0' is the same file"):
        check_no_copied_embeddings(*stored(full, same, own=False), Protocol())
    unnamed = [replace(side, paths=("",) * len(side)) for side in (query, other)]
    check_no_copied_embeddings(*stored(*unnamed, own=False), Protocol())
    assert len(caplog.records) == 1
    same_vectors = rows(0, 2, names="g")
    same_vectors = replace(same_vectors, embedding=same_vectors.embedding.half().float())
    with pytest.raises(ProtocolError, match="the same embedding as 'g0' of the gallery"):
        check_no_copied_embeddings(*stored(query, same_vectors, own=False), Protocol())
    check_no_copied_embeddings(*stored(query, rows(0, 1, names="g"), own=False), Protocol())  # of the same camera


def test_embeddings_that_repeat_by_themselves_are_no_copies() -> None:
    codes = [replace(rows(0, camid, names="x"), embedding=rows(0, 1, names="x").embedding.sign()) for camid in (1, 2)]
    check_no_copied_embeddings(*stored(codes[0], codes[1], own=False), Protocol())
    collapsed = [replace(side, embedding=torch.arange(32.0).expand(4, 32)) for side in codes]
    check_no_copied_embeddings(*stored(collapsed[0], collapsed[1], own=False), Protocol())
