"""Multi-query on a miniature of Market-1501 with its hand-drawn boxes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from passerby.data.registry import load
from passerby.errors import ProtocolError
from passerby.evaluation.evaluate import evaluate
from passerby.evaluation.multi_query import pool_queries
from passerby.models.registry import create_model
from passerby.types import Embeddings, Protocol


def save_image(path: Path, shade: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (32, 64), (shade, 255 - shade, 2 * shade % 256)).save(path)


@pytest.fixture
def market(tmp_path: Path) -> Path:
    for pid in (1, 2):
        for camera in (1, 2):
            for folder, boxes in (("query", 1), ("bounding_box_test", 2), ("gt_bbox", 3)):
                for box in range(boxes):
                    name = f"{pid:04}_c{camera}s1_{box:06}_00.jpg"
                    save_image(tmp_path / folder / name, 60 * pid + 17 * camera + 9 * box)
    save_image(tmp_path / "gt_bbox" / "0007_c1s1_000001_00.jpg", 5)  # of a training person
    return tmp_path


def test_the_reader_knows_the_boxes_of_query_people(market: Path) -> None:
    further = load(f"market1501:{market}").further
    assert len(further) == 2 * 2 * 3
    assert {(s.pid, s.camid) for s in further} == {(1, 1), (1, 2), (2, 1), (2, 2)}


@pytest.mark.parametrize("how", ["mean", "max"])
@pytest.mark.parametrize("normalize", [True, False])
def test_queries_are_pooled(how: str, *, normalize: bool) -> None:
    features = torch.tensor([[3.0, 4.0], [0.0, 2.0], [1.0, 0.0], [5.0, 0.0]])
    further = Embeddings(features, tuple("abcd"), torch.tensor([1, 1, 1, 2]), torch.tensor([1, 1, 2, 1]))
    query = Embeddings(torch.zeros(2, 2), ("q", "r"), torch.tensor([2, 1]), torch.tensor([1, 1]))
    found = pool_queries(query, further, how, normalize=normalize).embedding  # type: ignore[arg-type]
    rows = torch.tensor([[0.6, 0.8], [0.0, 1.0]]) if normalize else features[:2]
    expected = rows.mean(0) if how == "mean" else rows.amax(0)
    assert torch.allclose(found[1], expected)
    assert torch.allclose(found[0], torch.tensor([1.0, 0.0]) if normalize else features[3])


def test_numbers_are_those_of_pooled_queries(market: Path) -> None:
    torch.manual_seed(0)
    model = create_model("strong_baseline", num_classes=2, backbone="resnet18_half").eval()
    dataset = load(f"market1501:{market}")
    seen: list[Embeddings] = []
    for protocol in (Protocol(), Protocol(multi_query="mean")):
        result = evaluate(model, dataset, size=(64, 32), protocol=protocol)
        assert result.embeddings is not None
        seen.append(result.embeddings.query)
    assert seen[0].paths == seen[1].paths
    assert not torch.allclose(seen[0].embedding, seen[1].embedding)
    assert "mean of all images of a query's person and camera" in str(Protocol(multi_query="mean"))


def test_missing_boxes_raise(market: Path) -> None:
    model = create_model("strong_baseline", num_classes=2, backbone="resnet18_half").eval()

    def refused(match: str, draws: int = 0) -> None:
        protocol = Protocol(multi_query="max", draws=draws)
        with pytest.raises(ProtocolError, match=match):
            evaluate(model, load(f"market1501:{market}"), size=(64, 32), protocol=protocol)

    refused("leave draws or multi-query out", draws=2)
    (market / "gt_bbox" / "0001_c1s1_000000_00.jpg").unlink()
    for box in (1, 2):
        (market / "gt_bbox" / f"0001_c1s1_{box:06}_00.jpg").unlink()
    refused("1 of 4 queries have no further images from their camera, for example query/0001_c1s1")
    for path in (market / "gt_bbox").iterdir():
        path.unlink()
    refused("hand-drawn boxes of the folder gt_bbox, which this copy lacks")
